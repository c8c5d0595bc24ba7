//! two hubs that do not reach each other while people on both go on editing, voting and trading. When they do again, both
//! have the same, conflicts have gone the way of the hub that decides them, and no hour was made or lost.

use serde_json::{Value, json};

use super::daos::{found, joins};
use super::trade::{Market, arrived, books_balance, id, stands};
use super::votes::{asks, comes_to, count_is_told, time_passes};
use crate::support::hubs::{Hub, Member};

/// As an hour of trying in vain: nothing gets through, and each attempt is made.
async fn an_hour_apart(market: &Market) {
    for _ in 0..4 {
        for hub in [&market.a, &market.b] {
            hub.hurry().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    for hub in [&market.a, &market.b] {
        let tried = hub
            .count("select count(*) from ap_deliveries where state = 'waiting' and attempts > 0")
            .await;
        assert!(tried > 0, "{}: nothing was under way", hub.host);
        let dead = hub
            .count("select count(*) from ap_deliveries where state = 'dead'")
            .await;
        assert_eq!(dead, 0, "{}", hub.host);
    }
}

fn part(market: &Market) {
    market.a.cut_off();
    market.b.cut_off();
}

/// They reach each other again, and everything that was said arrives.
async fn heal(market: &Market) {
    market.a.reconnect();
    market.b.reconnect();
    let start = std::time::Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        let mut waiting = 0;
        for hub in [&market.a, &market.b] {
            hub.hurry().await;
            waiting += hub
                .count("select (select count(*) from ap_deliveries where state = 'waiting') + (select count(*) from ap_received where state = 'waiting')")
                .await;
        }
        quiet = if waiting == 0 { quiet + 1 } else { 0 };
        assert!(
            start.elapsed().as_secs() < 90,
            "{waiting} are still under way"
        );
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    for hub in [&market.a, &market.b] {
        for table in ["ap_deliveries", "ap_received"] {
            let dead = format!("select count(*) from {table} where state = 'dead'");
            assert_eq!(hub.count(&dead).await, 0, "{}: {table}", hub.host);
        }
    }
}

/// How each offer stands, with all that both have signed of it.
async fn history(hub: &Hub) -> Vec<String> {
    let query = "select string_agg(line, E'\\n' order by line) from (select d.offer_uri || ' ' || e.status || ' ' || \
        coalesce(d.agreement_uri, '-') || ' ' || coalesce((select string_agg(x.uri || ' ' || x.version || ' ' || x.verdict, ', ' order by x.uri) \
        from hub.deal_documents x where x.exchange_id = e.id), '') as line \
        from hub.deals d join exchanges e on e.id = d.exchange_id join ap_actors p on p.id = d.proposer_id join ap_actors q on q.id = d.asker_id \
        where p.kind is null or q.kind is null) l";
    let lines = hub.text(query).await.unwrap_or_default();
    lines.lines().map(str::to_owned).collect()
}

async fn says(hub: &Hub, who: &Member, action: &str, input: Value) -> bool {
    let (status, body) = hub.tries(&who.person, action, input).await;
    assert!(matches!(status, 200 | 409), "{action}: {status} {body}");
    status == 200
}

fn lesson(n: usize) -> Value {
    json!({ "decl_type": "offer", "title": format!("Lesson {n}"), "exchange_type": "time_banking", "quantity": 1 + n % 3, "unit": "hour" })
}

#[tokio::test(flavor = "multi_thread")]
async fn r_45_what_both_sides_did_while_they_were_apart_ends_equal() {
    let market = Market::open_with(&[("MADE_OPEN_TIME_CREDIT_LIMIT", "1000")]).await;
    let (a, b, alice, bruno) = (&market.a, &market.b, &market.alice, &market.bruno);
    a.follows(alice, &bruno.handle).await;
    let carol = a.member("carol").await;
    let dao = found(
        a,
        alice,
        "Bikes",
        json!({ "quorum_pct": 25, "pass_threshold": 50 }),
    )
    .await;
    joins(a, alice, &dao, b, bruno).await;
    let asked = asks(a, alice, &dao, "Buy a truing stand", json!({})).await;
    let question = asked["uri"].as_str().unwrap().to_owned();
    b.counts(&format!("select count(*) from proposals where federated_ap_id = '{question}' and status = 'active'"), 1)
        .await;
    let mut lessons = Vec::new();
    for n in 0..4 {
        lessons.push(market.declares(lesson(n)).await);
    }
    let crossed = market.offers(json!({ "declaration": lessons[0] })).await;
    let disputed = market.agrees(json!({ "declaration": lessons[1] })).await;
    let good = market.agrees(json!({ "declaration": lessons[2] })).await;
    let countered = market.offers(json!({ "declaration": lessons[3] })).await;
    let lamp = json!({ "listing_type": "physical", "title": "The last lamp", "status": "active", "price_type": "free" });
    let lamp = alice.person.adds(&a.hub, "listings", lamp).await;
    let lamp_uri = lamp["federated_ap_id"].as_str().unwrap().to_owned();
    b.counts(
        &format!("select count(*) from listings where federated_ap_id = '{lamp_uri}'"),
        1,
    )
    .await;
    let wish = json!({ "decl_type": "need", "title": "A wheel", "exchange_type": "gift" });
    let wish = bruno.person.adds(&b.hub, "declarations", wish).await;
    let wish_uri = wish["federated_ap_id"].as_str().unwrap().to_owned();
    a.counts(
        &format!("select count(*) from declarations where federated_ap_id = '{wish_uri}'"),
        1,
    )
    .await;
    let post = a.posts(alice, json!({ "content": "A first word" })).await;
    b.reads_post(bruno, "A first word").await;

    part(&market);
    // Edits, more than once.
    for content in ["A second word", "A third word"] {
        a.changes(alice, "posts", &post, json!({ "content": content }))
            .await;
    }
    for title in ["A front wheel", "A rear wheel"] {
        b.changes(bruno, "declarations", &wish, json!({ "title": title }))
            .await;
    }
    // Votes, one of them changed.
    for choice in ["yes", "no"] {
        b.rpc(
            &bruno.person,
            "votes_cast",
            json!({ "proposal": question, "choice": choice }),
        )
        .await;
    }
    a.rpc(
        &alice.person,
        "votes_cast",
        json!({ "proposal": question, "choice": "yes" }),
    )
    .await;
    // One accepts what the other withdraws; they say different things of one, and the same of another.
    assert!(says(a, alice, "exchanges_accept", json!({ "id": crossed.1 })).await);
    assert!(says(b, bruno, "exchanges_withdraw", json!({ "id": crossed.0 })).await);
    assert!(
        says(
            b,
            bruno,
            "exchanges_confirm",
            json!({ "id": disputed.0, "verdict": "fulfilled" })
        )
        .await
    );
    assert!(
        says(
            a,
            alice,
            "exchanges_confirm",
            json!({ "id": disputed.1, "verdict": "cancelled" })
        )
        .await
    );
    assert!(
        says(
            a,
            alice,
            "exchanges_confirm",
            json!({ "id": good.1, "verdict": "fulfilled" })
        )
        .await
    );
    assert!(
        says(
            b,
            bruno,
            "exchanges_confirm",
            json!({ "id": good.0, "verdict": "fulfilled" })
        )
        .await
    );
    // One refuses what the other replaces.
    assert!(
        says(
            a,
            alice,
            "exchanges_reject",
            json!({ "id": countered.1, "reason": "Not today" })
        )
        .await
    );
    let newer = b
        .rpc(
            &bruno.person,
            "exchanges_counter",
            json!({ "id": countered.0, "terms": "Tomorrow" }),
        )
        .await;
    // Two want the last one; the seller's hub knows only of the nearer.
    let far = b
        .rpc(
            &bruno.person,
            "exchanges_propose",
            json!({ "listing": lamp_uri }),
        )
        .await;
    let near = a
        .rpc(
            &carol.person,
            "exchanges_propose",
            json!({ "listing": lamp_uri }),
        )
        .await;
    a.rpc(
        &alice.person,
        "exchanges_accept",
        json!({ "id": near["id"] }),
    )
    .await;
    an_hour_apart(&market).await;
    heal(&market).await;

    // Edits.
    let content = format!(
        "select content from posts where federated_ap_id = '{}'",
        a.url_of(&post).await
    );
    assert_eq!(b.text(&content).await, a.text(&content).await);
    let title = format!("select title from declarations where federated_ap_id = '{wish_uri}'");
    assert_eq!(a.text(&title).await.as_deref(), Some("Need: A rear wheel"));
    // Exchanges: whose offer it was decided.
    market.both_stand(&crossed.0, &crossed.1, "accepted").await;
    market
        .both_stand(&disputed.0, &disputed.1, "disputed")
        .await;
    market.both_stand(&good.0, &good.1, "completed").await;
    let newer_there = arrived(a, newer["offer"].as_str().unwrap()).await;
    market
        .both_stand(&id(&newer), &newer_there, "proposed")
        .await;
    stands(a, &id(&near), "accepted").await;
    stands(b, &id(&far), "rejected").await;
    let reason = format!("select reason from exchanges where id = '{}'", id(&far));
    assert!(matches!(
        b.text(&reason).await.as_deref(),
        Some("over_stock" | "not_active")
    ));
    b.counts(&format!("select count(*) from listings where federated_ap_id = '{lamp_uri}' and status = 'reserved'"), 1)
        .await;
    // Hours: one exchange is booked, on both hubs alike, and what is not decided is still promised.
    let books = market.books().await;
    assert_eq!(books.len(), 2, "{books:?}");
    // The dispute is settled, the other one ends, and then nothing is promised any more.
    market.alice_says(&disputed.1, "fulfilled").await;
    market
        .both_stand(&disputed.0, &disputed.1, "completed")
        .await;
    market.bruno_says(&crossed.0, "cancelled").await;
    market.both_stand(&crossed.0, &crossed.1, "cancelled").await;
    b.rpc(
        &bruno.person,
        "exchanges_withdraw",
        json!({ "id": newer["id"] }),
    )
    .await;
    market
        .both_stand(&id(&newer), &newer_there, "withdrawn")
        .await;
    assert_eq!(market.books().await.len(), 4);
    for hub in [a, b] {
        books_balance(hub).await;
    }
    // Votes: each once, the later word of who changed his mind, and a tie passes nothing.
    count_is_told(a).await;
    time_passes(a, &asked).await;
    let closed = comes_to(a, &asked, "rejected").await;
    assert_eq!(
        (&closed["tally"]["mo:yes"], &closed["tally"]["mo:no"]),
        (&json!("1"), &json!("1")),
        "{closed}"
    );
    b.counts(&format!("select count(*) from proposals where federated_ap_id = '{question}' and status = 'rejected'"), 1)
        .await;
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What the contract makes of the last words of two (R25), written down once more.
fn expected(one: &[&str], other: &[&str]) -> &'static str {
    if one.contains(&"fulfilled") && other.contains(&"fulfilled") {
        return "completed";
    }
    match (one.last(), other.last()) {
        (None, None) => "accepted",
        (Some(&"disputed"), _) | (_, Some(&"disputed")) => "disputed",
        (Some(&"fulfilled"), None) | (None, Some(&"fulfilled")) => "in_progress",
        (Some(&"cancelled"), None | Some(&"cancelled")) | (None, Some(&"cancelled")) => "cancelled",
        _ => "disputed",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_45_whatever_is_said_apart_comes_to_what_the_contract_makes_of_it() {
    let market = Market::open_with(&[("MADE_OPEN_TIME_CREDIT_LIMIT", "1000")]).await;
    let mut completed = 0;
    for seed in 0..3_u64 {
        let mut dice = Dice(seed.wrapping_mul(104_729) + 5);
        let mut pairs = Vec::new();
        for n in 0..5 {
            let uri = market.declares(lesson(n)).await;
            pairs.push(market.agrees(json!({ "declaration": uri })).await);
        }
        let mut words: Vec<[Vec<&str>; 2]> = vec![Default::default(); pairs.len()];
        // Apart twice, and together in between.
        for _ in 0..2 {
            part(&market);
            for _ in 0..9 {
                let (which, side) = (dice.roll(pairs.len()), dice.roll(2));
                let verdict = ["fulfilled", "fulfilled", "cancelled", "disputed"][dice.roll(4)];
                let (hub, who, id) = match side {
                    0 => (&market.a, &market.alice, &pairs[which].1),
                    _ => (&market.b, &market.bruno, &pairs[which].0),
                };
                let input = json!({ "id": id, "verdict": verdict });
                if says(hub, who, "exchanges_confirm", input).await {
                    words[which][side].push(verdict);
                }
            }
            for hub in [&market.a, &market.b] {
                hub.hurry().await;
            }
            heal(&market).await;
            assert_eq!(
                history(&market.a).await,
                history(&market.b).await,
                "seed {seed}"
            );
            for ((his, hers), [one, other]) in pairs.iter().zip(&words) {
                let expected = expected(one, other);
                let query = |id: &str| format!("select status from exchanges where id = '{id}'");
                for (hub, id) in [(&market.a, hers), (&market.b, his)] {
                    let found = hub.text(&query(id)).await;
                    assert_eq!(
                        found.as_deref(),
                        Some(expected),
                        "seed {seed}: {one:?} {other:?}"
                    );
                }
            }
        }
        completed += words
            .iter()
            .filter(|[one, other]| expected(one, other) == "completed")
            .count();
        // An hour is booked once on each hub for each that was completed, and none besides.
        assert_eq!(market.books().await.len(), 2 * completed, "seed {seed}");
        for hub in [&market.a, &market.b] {
            let lost = "select count(*) from (select sum(amount) as total from ledger_entries group by transfer_id) t where total <> 0";
            assert_eq!(hub.count(lost).await, 0, "seed {seed}");
        }
    }
}
