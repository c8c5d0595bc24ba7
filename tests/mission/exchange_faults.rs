//! Ten seeds of a bad network and of hubs that are killed: what is delivered late, twice and in any order, and what was under way
//! when the power went, ends with the same states, the same documents and the same books on both hubs.

use serde_json::json;

use super::trade::{Market, arrived, books_balance, id};
use crate::support::hubs::Hub;

/// From now on each delivery is late by a random time, in no order, and comes to the shared inbox as well.
async fn trouble(hub: &Hub) {
    let admin = hub.hub.database.admin().await;
    admin
        .batch_execute(
            "create function public.test_trouble() returns trigger language plpgsql as $$
             begin
                 new.lane := gen_random_uuid()::text;
                 new.next_at := now() + random() * interval '1200 milliseconds';
                 return new;
             end $$;
             create trigger test_trouble before insert on ap_deliveries for each row execute function public.test_trouble();
             create function public.test_twice() returns trigger language plpgsql as $$
             begin
                 if pg_trigger_depth() = 1 then
                     insert into ap_deliveries (activity_id, seq, host, inbox_url, lane)
                     values (new.activity_id, new.seq, new.host, regexp_replace(new.inbox_url, '/ap/actors/.*', '/ap/inbox'), new.lane)
                     on conflict do nothing;
                 end if;
                 return null;
             end $$;
             create trigger test_twice after insert on ap_deliveries for each row execute function public.test_twice();
             grant execute on function public.test_trouble(), public.test_twice() to public",
        )
        .await
        .unwrap();
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

/// How each agreement stands on a hub.
async fn states(hub: &Hub) -> String {
    hub.text(
        "select string_agg(d.offer_uri || ' ' || e.status || ' ' || coalesce(d.agreement_uri, '-') || ' ' || coalesce((select \
         string_agg(x.uri || x.verdict, ',' order by x.uri) from hub.deal_documents x where x.exchange_id = e.id and x.verdict = 'fulfilled'), ''), E'\\n' order by d.offer_uri) \
         from hub.deals d join exchanges e on e.id = d.exchange_id",
    )
    .await
    .unwrap_or_default()
}

async fn same(market: &Market, seed: u64) {
    let (at_a, at_b) = (states(&market.a).await, states(&market.b).await);
    assert_eq!(at_a, at_b, "seed {seed}");
}

async fn settled(market: &Market, seed: u64) {
    let start = std::time::Instant::now();
    let mut quiet = 0;
    loop {
        let mut waiting = 0;
        for hub in [&market.a, &market.b] {
            hub.hurry().await;
            waiting += hub
                .count("select (select count(*) from ap_deliveries where state = 'waiting') + (select count(*) from ap_received where state = 'waiting')")
                .await;
        }
        // What left one hub after it was looked at may not have been at the other when that was.
        quiet = if waiting == 0 { quiet + 1 } else { 0 };
        if quiet > 2 {
            return;
        }
        assert!(
            start.elapsed().as_secs() < 90,
            "seed {seed}: {waiting} are still under way"
        );
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_three_of_ten_seeds_of_trouble_end_equal_on_both_hubs() {
    trouble_of(0..3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_three_of_ten_seeds_of_trouble_end_equal_on_both_hubs() {
    trouble_of(3..6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_more_of_ten_seeds_of_trouble_end_equal_on_both_hubs() {
    trouble_of(6..8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_two_of_ten_seeds_of_trouble_end_equal_on_both_hubs() {
    trouble_of(8..10).await;
}

async fn trouble_of(seeds: std::ops::Range<u64>) {
    let mut market = Market::open_with(&[("MADE_OPEN_TIME_CREDIT_LIMIT", "1000")]).await;
    let mut all = Vec::new();
    for n in 0..6 {
        let row = json!({ "decl_type": if n % 3 == 2 { "need" } else { "offer" }, "title": format!("Number {n}"),
            "exchange_type": "time_banking", "quantity": 1 + n % 3, "unit": "hour" });
        all.push(market.declares(row).await);
    }
    for hub in [&market.a, &market.b] {
        trouble(hub).await;
    }
    for seed in seeds {
        let mut dice = Dice(seed.wrapping_mul(7_919) + 17);
        let mut pairs = Vec::new();
        for uri in all.drain(..2) {
            let made = market
                .b
                .rpc(
                    &market.bruno.person,
                    "exchanges_propose",
                    json!({ "declaration": uri }),
                )
                .await;
            pairs.push((id(&made), made["offer"].as_str().unwrap().to_owned()));
        }
        let mut hers = Vec::new();
        for (_, offer) in &pairs {
            hers.push(arrived(&market.a, offer).await);
        }
        let fatal = dice.roll(8);
        for step in 0..8 {
            if step == fatal {
                let hub = if dice.roll(2) == 0 {
                    &mut market.a
                } else {
                    &mut market.b
                };
                hub.kill();
                hub.restart();
            }
            let which = dice.roll(2);
            let (his, hers) = (pairs[which].0.clone(), hers[which].clone());
            let verdict = [
                "fulfilled",
                "fulfilled",
                "fulfilled",
                "fulfilled",
                "cancelled",
                "disputed",
            ][dice.roll(6)];
            let what = if step < 2 {
                dice.roll(5)
            } else {
                dice.roll(7) + 1
            };
            let (hub, who, action, input) = match what {
                0..=2 => (
                    &market.a,
                    &market.alice,
                    "exchanges_accept",
                    json!({ "id": hers }),
                ),
                3 => (
                    &market.b,
                    &market.bruno,
                    "exchanges_withdraw",
                    json!({ "id": his }),
                ),
                4 | 5 => (
                    &market.a,
                    &market.alice,
                    "exchanges_confirm",
                    json!({ "id": hers, "verdict": verdict }),
                ),
                _ => (
                    &market.b,
                    &market.bruno,
                    "exchanges_confirm",
                    json!({ "id": his, "verdict": verdict }),
                ),
            };
            // What cannot be said now is refused, and nothing else.
            let (status, body) = hub.tries(&who.person, action, input).await;
            assert!(
                matches!(status, 200 | 409 | 503),
                "seed {seed}: {action}: {status} {body}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(dice.roll(200) as u64)).await;
        }
        settled(&market, seed).await;
        same(&market, seed).await;
        // Whatever can still come to a good end is brought to it, in the same trouble.
        for _ in 0..2 {
            for ((his, _), hers) in pairs.iter().zip(&hers) {
                for (hub, who, id) in [
                    (&market.a, &market.alice, hers),
                    (&market.b, &market.bruno, his),
                ] {
                    let input = json!({ "id": id, "verdict": "fulfilled" });
                    let (status, body) = hub.tries(&who.person, "exchanges_confirm", input).await;
                    assert!(
                        matches!(status, 200 | 409 | 503),
                        "seed {seed}: {status} {body}"
                    );
                }
            }
            settled(&market, seed).await;
        }
        same(&market, seed).await;
        drop(market.books().await);
    }
    for hub in [&market.a, &market.b] {
        hub.counts("select count(*) from (select sum(amount) as total from ledger_entries group by transfer_id) t where total <> 0", 0)
            .await;
        // What is booked is booked once, for an exchange that is completed.
        hub.counts(
            "select count(*) from exchanges e join hub.deals d on d.exchange_id = e.id where (e.status = 'completed') \
             <> exists (select from ledger_entries l where l.agreement = d.agreement_uri)",
            0,
        )
        .await;
        // Nothing stays promised of what is over.
        hub.counts(
            "select count(*) from hub.ledger_holds h join hub.deals d on d.offer_uri = h.key join exchanges e on e.id = d.exchange_id \
             where e.status in ('completed', 'cancelled', 'rejected', 'withdrawn')",
            0,
        )
        .await;
    }
    let done = market
        .b
        .count("select count(*) from exchanges where status = 'completed'")
        .await;
    assert!(done > 0, "no seed came to an end");
    books_balance_of_what_is_over(&market).await;
}

async fn books_balance_of_what_is_over(market: &Market) {
    for hub in [&market.a, &market.b] {
        let open = hub.count("select count(*) from hub.ledger_holds").await;
        if open == 0 {
            books_balance(hub).await;
        }
    }
}
