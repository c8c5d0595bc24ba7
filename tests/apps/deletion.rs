//! What the deletion of an account promises: closed at once, a week to come back, then gone, and what others share stays.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::administration::service_key;
use crate::factors::{Device, ask, get, post};
use crate::first_day::sign_in;
use crate::support::TestHub;
use crate::support::people::Person;

async fn wish(hub: &TestHub, person: &Person, input: Value) -> (u16, Value) {
    let answer = person
        .ask(hub, Method::POST, "/rest/v1/rpc/users_delete")
        .json(&input)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn number(admin: &Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

/// Let a week pass for the accounts that are closed, and wait for what follows.
async fn a_week_later(hub: &TestHub, admin: &Client) {
    admin
        .batch_execute(
            "update hub.closed_accounts set erase_at = erase_at - interval '7 days'; \
             update job_records set scheduled_for = now() where job_type = 'identity.erase_account';",
        )
        .await
        .unwrap();
    for _ in 0..200 {
        if number(
            admin,
            "select count(*) from hub.closed_accounts where erase_at is not null",
        )
        .await
            == 0
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let jobs: Vec<String> = admin
        .query("select row_to_json(j)::text from job_records j", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    panic!("nothing was erased on {}: {jobs:?}", hub.url);
}

#[tokio::test]
async fn an_account_is_deleted_by_its_holder_alone() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let mut ada = hub.sign_up("ada").await;
    let bob = hub.sign_up("bob").await;

    let anonymous = hub
        .ask(Method::POST, "/rest/v1/rpc/users_delete")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), 401);
    let (_, key) = service_key(&hub);
    let service = Person {
        token: key,
        ..ada.clone()
    };
    assert_eq!(
        wish(&hub, &service, json!({ "password": "ada walks the dog" }))
            .await
            .0,
        403
    );
    for (input, status, code) in [
        (json!({}), 403, "reauthentication_needed"),
        (
            json!({ "password": "bob walks the dog" }),
            403,
            "invalid_credentials",
        ),
        (json!({ "password": "" }), 403, "invalid_credentials"),
        (
            json!({ "password": "ada walks the dog", "id": bob.id }),
            400,
            "22023",
        ),
    ] {
        let (found, told) = wish(&hub, &ada, input.clone()).await;
        assert_eq!(
            (found, told["code"].as_str()),
            (status, Some(code)),
            "{input}: {told}"
        );
    }

    // Where there is a second factor, the password alone is not enough; the factor just shown is.
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, 0).await;
    let thief = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    let (status, told) = wish(&hub, &thief, json!({ "password": "ada walks the dog" })).await;
    assert_eq!(
        (status, told["code"].as_str()),
        (403, Some("insufficient_aal"))
    );
    let admin = hub.database.admin().await;
    admin
        .execute("update hub.sessions set amr = (select jsonb_agg(jsonb_set(m, '{timestamp}', to_jsonb((m ->> 'timestamp')::bigint - 10000)))
            from jsonb_array_elements(amr) m) where aal = 'aal2'", &[])
        .await
        .unwrap();
    let (status, told) = wish(&hub, &ada, json!({})).await;
    assert_eq!(
        (status, told["code"].as_str()),
        (403, Some("reauthentication_needed")),
        "shown long ago"
    );
    admin
        .execute("update hub.sessions set amr = (select jsonb_agg(jsonb_set(m, '{timestamp}', to_jsonb((m ->> 'timestamp')::bigint + 10000)))
            from jsonb_array_elements(amr) m) where aal = 'aal2'", &[])
        .await
        .unwrap();
    let (status, told) = wish(&hub, &ada, json!({})).await;
    assert_eq!(status, 200, "{told}");
    let due = told["erase_at"]
        .as_str()
        .unwrap()
        .parse::<chrono::DateTime<chrono::Utc>>()
        .unwrap();
    let days = (due - made_open::base::clock::now()).num_hours();
    assert!((167..=168).contains(&days), "{due}");
    assert_eq!(get(&hub, &thief.token, "user").await.0, 403);
    assert_eq!(get(&hub, &bob.token, "user").await.0, 200);
}

