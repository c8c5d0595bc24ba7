//! What the tests of trade share: two hubs, somebody who declares and somebody who answers, and where an exchange stands on
//! each side.

use serde_json::{Value, json};

use crate::support::hubs::{Hub, Member};

/// Two hubs with somebody on each; bruno follows alice.
pub struct Market {
    pub a: Hub,
    pub b: Hub,
    pub alice: Member,
    pub bruno: Member,
}

impl Market {
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    pub async fn open_with(settings: &[(&str, &str)]) -> Self {
        let resolve = "a.hub.test=127.0.0.1,b.hub.test=127.0.0.1";
        let a = Hub::start("a", resolve, settings).await;
        let b = Hub::start("b", resolve, settings).await;
        let (alice, bruno) = (a.member("alice").await, b.member("bruno").await);
        b.follows(&bruno, &alice.handle).await;
        Self { a, b, alice, bruno }
    }

    /// Alice declares something; its address once bruno reads it.
    pub async fn declares(&self, row: Value) -> String {
        declares(&self.a, &self.alice, row, &self.b).await
    }

    /// Bruno offers to do what alice declared; his exchange, and hers once it is there.
    pub async fn offers(&self, input: Value) -> (String, String) {
        let made = self
            .b
            .rpc(&self.bruno.person, "exchanges_propose", input)
            .await;
        let offer = made["offer"].as_str().unwrap().to_owned();
        (id(&made), arrived(&self.a, &offer).await)
    }

    /// The same, and alice accepts, and bruno hears of it.
    pub async fn agrees(&self, input: Value) -> (String, String) {
        let (his, hers) = self.offers(input).await;
        self.a
            .rpc(
                &self.alice.person,
                "exchanges_accept",
                json!({ "id": hers }),
            )
            .await;
        stands(&self.b, &his, "accepted").await;
        (his, hers)
    }

    /// Somebody says how it went.
    pub async fn alice_says(&self, id: &str, verdict: &str) {
        confirms(&self.a, &self.alice, id, verdict).await;
    }

    pub async fn bruno_says(&self, id: &str, verdict: &str) {
        confirms(&self.b, &self.bruno, id, verdict).await;
    }

    /// Both sides stand there.
    pub async fn both_stand(&self, his: &str, hers: &str, status: &str) {
        stands(&self.a, hers, status).await;
        stands(&self.b, his, status).await;
    }

    /// Nothing is under way any more and nothing was given up.
    pub async fn is_quiet(&self) {
        for hub in [&self.a, &self.b] {
            for query in [
                "select count(*) from ap_deliveries where state in ('waiting', 'dead')",
                "select count(*) from ap_received where state in ('waiting', 'dead')",
            ] {
                hub.counts(query, 0).await;
            }
        }
    }

    /// What was booked on a hub, by agreement: who gave whom how much, as actors.
    pub async fn books(&self) -> Vec<String> {
        let mut of = Vec::new();
        for hub in [&self.a, &self.b] {
            of.push(booked(hub).await);
        }
        assert_eq!(of[0], of[1], "the two hubs have other books");
        of.remove(0)
    }
}

/// What was booked on a hub.
pub async fn booked(hub: &Hub) -> Vec<String> {
    let query = "select string_agg(line, ';' order by line) from (select e.agreement || ' ' || \
        coalesce((select p.uri from ap_actors p where p.id = a.actor_id or p.kind = 'user' and p.row_id = a.owner_id), '?') || ' ' || \
        trim_scale(e.amount) as line from ledger_entries e join ledger_accounts a on a.id = e.account_id) l";
    let lines = hub.text(query).await.unwrap_or_default();
    lines
        .split(';')
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Nothing was made or lost: all that was booked adds up to nothing, nothing is promised any more, and balances are what was booked.
pub async fn books_balance(hub: &Hub) {
    let wrong = "select count(*) from ledger_accounts a where a.peer_host is null and (a.reserved <> 0 or a.balance <> \
        coalesce((select sum(e.amount) from ledger_entries e where e.account_id = a.id), 0))";
    hub.counts(wrong, 0).await;
    hub.counts("select count(*) from (select sum(amount) as total from ledger_entries group by transfer_id) t where total <> 0", 0)
        .await;
}

pub fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

/// Somebody declares something that another hub reads.
pub async fn declares(hub: &Hub, who: &Member, row: Value, reader: &Hub) -> String {
    let row = who.person.adds(&hub.hub, "declarations", row).await;
    let uri = row["federated_ap_id"].as_str().unwrap().to_owned();
    reader
        .counts(
            &format!("select count(*) from declarations where federated_ap_id = '{uri}'"),
            1,
        )
        .await;
    uri
}

/// The exchange that came of an offer.
pub async fn arrived(hub: &Hub, offer: &str) -> String {
    let query = format!("select exchange_id::text from hub.deals where offer_uri = '{offer}'");
    hub.until("the offer arrives", async || hub.text(&query).await)
        .await
}

/// Wait until an exchange stands there.
pub async fn stands(hub: &Hub, id: &str, status: &str) {
    let query = format!("select status from exchanges where id = '{id}'");
    let start = std::time::Instant::now();
    loop {
        let found = hub.text(&query).await;
        if found.as_deref() == Some(status) {
            return;
        }
        assert!(
            start.elapsed() < crate::support::hubs::PATIENCE,
            "{}: {found:?} instead of {status}",
            hub.host
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Somebody says how it went.
pub async fn confirms(hub: &Hub, who: &Member, id: &str, verdict: &str) {
    let input = json!({ "id": id, "verdict": verdict, "note": "As agreed." });
    hub.rpc(&who.person, "exchanges_confirm", input).await;
}

/// A declaration's status as another hub reads it.
pub async fn is_declared(hub: &Hub, uri: &str, status: &str) {
    hub.counts(
        &format!(
            "select count(*) from declarations where federated_ap_id = '{uri}' and status = '{status}'"
        ),
        1,
    )
    .await;
}
