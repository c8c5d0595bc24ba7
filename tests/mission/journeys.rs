//! People of two hubs through the clients that everybody uses.

use std::process::Command;

use super::trade::Market;

/// Where an interpreter is that scripts/test has installed.
fn interpreter_of(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_by_supabase_js() {
    let market = Market::open().await;
    let told = Command::new(interpreter_of("MADE_OPEN_TEST_NODE"))
        .arg("buyer.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .env("HUB_URL", &market.b.hub.url)
        .env("HUB_ANON_KEY", &market.b.hub.anon)
        .env("SELLER_URL", &market.a.hub.url)
        .env("SELLER_ANON_KEY", &market.a.hub.anon)
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
    let steps = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(steps, 12, "{said}");
}
