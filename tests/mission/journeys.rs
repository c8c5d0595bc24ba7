//! People of two hubs through the clients that everybody uses.

use std::process::Command;

use super::trade::Market;

/// Where an interpreter is that scripts/test has installed.
fn interpreter_of(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

/// Tell a story with these surroundings; all its steps are true.
fn tells(script: &str, surroundings: &[(&str, &str)], steps: usize) {
    let told = Command::new(interpreter_of("MADE_OPEN_TEST_NODE"))
        .arg(script)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .envs(surroundings.iter().copied())
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success(),
        "{}\n{said}\n{}",
        told.status,
        String::from_utf8_lossy(&told.stderr)
    );
    let told = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(told, steps, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_by_supabase_js() {
    let market = Market::open().await;
    tells(
        "buyer.mjs",
        &[
            ("HUB_URL", &market.b.hub.url),
            ("HUB_ANON_KEY", &market.b.hub.anon),
            ("SELLER_URL", &market.a.hub.url),
            ("SELLER_ANON_KEY", &market.a.hub.anon),
        ],
        12,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_by_supabase_js() {
    let market = Market::open().await;
    tells(
        "seller.mjs",
        &[
            ("HUB_URL", &market.a.hub.url),
            ("HUB_ANON_KEY", &market.a.hub.anon),
            ("BUYER_URL", &market.b.hub.url),
            ("BUYER_ANON_KEY", &market.b.hub.anon),
            ("SELLER_ACTOR", &market.alice.actor),
            ("BUYER_ACTOR", &market.bruno.actor),
        ],
        12,
    );
}
