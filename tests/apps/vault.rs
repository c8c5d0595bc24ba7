//! The vault as people, services and attackers meet it: what is written in clear is sealed and goes with its row, nobody
//! plants another's secret, and the functions that Agentopia knows keep their checks (AG-37..47).

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::people::Person;
use crate::support::{TestDatabase, TestHub};

/// A key for services of this hub.
pub fn service_key(hub: &TestHub) -> String {
    let said = hub
        .cli(
            &[
                "token",
                "create",
                "--role",
                "service_role",
                "--name",
                "test",
                "--json",
            ],
            None,
        )
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    said["token"].as_str().unwrap().to_owned()
}

/// Call an action with somebody's token.
async fn calls(hub: &TestHub, token: &str, function: &str, input: Value) -> (StatusCode, Value) {
    let answer = hub
        .ask(Method::POST, &format!("/rest/v1/rpc/{function}"))
        .bearer_auth(token)
        .json(&input)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn does(hub: &TestHub, person: &Person, function: &str, input: Value) -> Value {
    let (status, body) = calls(hub, &person.token, function, input).await;
    assert!(status.is_success(), "{function}: {status} {body}");
    body
}

async fn writes(
    hub: &TestHub,
    person: &Person,
    method: Method,
    path: &str,
    prefer: &str,
    body: Value,
) -> (StatusCode, Value) {
    let answer = person
        .ask(hub, method, &format!("/rest/v1/{path}"))
        .header("Prefer", prefer)
        .json(&body)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn number(admin: &Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

async fn secrets(admin: &Client) -> i64 {
    number(admin, "select count(*) from public.vault_secrets").await
}

async fn text(admin: &Client, sql: &str) -> String {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_in_clear_is_sealed_and_goes_with_its_row() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let opens = async |id: &str| {
        calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id }))
            .await
            .1
    };
    let key = |provider: &str| {
        format!("select api_key from public.key_store where provider = '{provider}'")
    };

    // One row, and several.
    let row = amina
        .adds(
            &hub,
            "key_store",
            json!({ "provider": "openrouter", "api_key": "sk-one" }),
        )
        .await;
    assert!(
        row["api_key"].as_str().unwrap().parse::<Uuid>().is_ok(),
        "{row}"
    );
    let bulk =
        json!([{ "provider": "a", "api_key": "sk-a" }, { "provider": "b", "api_key": "sk-b" }]);
    let (status, _) = writes(
        &hub,
        &amina,
        Method::POST,
        "key_store",
        "return=minimal",
        bulk,
    )
    .await;
    assert_eq!((status.as_u16(), secrets(&admin).await), (201, 3));
    let first = text(&admin, &key("openrouter")).await;
    assert_eq!(opens(&first).await, "sk-one");
    assert_eq!(opens(&text(&admin, &key("b")).await).await, "sk-b");

    // Replaced: the old one is forgotten. A verified key is unverified again.
    admin
        .batch_execute("update public.key_store set verified = true")
        .await
        .unwrap();
    let one = "key_store?provider=eq.openrouter";
    let (status, body) = writes(
        &hub,
        &amina,
        Method::PATCH,
        &format!("{one}&select=provider,verified"),
        "return=representation",
        json!({ "api_key": "sk-two" }),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &body[0]["verified"]),
        (200, &json!(false))
    );
    let second = text(&admin, &key("openrouter")).await;
    assert_eq!(
        (opens(&second).await, secrets(&admin).await),
        (json!("sk-two"), 3)
    );
    assert_eq!(opens(&first).await["code"], "vault.not_found");

    // A dry run leaves nothing, nor does a filter that meets nothing, nor a duplicate that is ignored.
    let upsert = "key_store?on_conflict=user_id,provider";
    for (method, path, prefer, body) in [
        (
            Method::PATCH,
            one,
            "tx=rollback",
            json!({ "api_key": "sk-three" }),
        ),
        (
            Method::PATCH,
            "key_store?provider=eq.none",
            "return=minimal",
            json!({ "api_key": "sk-three" }),
        ),
        (
            Method::POST,
            upsert,
            "resolution=ignore-duplicates",
            json!({ "provider": "a", "api_key": "sk-three" }),
        ),
    ] {
        let (status, body) = writes(&hub, &amina, method, path, prefer, body).await;
        assert!(status.is_success(), "{path} {prefer}: {status} {body}");
        assert_eq!(secrets(&admin).await, 3, "{path} {prefer}");
    }
    assert_eq!(text(&admin, &key("openrouter")).await, second);
    let merged =
        json!([{ "provider": "a", "api_key": "sk-four" }, { "provider": "c", "api_key": "sk-c" }]);
    let (status, _) = writes(
        &hub,
        &amina,
        Method::POST,
        upsert,
        "resolution=merge-duplicates",
        merged,
    )
    .await;
    assert!(status.is_success());
    assert_eq!(secrets(&admin).await, 4);
    assert_eq!(opens(&text(&admin, &key("a")).await).await, "sk-four");

    // Forms and tables.
    for (content_type, body) in [
        ("text/csv", "provider,api_key\ncsv,sk-csv"),
        (
            "application/x-www-form-urlencoded",
            "provider=form&api_key=sk-form",
        ),
    ] {
        let answer = amina
            .ask(&hub, Method::POST, "/rest/v1/key_store")
            .header("Content-Type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{content_type}");
    }
    assert_eq!(opens(&text(&admin, &key("csv")).await).await, "sk-csv");

    // One statement for several rows: they share a secret until the last of them lets go.
    let (status, _) = writes(
        &hub,
        &amina,
        Method::PATCH,
        "key_store?provider=in.(a,b)",
        "return=minimal",
        json!({ "api_key": "sk-both" }),
    )
    .await;
    assert_eq!((status.as_u16(), secrets(&admin).await), (204, 5));
    let delete = async |filter: &str| {
        let answer = amina
            .ask(&hub, Method::DELETE, &format!("/rest/v1/{filter}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    };
    delete("key_store?provider=eq.a").await;
    assert_eq!(secrets(&admin).await, 5);
    assert_eq!(opens(&text(&admin, &key("b")).await).await, "sk-both");
    delete("key_store?provider=eq.b").await;
    assert_eq!(secrets(&admin).await, 4);

    // A calendar's tokens; the account takes everything with it.
    let tokens = json!({ "access_token": "ya29", "refresh_token": "1//refresh", "expiry_date": 1_790_000_000_000_i64 });
    amina.adds(&hub, "user_calendar_tokens", tokens).await;
    assert_eq!(secrets(&admin).await, 6);
    let (status, _) = writes(
        &hub,
        &amina,
        Method::PATCH,
        "user_calendar_tokens?google_email=is.null",
        "return=minimal",
        json!({ "refresh_token": null }),
    )
    .await;
    assert_eq!((status.as_u16(), secrets(&admin).await), (204, 5));
    admin
        .batch_execute(&format!(
            "delete from public.users where id = '{}'",
            amina.id
        ))
        .await
        .unwrap();
    assert_eq!(secrets(&admin).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_keep_their_form_and_their_secrets_are_in_the_vault() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let emre = hub.sign_up("emre").await;
    let service = service_key(&hub);

    let config = json!({ "api_key": "pc-1", "environment": "eu", "index": { "name": "x", "credentials": { "user": "u", "pass": "p" } } });
    let row = json!({ "name": "notes", "type": "pinecone", "config": config });
    let stored = amina.adds(&hub, "datastores", row).await;
    let stored = &stored["config"];
    assert_eq!(stored["environment"], "eu");
    assert_eq!(stored["index"]["credentials"]["is_json"], true);
    let id = stored["api_key"]["vault_id"].as_str().unwrap();
    assert_eq!(secrets(&admin).await, 2);
    let (_, opened) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!(opened, "pc-1");

    // Written back as it was read: what is linked stays, what is new is sealed, what is gone is forgotten.
    let mut again = stored.clone();
    again["environment"] = json!("us");
    again["index"]["credentials"] = json!("a text now");
    let change = json!({ "config": again });
    let (status, body) = writes(
        &hub,
        &amina,
        Method::PATCH,
        "datastores?name=eq.notes",
        "return=representation",
        change,
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body[0]["config"]["api_key"], stored["api_key"]);
    assert_ne!(
        body[0]["config"]["index"]["credentials"],
        stored["index"]["credentials"]
    );
    assert_eq!(secrets(&admin).await, 2);

    // Text in the place of settings is read; when it is no JSON it is sealed whole.
    for (config, sealed) in [
        (json!("{\"token\": \"in a text\", \"open\": 1}"), "token"),
        (json!("Server=h;Pwd=in a string"), "vault_id"),
    ] {
        let row = json!({ "name": "text", "type": "getzep", "config": config });
        let stored = amina.adds(&hub, "datastores", row).await;
        assert!(stored["config"].get(sealed).is_some(), "{stored}");
        assert!(!stored.to_string().contains("in a "), "{stored}");
    }

    // Somebody else's vault id is a text like any other: sealed, not linked, and as good as a random one.
    for planted in [id.to_owned(), Uuid::new_v4().to_string()] {
        for config in [
            json!({ "api_key": { "vault_id": planted } }),
            json!({ "environment": { "vault_id": planted } }),
            json!({ "vault_id": planted }),
            json!([{ "x": { "vault_id": planted, "is_json": true } }]),
        ] {
            let row = json!({ "name": "mine", "type": "pinecone", "config": config });
            let stored = emre.adds(&hub, "datastores", row).await;
            assert!(!stored["config"].to_string().contains(&planted), "{stored}");
        }
        let key = json!({ "provider": planted, "api_key": planted });
        emre.adds(&hub, "key_store", key).await;
        let held = text(
            &admin,
            &format!("select api_key from public.key_store where provider = '{planted}'"),
        )
        .await;
        assert_ne!(held, planted);
        let (_, opened) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": held })).await;
        assert_eq!(opened, planted.as_str(), "sealed as text");
    }
    emre.ask(&hub, Method::DELETE, "/rest/v1/datastores?name=eq.mine")
        .send()
        .await
        .unwrap();
    let (_, opened) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!(opened, "pc-1", "another's deletion does not reach it");
    // His own secret of another column is not linked either.
    let own = does(
        &hub,
        &emre,
        "create_vault_secret",
        json!({ "p_secret": "by itself" }),
    )
    .await;
    let row =
        json!({ "name": "own", "type": "pinecone", "config": { "api_key": { "vault_id": own } } });
    let stored = emre.adds(&hub, "datastores", row).await;
    assert_ne!(stored["config"]["api_key"]["vault_id"], own);

    let long = json!({ "provider": "long", "api_key": "x".repeat(70_000) });
    let (status, body) = writes(
        &hub,
        &amina,
        Method::POST,
        "key_store",
        "return=minimal",
        long,
    )
    .await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (400, &json!("vault.too_long"))
    );
}

/// AG-37, AG-38, AG-17..20, MO-58: by themselves, as credentials, as connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_opened_by_services_only() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let emre = hub.sign_up("emre").await;
    let service = service_key(&hub);

    let secret = json!({ "p_secret": "refresh-me", "p_name": "gmail", "p_description": "a token" });
    let id = does(&hub, &amina, "create_vault_secret", secret.clone()).await;
    let id = id.as_str().unwrap().to_owned();
    let (status, _) = calls(&hub, &amina.token, "create_vault_secret", secret).await;
    assert_eq!(status, 409, "a name is used once");
    let (status, body) = calls(
        &hub,
        &amina.token,
        "create_vault_secret",
        json!({ "p_secret": "x", "p_name": "credential:twilio:x" }),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (400, &json!("vault.name_reserved"))
    );

    // The owner, a stranger and the developer are told the same of this id, of a random one and of no id at all.
    let mut answers = BTreeSet::new();
    for person in [&amina, &emre] {
        for asked in [id.clone(), Uuid::new_v4().to_string(), "x".to_owned()] {
            let (status, body) = calls(
                &hub,
                &person.token,
                "vault_decrypt",
                json!({ "vault_id": asked }),
            )
            .await;
            answers.insert(format!("{status} {body}"));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().starts_with("403"), "{answers:?}");
    let anonymous = hub
        .ask(Method::POST, "/rest/v1/rpc/vault_decrypt")
        .json(&json!({ "vault_id": id }))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), 401);
    let anonymous = hub
        .ask(Method::POST, "/rest/v1/rpc/create_vault_secret")
        .json(&json!({ "p_secret": "x" }))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), 401);
    assert_eq!(
        number(
            &admin,
            "select count(*) from public.audit_log where resource_type = 'vault_secrets' and action = 'read'"
        )
        .await,
        0
    );

    let (status, opened) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!((status.as_u16(), opened), (200, json!("refresh-me")));
    for unknown in [Uuid::new_v4().to_string(), "x".to_owned()] {
        let (status, body) = calls(
            &hub,
            &service,
            "vault_decrypt",
            json!({ "vault_id": unknown }),
        )
        .await;
        assert_eq!(
            (status.as_u16(), &body["code"]),
            (404, &json!("vault.not_found"))
        );
    }
    // What the hub keeps for itself is not for services.
    let kept = format!("update public.vault_secrets set purpose = 'totp.seed' where id = '{id}'");
    admin.batch_execute(&kept).await.unwrap();
    let (status, body) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (404, &json!("vault.not_found"))
    );
    admin
        .batch_execute("update public.vault_secrets set purpose = 'vault_secrets.secret'")
        .await
        .unwrap();

    // Each opening is in its owner's audit log, without the value.
    let seen = amina
        .reads(&hub, "/rest/v1/audit_log?select=action,actor_type,resource_id,outcome,metadata&resource_type=eq.vault_secrets&action=eq.read")
        .await;
    let expected = json!([{
        "action": "read", "actor_type": "service", "resource_id": id, "outcome": "allowed",
        "metadata": { "purpose": "vault_secrets.secret" },
    }]);
    assert_eq!(seen, expected);
    assert_eq!(
        emre.reads(
            &hub,
            "/rest/v1/audit_log?resource_type=eq.vault_secrets&action=eq.read"
        )
        .await,
        json!([])
    );

    // Credentials: the row has names, the vault has values; stored again, they replace what was there.
    let store = |secrets: Value| json!({ "credential_type": "twilio", "display_info": "+41 00", "secrets": secrets });
    let stored = does(
        &hub,
        &amina,
        "user_credentials_store",
        store(json!({ "sid": "AC1", "auth_token": "tw-1" })),
    )
    .await;
    assert_eq!(
        stored["vault_keys"],
        json!(["credential:twilio:auth_token", "credential:twilio:sid"])
    );
    assert_eq!(secrets(&admin).await, 3);
    does(
        &hub,
        &amina,
        "user_credentials_store",
        store(json!({ "auth_token": "tw-2" })),
    )
    .await;
    assert_eq!(secrets(&admin).await, 2);
    let rows = amina
        .reads(
            &hub,
            "/rest/v1/user_credentials?select=vault_keys,display_info",
        )
        .await;
    assert_eq!(
        rows,
        json!([{ "vault_keys": ["credential:twilio:auth_token"], "display_info": "+41 00" }])
    );
    for (wrong, code) in [
        (store(json!({})), "credential.secrets"),
        (store(json!({ "a b": "x" })), "credential.secret_name"),
        (store(json!({ "pin": "41" })), "credential.display_info"),
        (
            json!({ "credential_type": "nothing", "secrets": { "a": "x" } }),
            "23514",
        ),
    ] {
        let (status, body) = calls(&hub, &amina.token, "user_credentials_store", wrong).await;
        assert!(status.is_client_error(), "{body}");
        assert_eq!(body["code"], code);
    }
    assert_eq!(secrets(&admin).await, 2);
    let (status, _) = calls(
        &hub,
        &emre.token,
        "user_credentials_remove",
        json!({ "credential_type": "twilio" }),
    )
    .await;
    assert_eq!(status, 404);
    does(
        &hub,
        &amina,
        "user_credentials_remove",
        json!({ "credential_type": "twilio" }),
    )
    .await;
    assert_eq!(secrets(&admin).await, 1);

    // Connections: by a vault id of one's own, or by the action; another's id is like none.
    let provider = text(&admin, "insert into public.service_providers (name, provider_type) values ('gmail', 'oauth') returning id::text").await;
    let connection = |id: &str| json!({ "service_provider_id": provider, "credential_type": "oauth", "vault_access_token_id": id });
    amina
        .adds(&hub, "user_integration_credentials", connection(&id))
        .await;
    let mut answers = BTreeSet::new();
    for asked in [id.clone(), Uuid::new_v4().to_string()] {
        let (status, body) = writes(
            &hub,
            &emre,
            Method::POST,
            "user_integration_credentials",
            "return=minimal",
            connection(&asked),
        )
        .await;
        answers.insert(format!(
            "{status} {}",
            body.to_string().replace(&asked, "…")
        ));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().starts_with("409"), "{answers:?}");

    let connect = json!({
        "service_provider_id": provider, "credential_type": "oauth", "access_token": "at-1", "refresh_token": "rt-1",
        "connection_name": "mail", "connection_metadata": { "smtp_password": "pw", "host": "h" }, "scopes_granted": ["read"],
        "token_expires_at": "2027-01-01T00:00:00Z",
    });
    let connected = does(
        &hub,
        &emre,
        "user_integration_credentials_connect",
        connect.clone(),
    )
    .await;
    assert_eq!(secrets(&admin).await, 4);
    let row = emre
        .reads(&hub, "/rest/v1/user_integration_credentials?select=*")
        .await;
    assert_eq!(row[0]["connection_metadata"]["host"], "h");
    assert_eq!(
        (
            &row[0]["encrypted_access_token"],
            &row[0]["connection_status"]
        ),
        (&Value::Null, &json!("active"))
    );
    assert!(
        row[0]["connection_metadata"]["smtp_password"]["vault_id"].is_string(),
        "{row}"
    );
    let access = row[0]["vault_access_token_id"].as_str().unwrap();
    let (_, opened) = calls(
        &hub,
        &service,
        "vault_decrypt",
        json!({ "vault_id": access }),
    )
    .await;
    assert_eq!(opened, "at-1");
    let renew = json!({
        "id": connected, "service_provider_id": provider, "credential_type": "oauth", "access_token": "at-2",
    });
    does(
        &hub,
        &emre,
        "user_integration_credentials_connect",
        renew.clone(),
    )
    .await;
    assert_eq!(
        secrets(&admin).await,
        4,
        "the old access token is gone, the refresh token stays"
    );
    let (status, _) = calls(
        &hub,
        &amina.token,
        "user_integration_credentials_connect",
        renew,
    )
    .await;
    assert_eq!(status, 404);
    assert_eq!(secrets(&admin).await, 4);
    for person in [&amina, &emre] {
        let gone = person
            .ask(
                &hub,
                Method::DELETE,
                "/rest/v1/user_integration_credentials?id=not.is.null",
            )
            .send()
            .await
            .unwrap();
        assert_eq!(gone.status(), 204);
    }
    assert_eq!(secrets(&admin).await, 0);
}

