//! The books under many hands: nothing is made or lost, nobody goes beyond his limit, and each agreement is booked once,
//! in whatever order promises, bookings and releases come.

use std::sync::Arc;

use made_open::base::hub::{CreditLimits, Hub};
use made_open::base::{Amount, Caller};
use made_open::db::Db;
use made_open::domains::commons::ledger::{self, Hold, Holder, Transfer};
use uuid::Uuid;

use crate::support::TestDatabase;

const USERS: usize = 4;
const HANDS: u64 = 8;
const DEEDS: usize = 60;
const LIMIT: i64 = 6;
const PEER_LIMIT: i64 = 9;

struct Books {
    database: TestDatabase,
    db: Db,
    holders: Vec<Holder>,
}

impl Books {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let hub = Arc::new(Hub::default());
        hub.set_credit_limits(CreditLimits {
            account: Amount::whole(LIMIT),
            peer: Amount::whole(PEER_LIMIT),
        });
        let db = Db::of(hub, &database.url(), HANDS as usize).unwrap();
        let admin = database.admin().await;
        let mut holders = Vec::new();
        for n in 0..USERS {
            let id = Uuid::now_v7();
            let sql = format!(
                "insert into users (id, email, name) values ('{id}', 'u{n}@example.org', 'u{n}')"
            );
            admin.batch_execute(&sql).await.unwrap();
            holders.push(Holder::User(id));
        }
        for (n, host) in ["a.example", "a.example", "b.example"].iter().enumerate() {
            let id = Uuid::now_v7();
            let sql = format!(
                "insert into ap_actors (id, uri, host) values ('{id}', 'https://{host}/{n}', '{host}')"
            );
            admin.batch_execute(&sql).await.unwrap();
            holders.push(Holder::Actor(id));
        }
        Self {
            database,
            db,
            holders,
        }
    }

    /// How many rows break a rule, each by name.
    async fn broken(&self) -> Vec<(String, i64)> {
        let rules = [
            (
                "a unit adds up to nothing",
                "select count(*) from (select unit from ledger_accounts where peer_host is null group by unit having sum(balance) <> 0) x",
            ),
            (
                "a balance is its entries",
                "select count(*) from ledger_accounts a where peer_host is null and balance <> coalesce((select sum(amount) from ledger_entries e where e.account_id = a.id), 0)",
            ),
            (
                "what is reserved is held",
                "select count(*) from ledger_accounts a where peer_host is null and reserved <> coalesce((select sum(amount) from hub.ledger_holds h where h.account_id = a.id), 0)",
            ),
            (
                "a line is its mirrors",
                "select count(*) from ledger_accounts l where peer_host is not null and row(balance, reserved) is distinct from (select row(coalesce(sum(a.balance), 0), coalesce(sum(a.reserved), 0)) from ledger_accounts a join ap_actors p on p.id = a.actor_id where p.host = l.peer_host and a.unit = l.unit)",
            ),
            (
                "a limit holds",
                "select count(*) from ledger_accounts where credit_limit is not null and balance - reserved < -credit_limit",
            ),
            (
                "an agreement has two sides",
                "select count(*) from (select agreement from ledger_entries group by agreement having count(*) <> 2 or sum(amount) <> 0) x",
            ),
        ];
        let admin = self.database.admin().await;
        let mut broken = Vec::new();
        for (name, sql) in rules {
            let count: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
            if count > 0 {
                broken.push((name.to_owned(), count));
            }
        }
        broken
    }
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// One hand's deeds: promise, keep or let go, and now and then the same once more.
async fn work(db: Db, holders: Vec<Holder>, seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let (mut booked, mut refused) = (0, 0);
    for n in 0..DEEDS {
        let key = format!(
            "https://a.example/offers/{}",
            (seed as usize / 2) * DEEDS + n
        );
        let amount = Amount::from_parts(2_500 * (1 + dice.roll(12) as i64));
        let from = holders[dice.roll(holders.len())];
        let to = holders[dice.roll(holders.len())];
        if from == to {
            continue;
        }
        let promised = db
            .write(&Caller::Hub, async |tx| {
                let hold = Hold {
                    payer: from,
                    unit: "TIME",
                    community: None,
                    amount,
                    key: &key,
                };
                ledger::reserve(tx, &hold).await
            })
            .await;
        if let Err(error) = promised {
            assert_eq!(error.told().unwrap().code, "ledger.over_limit");
            refused += 1;
            continue;
        }
        for _ in 0..=dice.roll(2) {
            let keeps = dice.roll(3) > 0;
            let came = db
                .write(&Caller::Hub, async |tx| {
                    if !keeps {
                        return ledger::release(tx, &key).await.map(|_| false);
                    }
                    let transfer = Transfer {
                        from,
                        to,
                        unit: "TIME",
                        community: None,
                        amount,
                        agreement: &key,
                        memo: None,
                        exchange: None,
                        hold: Some(&key),
                    };
                    ledger::book(tx, &transfer).await
                })
                .await;
            match came {
                Ok(is_new) => booked += usize::from(is_new),
                // What was let go and is booked after all may be beyond the limit by then.
                Err(error) => assert_eq!(error.told().unwrap().code, "ledger.over_limit"),
            }
        }
    }
    (booked, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_nothing_is_made_or_lost_by_many_hands() {
    let books = Books::new().await;
    let mut hands = tokio::task::JoinSet::new();
    let local = tokio::task::LocalSet::new();
    for seed in 0..HANDS {
        hands.spawn_local_on(work(books.db.clone(), books.holders.clone(), seed), &local);
    }
    let (mut booked, mut refused) = (0, 0);
    local
        .run_until(async {
            while let Some(done) = hands.join_next().await {
                let (new, no) = done.unwrap();
                booked += new;
                refused += no;
            }
        })
        .await;

    assert!(
        booked > 20 && refused > 0,
        "{booked} booked, {refused} refused"
    );
    assert_eq!(books.broken().await, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_of_two_who_book_one_agreement_one_does() {
    let books = Books::new().await;
    let (from, to) = (books.holders[0], books.holders[1]);
    let book = async |db: Db| {
        db.write(&Caller::Hub, async |tx| {
            let transfer = Transfer {
                from,
                to,
                unit: "TIME",
                community: None,
                amount: Amount::whole(2),
                agreement: "https://a.example/1",
                memo: None,
                exchange: None,
                hold: None,
            };
            ledger::book(tx, &transfer).await
        })
        .await
        .unwrap()
    };
    let came = tokio::join!(
        book(books.db.clone()),
        book(books.db.clone()),
        book(books.db.clone())
    );

    assert_eq!(
        [came.0, came.1, came.2]
            .iter()
            .filter(|is_new| **is_new)
            .count(),
        1
    );
    assert_eq!(books.broken().await, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_book_takes() {
    let books = Books::new().await;
    let (from, to) = (books.holders[0], books.holders[1]);
    for (unit, amount, from, to, code) in [
        ("TIME", "0", from, to, "ledger.amount"),
        ("TIME", "0.001", from, to, "ledger.amount"),
        ("EUR", "1", from, to, "ledger.unit"),
        ("TIME", "1", from, from, "ledger.oneself"),
        ("TIME", "6.01", from, to, "ledger.over_limit"),
        ("CREDIT", "0.0001", from, to, "ledger.over_limit"),
    ] {
        let refused = books
            .db
            .write(&Caller::Hub, async |tx| {
                let transfer = Transfer {
                    from,
                    to,
                    unit,
                    community: None,
                    amount: amount.parse().unwrap(),
                    agreement: "https://a.example/2",
                    memo: None,
                    exchange: None,
                    hold: None,
                };
                ledger::book(tx, &transfer).await
            })
            .await
            .unwrap_err();
        assert_eq!(refused.told().unwrap().code, code, "{unit} {amount}");
    }
    let admin = books.database.admin().await;
    let rows: i64 = admin
        .query_one("select count(*) from ledger_entries", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(rows, 0);
}
