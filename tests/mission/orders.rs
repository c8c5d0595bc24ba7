//! The same votes in every order of arrival: each order ends with the same ballots and the same count (R34, R-25).

use std::sync::Arc;

use made_open::base::Caller;
use made_open::base::hub::Hub;
use made_open::db::Db;
use made_open::domains::governance::daos::Person;
use made_open::domains::governance::proposals;
use made_open::domains::governance::votes::{self, Handed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestDatabase;

/// How many orders are tried.
const ORDERS: u32 = 240;

struct Votes {
    database: TestDatabase,
    db: Db,
    dao: Uuid,
    members: Vec<Uuid>,
    stranger: Uuid,
}

/// A vote: which voter, when he says to have voted, what, under which name.
type Vote = (usize, i64, &'static str, u32);

impl Votes {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let db = Db::of(Arc::new(Hub::default()), &database.url(), 2).unwrap();
        let (owner, dao) = (Uuid::now_v7(), Uuid::now_v7());
        for sql in [
            format!("insert into users (id, email, name) values ('{owner}', 'o@example.org', 'o')"),
            format!("insert into daos (id, owner_id, name) values ('{dao}', '{owner}', 'Bikes')"),
        ] {
            db.write(&Caller::Hub, async |tx| tx.script(&sql).await)
                .await
                .unwrap();
        }
        let mut actors = Vec::new();
        for n in 0..4 {
            let id = Uuid::now_v7();
            let sql = format!(
                "insert into ap_actors (id, uri, host) values ('{id}', 'https://p.example/{n}', 'p.example')"
            );
            db.write(&Caller::Hub, async |tx| tx.script(&sql).await)
                .await
                .unwrap();
            actors.push(id);
        }
        let stranger = actors.pop().unwrap();
        for (n, id) in actors.iter().enumerate() {
            let sql = format!(
                "insert into dao_members (dao_id, actor_id, role, voting_weight) values ('{dao}', '{id}', 'member', {}.5)",
                n + 1
            );
            db.write(&Caller::Hub, async |tx| tx.script(&sql).await)
                .await
                .unwrap();
        }
        Self {
            database,
            db,
            dao,
            members: actors,
            stranger,
        }
    }

    /// A vote of its own, opened.
    async fn open(&self, changes: bool) -> Uuid {
        let id = Uuid::now_v7();
        let rules = json!({ "mo:changeVote": changes, "mo:ballot": "public" });
        let sql = format!(
            "insert into proposals (id, author_id, dao_id, title) select '{id}', owner_id, id, 'x' from daos where id = '{}';
             update proposals set status = 'active', rules = '{rules}', federated_ap_id = 'https://hub.example/ap/proposals/{id}',
                 voting_opens_at = now() - interval '1 hour', voting_closes_at = now() + interval '1 hour' where id = '{id}'",
            self.dao
        );
        self.db
            .write(&Caller::Hub, async |tx| tx.script(&sql).await)
            .await
            .unwrap();
        id
    }

    async fn cast(&self, proposal: Uuid, vote: &Vote) -> String {
        self.cast_as(proposal, vote, proposal).await
    }

    /// Under an address that may be another vote's.
    async fn cast_as(&self, proposal: Uuid, vote: &Vote, place: Uuid) -> String {
        let (voter, minute, choice, name) = *vote;
        let actor = self.members.get(voter).copied().unwrap_or(self.stranger);
        let uri = format!("https://p.example/votes/{place}/{name}");
        let at = chrono::Utc::now()
            .date_naive()
            .and_hms_opt(0, 0, 0)
            .unwrap()
            .and_utc()
            - chrono::TimeDelta::days(2)
            + chrono::TimeDelta::minutes(minute);
        self.db
            .write(&Caller::Hub, async |tx| {
                let proposal = proposals::by_id(tx, proposal).await?.unwrap();
                let handed = Handed {
                    proposal: &proposal,
                    voter: Person::Actor(actor),
                    choice,
                    uri: uri.clone(),
                    published: Some(at.to_rfc3339()),
                    rationale: None,
                    attestation: Some("proof"),
                    vote: Some(json!({ "type": "Note", "id": uri })),
                    received: None,
                };
                votes::take(tx, handed).await.map(|taken| taken.verdict)
            })
            .await
            .unwrap()
    }

    /// Everything that has to be the same, whatever came first.
    async fn outcome(&self, proposal: Uuid) -> Value {
        let admin = self.database.admin().await;
        let sql = format!(
            "select jsonb_build_object('ballots', (select jsonb_agg(jsonb_build_array(actor_id, choice, weight, regexp_replace(federated_ap_id, '^.*/', '')) order by actor_id)
                 from votes where proposal_id = t.proposal_id), 'advisory', (select jsonb_agg(jsonb_build_array(actor_id, choice, regexp_replace(uri, '^.*/', '')) order by actor_id)
                 from hub.advisory_votes where proposal_id = t.proposal_id), 'sums', to_jsonb(t) - 'proposal_id' - 'salt' - 'snapshot_at' - 'is_due')::text
             from hub.tallies t where t.proposal_id = '{proposal}'"
        );
        let text: String = admin.query_one(&sql, &[]).await.unwrap().get(0);
        serde_json::from_str(&text).unwrap()
    }
}