/// A hub of an earlier version stored some of these in clear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lay_in_clear_is_sealed_at_the_start() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    admin
        .batch_execute(
            "insert into public.users (id, email) values ('01890000-0000-7000-8000-000000000001', 'old@example.org');
             insert into public.key_store (user_id, provider, api_key)
                 select '01890000-0000-7000-8000-000000000001', 'p' || n, 'sk-' || n from generate_series(1, 450) n;
             insert into public.datastores (created_by_user_id, name, type, config)
                 values ('01890000-0000-7000-8000-000000000001', 'a', 'pinecone', '{\"api_key\": \"pc\", \"open\": 1}')",
        )
        .await
        .unwrap();
    let hub = TestHub::start_on(database, &[]).await;
    assert_eq!(secrets(&admin).await, 451);
    let service = service_key(&hub);
    let id = text(
        &admin,
        "select api_key from public.key_store where provider = 'p7'",
    )
    .await;
    let (_, opened) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": id })).await;
    assert_eq!(opened, "sk-7");
    let config = text(&admin, "select config::text from public.datastores").await;
    assert!(
        config.contains("vault_id") && !config.contains("pc"),
        "{config}"
    );
    let clear = number(
        &admin,
        "select count(*) from public.key_store where api_key like 'sk-%'",
    )
    .await;
    assert_eq!(clear, 0);
}

