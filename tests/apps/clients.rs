//! The real clients against the real binary: each tells its story in tests/clients, against a hub of its own.

use reqwest::Method;
use tokio::process::Command;

use crate::support::TestHub;

#[tokio::test]
async fn supabase_js() {
    tells("MADE_OPEN_TEST_NODE", "journey.mjs").await;
}

#[tokio::test]
async fn a_steward_and_a_member_by_supabase_js() {
    tells("MADE_OPEN_TEST_NODE", "governance.mjs").await;
}

#[tokio::test]
async fn supabase_for_python() {
    tells("MADE_OPEN_TEST_PYTHON", "journey_supabase.py").await;
}

#[tokio::test]
async fn postgrest_for_python() {
    tells("MADE_OPEN_TEST_PYTHON", "journey_postgrest.py").await;
}

#[tokio::test]
async fn second_factors_by_supabase_js() {
    tells("MADE_OPEN_TEST_NODE", "factors.mjs").await;
}

#[tokio::test]
async fn second_factors_by_supabase_for_python() {
    tells("MADE_OPEN_TEST_PYTHON", "factors.py").await;
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
        .env(
            "HUB_SERVICE_KEY",
            crate::administration::service_key(&hub).1,
        )
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
pub fn interpreter_of(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run scripts/test -E 'binary(apps)', which installs the clients and says where they are")
    })
}

#[tokio::test]
async fn a_browser_elsewhere_may_ask() {
    let hub = TestHub::start().await;
    let wanted = "authorization,apikey,content-type,content-profile,prefer,range,x-client-info,x-supabase-api-version";
    for path in [
        "/rest/v1/persons",
        "/rest/v1/rpc/kinds_list",
        "/auth/v1/token",
    ] {
        let before = hub
            .http
            .request(Method::OPTIONS, format!("{}{path}", hub.url))
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "PATCH")
            .header("Access-Control-Request-Headers", wanted)
            .send()
            .await
            .unwrap();
        assert!(before.status().is_success(), "{path}: {}", before.status());
        let said = |name: &str| {
            before.headers()[name]
                .to_str()
                .unwrap()
                .to_ascii_lowercase()
        };
        assert_eq!(said("access-control-allow-origin"), "*");
        assert!(
            !before
                .headers()
                .contains_key("access-control-allow-credentials")
        );
        for method in ["get", "head", "post", "patch", "put", "delete"] {
            assert!(
                said("access-control-allow-methods").contains(method),
                "{path}: {method}"
            );
        }
        for header in wanted.split(',') {
            assert!(
                said("access-control-allow-headers").contains(header),
                "{path}: {header}"
            );
        }
    }
    // Good and bad answers alike, or a browser hides from the app what was wrong.
    for path in ["/rest/v1/listings", "/rest/v1/nothing", "/auth/v1/user"] {
        let answer = hub
            .ask(Method::GET, path)
            .header("Origin", "https://app.example")
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.headers()["access-control-allow-origin"],
            "*",
            "{path}"
        );
        let shown = answer.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap();
        for header in ["Content-Range", "Preference-Applied", "Location"] {
            assert!(shown.contains(header), "{path}: {shown}");
        }
    }
}
