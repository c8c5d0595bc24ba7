//! The real clients against the real binary: each tells its story in tests/clients, against a hub of its own.

use tokio::process::Command;

use crate::support::TestHub;

#[tokio::test]
async fn supabase_js() {
    tells("MADE_OPEN_TEST_NODE", "journey.mjs").await;
}

#[tokio::test]
async fn supabase_for_python() {
    tells("MADE_OPEN_TEST_PYTHON", "journey_supabase.py").await;
}

#[tokio::test]
async fn postgrest_for_python() {
    tells("MADE_OPEN_TEST_PYTHON", "journey_postgrest.py").await;
}

/// Run a story; what it said is shown when it is not true.
async fn tells(interpreter: &str, story: &str) {
    let program = interpreter_of(interpreter);
    let hub = TestHub::start().await;
    // The first account would be the developer; the people of the stories are nobody in particular.
    hub.sign_up("founder").await;
    let told = Command::new(program)
        .arg(story)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .env("HUB_URL", &hub.url)
        .env("HUB_ANON_KEY", &hub.anon)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // A proxy of the surroundings must not stand between a client and a hub on the same machine.
        .env("NO_PROXY", "*")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success(),
        "{story}: {}\n{said}\n{}",
        told.status,
        String::from_utf8_lossy(&told.stderr)
    );
    let steps = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(steps > 10, "{story} told only {steps} steps:\n{said}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "what scripts/test installed is found by its variables"
)]
fn interpreter_of(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run scripts/test -E 'binary(apps)', which installs the clients and says where they are")
    })
}