/// The columns that are sealed before they are written are those whose secrets are forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_is_forgotten() {
    let database = TestDatabase::new().await;
    let admin = database.admin().await;
    let named = text(
        &admin,
        "select pg_get_triggerdef(oid) from pg_trigger where tgname = 'vault_secrets_named'",
    )
    .await;
    for sealed in made_open::domains::vault::sealing::SEALED {
        for (column, _) in sealed.columns {
            for trigger in ["deleted", "replaced"] {
                let arguments = text(
                    &admin,
                    &format!(
                        "select encode(tgargs, 'escape') from pg_trigger where tgname = '{}_forget_{trigger}'",
                        sealed.kind
                    ),
                )
                .await;
                assert!(
                    arguments.split("\\000").any(|argument| argument == *column),
                    "{arguments}"
                );
            }
            assert!(
                named.contains(&format!("'{}.{column}'", sealed.kind)),
                "{named}"
            );
        }
    }
}

/// Whatever was written in clear through any of the doors stands in no column of no table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_holds_none_of_the_secrets_that_were_written() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    let mut written = Vec::new();
    let mut secret = |name: &str| {
        let value = format!("hush-{name}-{}", Uuid::new_v4().simple());
        written.push(value.clone());
        value
    };

    let row = json!({ "provider": "a", "api_key": secret("key") });
    amina.adds(&hub, "key_store", row).await;
    let change = json!({ "api_key": secret("patched") });
    writes(
        &hub,
        &amina,
        Method::PATCH,
        "key_store?provider=eq.a",
        "return=minimal",
        change,
    )
    .await;
    let tokens = json!({ "access_token": secret("access"), "refresh_token": secret("refresh") });
    amina.adds(&hub, "user_calendar_tokens", tokens).await;
    let config = json!({ "api_key": secret("pinecone"), "nested": [{ "Password": secret("nested") }], "dsn": format!("postgres://u:{}@h/d", secret("dsn")) });
    let row = json!({ "name": "a", "type": "pinecone", "config": config });
    amina.adds(&hub, "datastores", row).await;
    let config = json!({ "authToken": secret("twilio"), "headers": { "Authorization": format!("Bearer {}", secret("header")) } });
    let row = json!({ "plugin_id": "io.twilio.sms", "type": "sms", "name": "a", "config": config });
    amina.adds(&hub, "channels", row).await;
    let input = json!({ "p_secret": secret("by itself"), "p_name": "a" });
    let kept = does(&hub, &amina, "create_vault_secret", input).await;
    let input =
        json!({ "credential_type": "openrouter", "secrets": { "api_key": secret("credential") } });
    does(&hub, &amina, "user_credentials_store", input).await;
    let provider = text(&admin, "insert into public.service_providers (name, provider_type) values ('gmail', 'oauth') returning id::text").await;
    let input = json!({
        "service_provider_id": provider, "credential_type": "oauth", "access_token": secret("at"),
        "refresh_token": secret("rt"), "connection_metadata": { "client_secret": secret("client") },
    });
    does(&hub, &amina, "user_integration_credentials_connect", input).await;
    // Opened, denied and mistaken: neither the audit log nor anything else repeats it.
    let (status, _) = calls(&hub, &service, "vault_decrypt", json!({ "vault_id": kept })).await;
    assert_eq!(status, 200);
    let wrong = json!({ "provider": "a", "api_key": secret("refused"), "nothing": 1 });
    let (status, _) = writes(
        &hub,
        &amina,
        Method::POST,
        "key_store",
        "return=minimal",
        wrong,
    )
    .await;
    assert_eq!(status, 400);
    let key_file = std::fs::read_to_string(hub.data_dir.join("vault.key")).unwrap();
    let master = key_file.lines().last().unwrap().split(' ').nth(1).unwrap();
    written.push(master.to_owned());

    let columns = admin
        .query(
            "select c.relnamespace::regnamespace::text, c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid \
             where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped \
             and (c.relnamespace::regnamespace::text in ('public', 'hub', 'auth'))",
            &[],
        )
        .await
        .unwrap();
    assert!(columns.len() > 1000);
    let mut searched = 0;
    for column in columns {
        let (schema, table, name): (String, String, String) =
            (column.get(0), column.get(1), column.get(2));
        // Bytes are searched as bytes: as text they would be hexadecimal digits.
        let found = admin
            .query(
                &format!(
                    "with t as (select case when pg_typeof(\"{name}\") = 'bytea'::regtype then \"{name}\"::text \
                     else encode(convert_to(\"{name}\"::text, 'UTF8'), 'hex') end as held from \"{schema}\".\"{table}\") \
                     select s from t, unnest($1::text[]) s where position(encode(convert_to(s, 'UTF8'), 'hex') in held) > 0"
                ),
                &[&written],
            )
            .await
            .unwrap();
        assert!(
            found.is_empty(),
            "{schema}.{table}.{name} holds {:?}",
            found[0].get::<_, String>(0)
        );
        searched += 1;
    }
    assert!(searched > 1000);
    // The search finds what is there.
    let seen = number(&admin, "select count(*) from public.users where position('616d696e61' in encode(convert_to(email, 'UTF8'), 'hex')) > 0").await;
    assert_eq!(seen, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ciphertext_that_was_moved_does_not_open() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let emre = hub.sign_up("emre").await;
    let service = service_key(&hub);
    let hers = does(
        &hub,
        &amina,
        "create_vault_secret",
        json!({ "p_secret": "hers" }),
    )
    .await;
    let his = does(
        &hub,
        &emre,
        "create_vault_secret",
        json!({ "p_secret": "his" }),
    )
    .await;
    let (hers, his) = (hers.as_str().unwrap(), his.as_str().unwrap());
    for moved in [
        format!(
            "update public.vault_secrets t set wrapped_key = f.wrapped_key, sealed = f.sealed from public.vault_secrets f where t.id = '{his}' and f.id = '{hers}'"
        ),
        format!(
            "update public.vault_secrets set owner_id = '{}' where id = '{hers}'",
            emre.id
        ),
        format!(
            "update public.vault_secrets set purpose = 'key_store.api_key' where id = '{hers}'"
        ),
    ] {
        admin.batch_execute(&moved).await.unwrap();
        let asked = if moved.contains("set wrapped_key") {
            his
        } else {
            hers
        };
        let (status, body) = calls(
            &hub,
            &service,
            "vault_decrypt",
            json!({ "vault_id": asked }),
        )
        .await;
        assert_eq!(
            (status.as_u16(), &body["code"]),
            (409, &json!("vault.unreadable")),
            "{moved}"
        );
        let said = hub.cli(&["vault", "check", "--json"], None).unwrap_err();
        assert!(said.contains(asked) && said.contains("damaged"), "{said}");
    }
}