#[tokio::test]
async fn guessing_the_password_of_a_session_found_open_has_to_wait() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let mut statuses = Vec::new();
    for n in 0..7 {
        statuses.push(
            wish(
                &hub,
                &ada,
                json!({ "password": format!("a guess, the {n}th") }),
            )
            .await
            .0,
        );
    }
    assert_eq!(statuses[0], 403);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn closed_at_once_and_back_within_a_week() {
    let hub = TestHub::start().await;
    let founder = hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    let listing = json!({ "title": "Honey", "listing_type": "physical" });
    let listing = ada.adds(&hub, "listings", listing).await;
    let show = format!(
        "/rest/v1/listings?id=eq.{}",
        listing["id"].as_str().unwrap()
    );
    ada.ask(&hub, Method::PATCH, &show)
        .json(&json!({ "status": "active" }))
        .send()
        .await
        .unwrap();
    let profile = format!("/rest/v1/profiles?id=eq.{}", ada.id);
    for path in [&show, &profile] {
        assert_eq!(
            founder.reads(&hub, path).await.as_array().unwrap().len(),
            1,
            "{path}"
        );
        let anonymous: Value = hub.get(path).await.json().await.unwrap();
        assert_eq!(
            anonymous.as_array().map(Vec::len),
            Some(1),
            "{path}: {anonymous}"
        );
    }

    assert_eq!(
        wish(&hub, &ada, json!({ "password": "ada walks the dog" }))
            .await
            .0,
        200
    );
    for path in [&show, &profile] {
        assert_eq!(
            founder.reads(&hub, path).await,
            json!([]),
            "{path} is hidden"
        );
        let anonymous: Value = hub.get(path).await.json().await.unwrap();
        assert_eq!(anonymous, json!([]), "{path} is hidden");
    }
    let status = ada
        .ask(&hub, Method::GET, "/rest/v1/persons")
        .send()
        .await
        .unwrap()
        .status();
    assert_eq!(status, 401);
    let again = json!({ "email": "ada@example.org", "password": "ada walks the dog" });
    let (status, told) = post(&hub, &hub.anon, "token?grant_type=password", again).await;
    assert_eq!(
        (status, told["code"].as_str()),
        (400, Some("invalid_credentials"))
    );
    let refresh = json!({ "refresh_token": ada.refresh });
    assert_eq!(
        post(&hub, &hub.anon, "token?grant_type=refresh_token", refresh)
            .await
            .0,
        400
    );

    // Back again, everything as it was; the job of the old wish then finds nothing to do.
    let said = hub
        .cli(
            &["user", "restore", "--email", "ADA@example.org", "--json"],
            None,
        )
        .unwrap();
    assert!(said.contains(&ada.id.to_string()), "{said}");
    let ada = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    for path in [&show, &profile] {
        assert_eq!(
            founder.reads(&hub, path).await.as_array().unwrap().len(),
            1,
            "{path}"
        );
    }
    let admin = hub.database.admin().await;
    admin
        .batch_execute("update job_records set scheduled_for = now() where job_type = 'identity.erase_account'")
        .await
        .unwrap();
    for _ in 0..100 {
        if number(&admin, "select count(*) from job_records where job_type = 'identity.erase_account' and status in ('enqueued', 'running')").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        get(&hub, &ada.token, "user").await.0,
        200,
        "an old job removes nobody who came back"
    );

    // Once somebody else has the address, it is his.
    assert_eq!(
        wish(&hub, &ada, json!({ "password": "ada walks the dog" }))
            .await
            .0,
        200
    );
    let other = hub.sign_up("ada").await;
    assert_ne!(other.id, ada.id);
    let said = hub
        .cli(&["user", "restore", "--email", "ada@example.org"], None)
        .unwrap_err();
    assert!(said.contains("Somebody else"), "{said}");
    assert_eq!(get(&hub, &other.token, "user").await.0, 200);
}