#[test]
fn every_order_of_arrival_ends_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let votes = runtime.block_on(Votes::new());
    // Three members and a stranger, each of whom thinks again; two words of one moment are told apart by their names.
    let script: Vec<Vote> = vec![
        (0, 1, "yes", 1),
        (0, 2, "no", 2),
        (0, 3, "abstain", 3),
        (1, 1, "no", 4),
        (1, 5, "yes", 5),
        (2, 2, "yes", 6),
        (2, 2, "no", 7),
        (3, 1, "yes", 8),
        (3, 2, "no", 9),
    ];
    let expected = runtime.block_on(async {
        let proposal = votes.open(true).await;
        for vote in &script {
            votes.cast(proposal, vote).await;
        }
        votes.outcome(proposal).await
    });
    assert_eq!(expected["sums"]["yes"], json!(2.5));
    assert_eq!(expected["sums"]["no"], json!(3.5));
    assert_eq!(expected["sums"]["abstain"], json!(1.5));
    assert_eq!(expected["sums"]["advisory_no"], json!(1));

    let mut runner = TestRunner::new(Config {
        cases: ORDERS,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&Just(script).prop_shuffle(), |order| {
            let found = runtime.block_on(async {
                let proposal = votes.open(true).await;
                for vote in &order {
                    votes.cast(proposal, vote).await;
                }
                // Said again, nothing changes.
                for vote in order.iter().take(3) {
                    let again = votes.cast(proposal, vote).await;
                    assert!(
                        matches!(again.as_str(), "repeated" | "older" | "advisory"),
                        "{again}"
                    );
                }
                votes.outcome(proposal).await
            });
            prop_assert_eq!(&found, &expected);
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_one_vote_wherever_it_is_cast() {
    let votes = Votes::new().await;
    let (one, other) = (votes.open(true).await, votes.open(true).await);
    assert_eq!(votes.cast_as(one, &(0, 5, "yes", 1), one).await, "counted");
    assert_eq!(
        votes.cast_as(other, &(0, 6, "yes", 1), one).await,
        "id_taken"
    );
    assert_eq!(votes.cast_as(one, &(1, 6, "no", 1), one).await, "id_taken");
    assert_eq!(votes.outcome(other).await["sums"]["yes_voters"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ballot_stands_where_ballots_do_not_change() {
    let votes = Votes::new().await;
    let proposal = votes.open(false).await;
    assert_eq!(votes.cast(proposal, &(0, 5, "yes", 1)).await, "counted");
    assert_eq!(
        votes.cast(proposal, &(0, 9, "no", 2)).await,
        "already_voted"
    );
    assert_eq!(votes.cast(proposal, &(0, 5, "yes", 1)).await, "repeated");
    let outcome = votes.outcome(proposal).await;
    assert_eq!(outcome["sums"]["yes"], json!(1.5));
    assert_eq!(outcome["sums"]["yes_voters"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn r_24_the_same_vote_at_once_is_one() {
    let votes = Arc::new(Votes::new().await);
    let proposal = votes.open(true).await;
    let all = (0..20).map(|n| {
        let votes = votes.clone();
        async move {
            votes
                .cast(proposal, &(n % 3, 5, "yes", (n % 3) as u32))
                .await
        }
    });
    let came: Vec<String> = futures_util::future::join_all(all).await;
    assert_eq!(
        came.iter().filter(|it| *it == "counted").count(),
        3,
        "{came:?}"
    );
    let outcome = votes.outcome(proposal).await;
    assert_eq!(outcome["sums"]["yes_voters"], json!(3));
    assert_eq!(outcome["sums"]["yes"], json!(7.5));
}