/// S-124: what a client may not write is refused by name. S-136: the vault's table has no route, not even for services.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_124_s_136_the_vault_has_no_generic_door() {
    let hub = TestHub::start().await;
    let amina = hub.sign_up("amina").await;
    let service = service_key(&hub);
    does(
        &hub,
        &amina,
        "create_vault_secret",
        json!({ "p_secret": "x" }),
    )
    .await;
    for token in [&amina.token, &service] {
        for (method, path) in [
            (Method::GET, "vault_secrets"),
            (Method::GET, "vault_secrets?select=id,sealed"),
            (Method::POST, "vault_secrets"),
            (Method::PATCH, "vault_secrets?id=not.is.null"),
            (Method::DELETE, "vault_secrets?id=not.is.null"),
            (
                Method::GET,
                "user_integration_credentials?select=*,vault_secrets(*)",
            ),
        ] {
            let answer = hub
                .ask(method.clone(), &format!("/rest/v1/{path}"))
                .bearer_auth(token)
                .json(&json!({}))
                .send()
                .await
                .unwrap();
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_client_error(), "{method} {path}: {status} {body}");
            assert!(!body.contains("wrapped_key"), "{body}");
        }
    }
    for (table, body, field) in [
        (
            "user_credentials",
            json!({ "credential_type": "twilio", "vault_keys": ["a"] }),
            "vault_keys",
        ),
        (
            "key_store",
            json!({ "provider": "a", "api_key": "x", "verified": true }),
            "verified",
        ),
        (
            "key_store",
            json!({ "provider": "a", "api_key": "x", "created_at": "2020-01-01" }),
            "created_at",
        ),
    ] {
        let (status, said) =
            writes(&hub, &amina, Method::POST, table, "return=minimal", body).await;
        assert!(status.is_client_error(), "{table} {field}: {status}");
        assert!(said.to_string().contains(field), "{said}");
    }
}