#[tokio::test]
async fn gone_after_a_week_and_what_others_share_stays_without_the_name() {
    let hub = TestHub::start().await;
    let founder = hub.sign_up("founder").await;
    let mut ada = hub.sign_up("ada").await;
    let bob = hub.sign_up("bob").await;
    let admin = hub.database.admin().await;
    let (a, b) = (ada.id, bob.id);
    admin
        .execute(
            "update users set handle = 'ada' where id = $1::text::uuid",
            &[&a.to_string()],
        )
        .await
        .unwrap();

    // Her own: rows, a secret of the vault, a job, a factor.
    ada.adds(&hub, "persons", json!({ "name": "Rosa" })).await;
    ada.adds(&hub, "notes", json!({ "title": "mine" })).await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, 0).await;
    admin
        .batch_execute(&format!(
            "insert into job_records (owner_id, job_type, queue, scheduled_for) values ('{a}', 'x.y', 'background', now() + interval '1 year'); \
             insert into beta_signups (email, full_name) values ('Ada@example.org', 'Ada')"
        ))
        .await
        .unwrap();
    // Shared: a room with Bob, a DAO of hers with him in it, a vote, an exchange that she proposed.
    let room = ada
        .adds(&hub, "chat_channels", json!({ "name": "Garden" }))
        .await;
    let channel = room["id"].as_str().unwrap().to_owned();
    ada.adds(
        &hub,
        "channel_members",
        json!({ "channel_id": channel, "member_user_id": b }),
    )
    .await;
    ada.adds(
        &hub,
        "messages",
        json!({ "channel_id": channel, "body": "the hedge is done" }),
    )
    .await;
    let dao = ada
        .adds(
            &hub,
            "daos",
            json!({ "name": "Linden", "membership": "open", "slug": "linden" }),
        )
        .await;
    let dao_id = dao["id"].as_str().unwrap().to_owned();
    bob.adds(
        &hub,
        "dao_members",
        json!({ "dao_id": dao_id, "user_id": b }),
    )
    .await;
    let alone = ada
        .adds(&hub, "daos", json!({ "name": "Alone", "slug": "alone" }))
        .await;
    admin
        .batch_execute(&format!(
            "insert into proposals (id, dao_id, author_id, title) values ('00000000-0000-7000-8000-000000000001', '{dao_id}', '{a}', 'Plant'); \
             update proposals set status = 'active'; \
             insert into votes (proposal_id, user_id, choice, rationale, ballot) \
             values ('00000000-0000-7000-8000-000000000001', '{a}', 'yes', 'as ada I say', '{{\"voter\": \"ada\"}}'), \
                    ('00000000-0000-7000-8000-000000000001', '{b}', 'no', 'no', null); \
             insert into exchanges (id, owner_id, offer_user_id, need_user_id) values ('00000000-0000-7000-8000-000000000002', '{a}', '{a}', '{b}'); \
             insert into ledger_accounts (id, owner_id, credit_limit) values ('00000000-0000-7000-8000-00000000000a', '{a}', 9), ('00000000-0000-7000-8000-00000000000b', '{b}', 9); \
             insert into ledger_entries (account_id, transfer_id, amount, agreement) values \
               ('00000000-0000-7000-8000-00000000000a', '{a}', -1, 'x'), ('00000000-0000-7000-8000-00000000000b', '{a}', 1, 'x')"
        ))
        .await
        .unwrap();

    assert_eq!(wish(&hub, &ada, json!({})).await.0, 200);
    a_week_later(&hub, &admin).await;

    // Her actor says that it is gone a moment later.
    for _ in 0..100 {
        if number(
            &admin,
            &format!("select count(*) from ap_actors where row_id = '{a}'"),
        )
        .await
            == 0
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Nothing that names her is left in any table of the hub, but opaque ids in the journal and the log.
    let tables = admin
        .query(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname in ('public', 'hub') and c.relkind = 'r' and c.relname not in ('journal', 'audit_log', 'audit_seals', 'kinds')",
            &[],
        )
        .await
        .unwrap();
    let mut named = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let rows = admin
            .query(&format!("select t::text from {table} t where t::text ilike '%{a}%' or t::text ilike '%ada@example%' or t::text ilike '%as ada%' or t::text ilike '%\"ada\"%' or t::text ilike '%Rosa%'"), &[])
            .await
            .unwrap();
        named.extend(
            rows.iter()
                .map(|row| format!("{table}: {}", row.get::<_, String>(0))),
        );
    }
    named.retain(|row| {
        !row.starts_with("ledger_entries") && !row.contains("identity.erase_account")
    });
    assert!(named.is_empty(), "still named in\n{}", named.join("\n"));
    // The keys of actors that are gone sign their Delete; once everybody heard of it they are destroyed.
    let secrets_of_nobody = "select count(*) from vault_secrets v where not exists \
        (select from ap_keys k join ap_actors a on a.id = k.actor_id where k.secret_id = v.id and a.deleted_at is null)";
    for _ in 0..20 {
        admin
            .batch_execute(
                "update ap_actors set deleted_at = deleted_at - interval '2 hours' where deleted_at is not null; \
                 insert into job_records (job_type, queue, payload) values ('social.shred_keys', 'background', '{}'); notify hub_jobs",
            )
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        if number(&admin, secrets_of_nobody).await == 0 {
            break;
        }
    }
    assert_eq!(number(&admin, secrets_of_nobody).await, 0);
    for table in ["hub.factors", "persons", "notes"] {
        assert_eq!(
            number(&admin, &format!("select count(*) from {table}")).await,
            0,
            "{table}"
        );
    }
    assert_eq!(
        number(
            &admin,
            "select count(*) from job_records where job_type = 'x.y'"
        )
        .await,
        0
    );

    let messages = bob
        .reads(
            &hub,
            &format!("/rest/v1/messages?channel_id=eq.{channel}&select=body,sender_user_id"),
        )
        .await;
    assert_eq!(
        messages,
        json!([{ "body": "the hedge is done", "sender_user_id": null }])
    );
    let roles = bob
        .reads(
            &hub,
            &format!("/rest/v1/channel_members?channel_id=eq.{channel}&select=role,member_user_id"),
        )
        .await;
    assert_eq!(
        roles,
        json!([{ "role": "owner", "member_user_id": b }]),
        "the room has an owner again"
    );
    let kept = bob
        .reads(
            &hub,
            &format!("/rest/v1/daos?id=eq.{dao_id}&select=owner_id,dao_members(role,user_id)"),
        )
        .await;
    assert_eq!(
        kept,
        json!([{ "owner_id": b, "dao_members": [{ "role": "owner", "user_id": b }] }])
    );
    let alone = bob
        .reads(
            &hub,
            &format!("/rest/v1/daos?id=eq.{}", alone["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(alone, json!([]), "what had no other member went with her");
    let proposal = bob.reads(&hub, "/rest/v1/proposals?select=title,author_id,votes_yes,votes_no,votes(choice,user_id)&votes.order=choice").await;
    assert_eq!(
        proposal,
        json!([{ "title": "Plant", "author_id": null, "votes_yes": 1, "votes_no": 1,
            "votes": [{ "choice": "no", "user_id": b }, { "choice": "yes", "user_id": null }] }])
    );
    let exchange = bob
        .reads(
            &hub,
            "/rest/v1/exchanges?select=owner_id,offer_user_id,need_user_id",
        )
        .await;
    assert_eq!(
        exchange,
        json!([{ "owner_id": b, "offer_user_id": null, "need_user_id": b }])
    );
    assert_eq!(number(&admin, "select (sum(balance) * 10 + count(*) filter (where owner_id is null))::bigint from ledger_accounts").await, 1);

    // The address may be anybody's, the handle never.
    let other = hub.sign_up("ada").await;
    for handle in ["ada", "ADA"] {
        let taken = other
            .ask(
                &hub,
                Method::PATCH,
                &format!("/rest/v1/users?id=eq.{}", other.id),
            )
            .json(&json!({ "handle": handle }))
            .send()
            .await
            .unwrap();
        assert_eq!(taken.status(), 409);
        assert_eq!(taken.json::<Value>().await.unwrap()["code"], "23505");
    }
    assert!(
        hub.cli(&["user", "restore", "--email", "ada@example.org"], None)
            .is_err()
    );
    drop(founder);
}

#[tokio::test]
async fn a_restored_backup_does_not_bring_anybody_back() {
    let mut hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    let bob = hub.sign_up("bob").await;
    let (_, key) = service_key(&hub);
    assert_eq!(
        ask(
            &hub,
            Method::DELETE,
            &key,
            &format!("admin/users/{}", ada.id),
            None
        )
        .await
        .0,
        200
    );
    let file = std::fs::read_to_string(hub.data_dir.join("deletions")).unwrap();
    assert!(
        !file.contains(&ada.id.to_string()) && file.lines().count() == 1,
        "{file}"
    );

    // As after a restore of yesterday's dump: the row is there, the table of deletions knows nothing.
    let admin = hub.database.admin().await;
    admin
        .batch_execute(&format!(
            "delete from hub.deletions; delete from hub.taken_handles; \
             insert into users (id, email, name, handle) values ('{}', 'ada@example.org', 'Ada', 'ada')", ada.id
        ))
        .await
        .unwrap();
    hub.restart();
    for _ in 0..200 {
        if number(
            &admin,
            &format!("select count(*) from users where id = '{}'", ada.id),
        )
        .await
            == 0
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        number(
            &admin,
            &format!("select count(*) from users where id = '{}'", ada.id)
        )
        .await,
        0
    );
    assert_eq!(
        number(
            &admin,
            &format!("select count(*) from users where id = '{}'", bob.id)
        )
        .await,
        1
    );
    assert_eq!(
        number(&admin, "select count(*) from hub.deletions").await,
        1
    );
    assert_eq!(
        number(&admin, "select count(*) from hub.taken_handles").await,
        1
    );
}
