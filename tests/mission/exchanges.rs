//! An exchange from the offer to the end between two hubs: each way of exchanging with each ending.

use serde_json::json;

use super::trade::{Market, books_balance, is_declared, stands};

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_goes_from_the_offer_to_its_end() {
    let market = Market::open().await;
    let (a, b) = (&market.a, &market.b);
    let uri = market
        .declares(json!({ "decl_type": "offer", "title": "Bread", "exchange_type": "gift", "quantity": 1 }))
        .await;

    let (his, hers) = market
        .agrees(json!({ "declaration": uri, "terms": "On Saturday?" }))
        .await;
    is_declared(b, &uri, "matched").await;
    stands(a, &hers, "accepted").await;
    market.bruno_says(&his, "fulfilled").await;
    market.both_stand(&his, &hers, "in_progress").await;
    market.alice_says(&hers, "fulfilled").await;
    market.both_stand(&his, &hers, "completed").await;
    is_declared(b, &uri, "fulfilled").await;
    market.is_quiet().await;
    books_balance(a).await;
}