/// AG-39..47: who may, and what follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agentopias_functions_check_who_owns_what() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let emre = hub.sign_up("emre").await;
    let agent = amina.adds(&hub, "agents", json!({ "name": "Iris" })).await;
    let task = amina
        .adds(
            &hub,
            "agent_tasks",
            json!({ "agent_id": agent["id"], "name": "report" }),
        )
        .await;
    let provider = text(&admin, "insert into public.service_providers (name, provider_type) values ('gmail', 'oauth') returning id::text").await;
    let connect = json!({ "service_provider_id": provider, "credential_type": "oauth", "access_token": "t", "scopes_granted": ["read", "send"] });
    let connection = does(
        &hub,
        &amina,
        "user_integration_credentials_connect",
        connect.clone(),
    )
    .await;
    let other_connection = does(&hub, &emre, "user_integration_credentials_connect", connect).await;

    // Permissions.
    let grant = |scopes: &[&str]| json!({ "p_agent_id": agent["id"], "p_connection_id": connection, "p_allowed_scopes": scopes, "p_permission_level": "custom" });
    let permission = does(
        &hub,
        &amina,
        "grant_agent_integration_permission",
        grant(&["read"]),
    )
    .await;
    assert_eq!(
        does(
            &hub,
            &amina,
            "grant_agent_integration_permission",
            grant(&["read", "send"])
        )
        .await,
        permission
    );
    let (status, _) = calls(
        &hub,
        &amina.token,
        "grant_agent_integration_permission",
        grant(&["admin"]),
    )
    .await;
    assert_eq!(status, 400, "no more than the connection was granted");
    let listed = does(
        &hub,
        &amina,
        "get_agent_integration_permissions",
        json!({ "p_agent_id": agent["id"] }),
    )
    .await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["allowed_scopes"], &listed[0]["provider_name"]),
        (&json!(["read", "send"]), &json!("gmail"))
    );

    // Steps.
    let mut steps = Vec::new();
    for order in 1..=3 {
        let step = json!({ "p_task_id": task["id"], "p_step_order": order, "p_step_name": format!("step {order}"), "p_instructions": "do" });
        steps.push(does(&hub, &amina, "create_task_step", step).await);
    }
    let taken = json!({ "p_task_id": task["id"], "p_step_order": 2, "p_step_name": "x", "p_instructions": "x" });
    assert_eq!(
        calls(&hub, &amina.token, "create_task_step", taken).await.0,
        409
    );
    let change = json!({ "p_step_id": steps[2], "p_step_name": "last", "p_instructions": null, "p_include_previous_context": true });
    does(&hub, &amina, "update_task_step", change).await;

    // Teams.
    let one = amina.adds(&hub, "teams", json!({ "name": "one" })).await;
    let two = amina.adds(&hub, "teams", json!({ "name": "two" })).await;
    let foreign = emre.adds(&hub, "teams", json!({ "name": "his" })).await;
    let space = amina
        .adds(&hub, "workspaces", json!({ "name": "hers" }))
        .await;
    let layout = |user: Uuid, space: &Value| json!({ "p_user_id": user, "p_workspace_id": space, "p_positions": { "a": 1 }, "p_connections": [], "p_view_settings": { "zoom": 2 } });
    let saved = does(
        &hub,
        &amina,
        "save_team_canvas_layout",
        layout(amina.id, &space["id"]),
    )
    .await;
    assert_eq!(
        does(
            &hub,
            &amina,
            "save_team_canvas_layout",
            layout(amina.id, &space["id"])
        )
        .await,
        saved
    );
    let beside = does(
        &hub,
        &amina,
        "save_team_canvas_layout",
        layout(amina.id, &Value::Null),
    )
    .await;
    assert_eq!(
        does(
            &hub,
            &amina,
            "save_team_canvas_layout",
            layout(amina.id, &Value::Null)
        )
        .await,
        beside
    );
    assert_ne!(beside, saved);
    let line = |from: &Value, to: &Value, user: Uuid| json!({ "p_from_team_id": from, "p_to_team_id": to, "p_connection_type": "reports", "p_created_by_user_id": user });
    does(
        &hub,
        &amina,
        "create_team_connection",
        line(&one["id"], &two["id"], amina.id),
    )
    .await;

    // What is another's is answered like what is not there, and nothing happens.
    let random = json!(Uuid::new_v4());
    let nobody = Uuid::new_v4();
    for (person, function, foreign_input, random_input) in [
        (
            &emre,
            "grant_agent_integration_permission",
            json!({ "p_agent_id": agent["id"], "p_connection_id": other_connection }),
            json!({ "p_agent_id": random, "p_connection_id": other_connection }),
        ),
        (
            &amina,
            "grant_agent_integration_permission",
            json!({ "p_agent_id": agent["id"], "p_connection_id": other_connection }),
            json!({ "p_agent_id": agent["id"], "p_connection_id": random }),
        ),
        (
            &emre,
            "revoke_agent_integration_permission",
            json!({ "p_permission_id": permission }),
            json!({ "p_permission_id": random }),
        ),
        (
            &emre,
            "get_agent_integration_permissions",
            json!({ "p_agent_id": agent["id"] }),
            json!({ "p_agent_id": random }),
        ),
        (
            &emre,
            "create_task_step",
            json!({ "p_task_id": task["id"], "p_step_order": 9 }),
            json!({ "p_task_id": random, "p_step_order": 9 }),
        ),
        (
            &emre,
            "update_task_step",
            json!({ "p_step_id": steps[0], "p_step_name": "x" }),
            json!({ "p_step_id": random, "p_step_name": "x" }),
        ),
        (
            &emre,
            "delete_task_step",
            json!({ "p_step_id": steps[0] }),
            json!({ "p_step_id": random }),
        ),
        (
            &emre,
            "save_team_canvas_layout",
            layout(amina.id, &Value::Null),
            layout(nobody, &Value::Null),
        ),
        (
            &emre,
            "save_team_canvas_layout",
            layout(emre.id, &space["id"]),
            layout(emre.id, &random),
        ),
        (
            &emre,
            "create_team_connection",
            line(&one["id"], &foreign["id"], emre.id),
            line(&random, &foreign["id"], emre.id),
        ),
        (
            &emre,
            "create_team_connection",
            line(&foreign["id"], &one["id"], emre.id),
            line(&foreign["id"], &random, emre.id),
        ),
        (
            &emre,
            "create_team_connection",
            line(&one["id"], &two["id"], amina.id),
            line(&one["id"], &two["id"], nobody),
        ),
    ] {
        let (status, said) = calls(&hub, &person.token, function, foreign_input).await;
        let (random_status, random_said) = calls(&hub, &person.token, function, random_input).await;
        assert!(
            status == 403 || status == 404,
            "{function}: {status} {said}"
        );
        assert_eq!((status, said), (random_status, random_said), "{function}");
        let anonymous = hub
            .ask(Method::POST, &format!("/rest/v1/rpc/{function}"))
            .json(&json!({}))
            .send()
            .await
            .unwrap();
        assert!(anonymous.status().is_client_error());
    }
    assert_eq!(
        number(
            &admin,
            "select count(*) from public.agent_integration_permissions"
        )
        .await,
        1
    );
    assert_eq!(
        number(&admin, "select count(*) from public.team_connections").await,
        1
    );
    assert_eq!(
        number(&admin, "select count(*) from public.team_canvas_layouts").await,
        2
    );

    // A step goes, the rest move up, and the task counts them.
    does(
        &hub,
        &amina,
        "delete_task_step",
        json!({ "p_step_id": steps[0] }),
    )
    .await;
    let left = amina.reads(&hub, "/rest/v1/task_steps?select=step_order,step_name,instructions,include_previous_context&order=step_order").await;
    assert_eq!(
        left,
        json!([
            { "step_order": 1, "step_name": "step 2", "instructions": "do", "include_previous_context": false },
            { "step_order": 2, "step_name": "last", "instructions": "do", "include_previous_context": true },
        ])
    );
    let count = amina
        .reads(&hub, "/rest/v1/agent_tasks?select=step_count")
        .await;
    assert_eq!(count, json!([{ "step_count": 2 }]));
    does(
        &hub,
        &amina,
        "revoke_agent_integration_permission",
        json!({ "p_permission_id": permission }),
    )
    .await;
    let listed = does(
        &hub,
        &amina,
        "get_agent_integration_permissions",
        json!({ "p_agent_id": agent["id"] }),
    )
    .await;
    assert_eq!(listed, json!([]));
}

/// The same ten functions through supabase-js.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supabase_js_calls_agentopias_functions() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let told = Command::new(super::clients::interpreter_of("MADE_OPEN_TEST_NODE"))
        .arg("functions.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .env("HUB_URL", &hub.url)
        .env("HUB_ANON_KEY", &hub.anon)
        .env("HUB_SERVICE_KEY", service_key(&hub))
        .env("NO_PROXY", "*")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    assert!(
        said.lines().filter(|line| line.starts_with("ok ")).count() >= 10,
        "{said}"
    );
}
