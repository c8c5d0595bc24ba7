//! Rights that somebody tries to widen: other kinds of tokens at every door (S-113), a second bootstrap (S-119), and
//! columns that are not his to write (S-124).

use reqwest::Method;
use serde_json::{Value, json};

use crate::administration::service_key;
use crate::factors::{ask, claims, get, post};
use crate::support::TestHub;

#[tokio::test]
async fn s_113_each_kind_of_token_opens_its_own_doors_only() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Rosa" })).await;
    let (_, key) = service_key(&hub);

    let at = async |method: Method, path: &str, token: &str, apikey: &str| {
        let mut request = hub
            .http
            .request(method.clone(), format!("{}{path}", hub.url))
            .header("apikey", apikey);
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if method != Method::GET && method != Method::DELETE {
            request = request.json(&json!({ "factor_type": "totp", "friendly_name": "x" }));
        }
        request.send().await.unwrap()
    };
    // What proves nothing: a refresh token, the public key with the claims of a service, a token cut short.
    let forged = {
        use base64::Engine as _;
        let mut claims = claims(&ada.token);
        claims["role"] = json!("service_role");
        let parts: Vec<&str> = ada.token.split('.').collect();
        let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("{}.{body}.{}", parts[0], parts[2])
    };
    let doors = [
        (Method::GET, "/rest/v1/persons"),
        (Method::POST, "/rest/v1/persons"),
        (Method::PATCH, "/rest/v1/persons?name=eq.Rosa"),
        (Method::DELETE, "/rest/v1/persons?name=eq.Rosa"),
        (Method::GET, "/rest/v1/rpc/kinds_list"),
        (Method::POST, "/rest/v1/rpc/users_delete"),
        (Method::POST, "/rest/v1/rpc/kinds_add"),
        (Method::GET, "/auth/v1/user"),
        (Method::PUT, "/auth/v1/user"),
        (Method::POST, "/auth/v1/logout"),
        (Method::GET, "/auth/v1/admin/users"),
        (Method::POST, "/auth/v1/admin/generate_link"),
        (Method::POST, "/auth/v1/factors"),
        (Method::POST, "/auth/v1/factors/recovery-codes"),
        (Method::GET, "/api/kinds"),
        (Method::POST, "/api/kinds"),
    ];
    for (method, path) in &doors {
        for (kind, token) in [
            ("a refresh token", ada.refresh.as_str()),
            ("a forged one", &forged),
        ] {
            let status = at(method.clone(), path, token, &hub.anon)
                .await
                .status()
                .as_u16();
            assert!(
                status == 401 || status == 403,
                "{method} {path} with {kind}: {status}"
            );
        }
    }
    let rows: i64 = hub
        .database
        .admin()
        .await
        .query_one("select count(*) from persons", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(rows, 1);

    // The service key is nobody's account, the public key nobody at all.
    for token in [&key, &hub.anon] {
        for (method, path) in doors
            .iter()
            .filter(|(_, path)| path.starts_with("/auth/v1/") && !path.contains("admin"))
        {
            let status = at(method.clone(), path, token, &hub.anon)
                .await
                .status()
                .as_u16();
            assert_eq!(status, 403, "{method} {path}");
        }
    }
    // The service key beside a person's token widens nothing: who is named in Authorization asks.
    let found: Value = at(Method::GET, "/rest/v1/persons", &ada.token, &key)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let founder_sees: Value = {
        let founder =
            crate::first_day::sign_in(&hub, "founder@example.org", "founder walks the dog").await;
        at(Method::GET, "/rest/v1/persons", &founder.token, &key)
            .await
            .json()
            .await
            .unwrap()
    };
    assert_eq!(founder_sees, json!([]));
    assert_eq!(
        at(Method::GET, "/auth/v1/admin/users", &ada.token, &key)
            .await
            .status(),
        403
    );
    // A session mints no key for itself: such doors exist on the command line only.
    for path in [
        "/auth/v1/admin/tokens",
        "/auth/v1/admin/keys",
        "/api/tokens",
    ] {
        let status = at(Method::POST, path, &ada.token, &hub.anon).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
    // A token in the address is none (S-114).
    for query in ["apikey", "access_token", "token"] {
        for token in [&ada.token, &key] {
            let path = format!("/rest/v1/persons?select=name&{query}={token}");
            let answer = hub
                .http
                .get(format!("{}{path}", hub.url))
                .send()
                .await
                .unwrap();
            let body = answer.text().await.unwrap();
            assert!(!body.contains("Rosa"), "{query}: {body}");
        }
    }
    // Refreshing gives the same rights again: what a client asks beside is not heard.
    let wider = json!({ "refresh_token": ada.refresh, "scope": "admin", "role": "service_role", "aal": "aal2" });
    let (status, again) = post(&hub, &hub.anon, "token?grant_type=refresh_token", wider).await;
    assert_eq!(status, 200, "{again}");
    let told = claims(again["access_token"].as_str().unwrap());
    assert_eq!(
        (&told["role"], &told["aal"]),
        (&json!("authenticated"), &json!("aal1"))
    );
}

#[tokio::test]
async fn s_119_a_hub_is_founded_once_and_an_invitation_used_once() {
    let mut hub = TestHub::start_with(&[("MADE_OPEN_SIGNUP", "invite")]).await;
    let link = hub.first_link.clone().unwrap();
    let found = async |link: &str, email: &str| {
        let link = url::Url::parse(link).unwrap();
        let token = link
            .query_pairs()
            .find(|(name, _)| name == "token")
            .unwrap()
            .1
            .into_owned();
        let form = format!("token={token}&email={email}&password=the+first+of+many+days");
        let answer = hub
            .http
            .post(format!("{}/first", link.origin().ascii_serialization()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!(found(&link, "amina%40example.org").await, 201);
    assert_eq!(found(&link, "mallory%40example.org").await, 403);
    let invented = format!("{}/first?token={}", hub.url, "A".repeat(43));
    assert_eq!(found(&invented, "mallory%40example.org").await, 403);

    // Six at once with one invitation: one gets in.
    let said = hub.cli(&["user", "invite", "--json"], None).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let tries = (0..6).map(|n| {
        let (hub, token) = (&hub, said["invitation"].clone());
        async move {
            let body = json!({ "email": format!("guest{n}@example.org"), "password": "a guest of the house", "data": { "invitation": token } });
            post(hub, &hub.anon, "signup", body).await.0
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    let again = json!({ "email": "late@example.org", "password": "a guest of the house", "data": { "invitation": said["invitation"] } });
    assert_eq!(post(&hub, &hub.anon, "signup", again).await.0, 403);
    let admin = hub.database.admin().await;
    let kept: Vec<String> = admin
        .query("select row_to_json(l)::text from hub.one_time_links l", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(
        kept.iter()
            .all(|row| !row.contains(said["invitation"].as_str().unwrap())),
        "only hashes"
    );

    // Started again it offers no other first account, and whoever comes next is no developer.
    hub.restart();
    assert_eq!(hub.first_link, None);
    let count: i64 = admin
        .query_one("select count(*) from users", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 2);
    let developers: i64 = admin
        .query_one(
            "select count(*) from user_profile where role = 'developer'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(developers, 1);
}

#[tokio::test]
async fn s_124_what_is_not_ones_to_write_is_refused_by_name_and_never_written() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up_settled("ada").await;
    let admin = hub.database.admin().await;
    let state = async || -> String {
        admin
            .query_one(
                &format!(
                    "select (select row_to_json(u)::jsonb - 'updated_at' - 'last_sign_in_at' from users u where id = '{0}')::text || \
                     (select json_agg(p)::text from user_profile p where user_id = '{0}') || (select count(*) from admin_users)::text",
                    ada.id
                ),
                &[],
            )
            .await
            .unwrap()
            .get(0)
    };
    let before = state().await;
    let me = format!("/rest/v1/users?id=eq.{}", ada.id);
    for (column, value) in [
        ("is_admin", json!(true)),
        ("is_super_admin", json!(true)),
        ("role", json!("service_role")),
        ("email", json!("founder@example.org")),
        ("encrypted_password", json!("x")),
        ("raw_app_meta_data", json!({ "approved": true })),
        ("raw_user_meta_data", json!({})),
        ("email_confirmed_at", json!("2020-01-01T00:00:00Z")),
        ("banned_until", json!(null)),
        ("deleted_at", json!(null)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("external_id", json!("user:1")),
        ("stripe_customer_id", json!("cus_1")),
        ("id", json!("01890000-0000-7000-8000-000000000000")),
    ] {
        let answer = ada
            .ask(&hub, Method::PATCH, &me)
            .json(&json!({ "name": "Ada", column: value }))
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let told: Value = answer.json().await.unwrap();
        assert!((400..500).contains(&status), "{column}: {status} {told}");
        assert!(
            told.to_string().contains(column),
            "{column} is not named: {told}"
        );
    }
    assert_eq!(
        state().await,
        before,
        "not even the column that was his to write"
    );

    for (method, path, body) in [
        (
            Method::POST,
            "/rest/v1/users",
            json!({ "email": "x@example.org", "is_admin": true }),
        ),
        (
            Method::POST,
            "/rest/v1/user_profile",
            json!({ "user_id": ada.id, "role": "developer", "organization_id": ada.id }),
        ),
        (
            Method::POST,
            "/rest/v1/admin_users",
            json!({ "user_id": ada.id }),
        ),
        (
            Method::POST,
            "/rest/v1/user_profile?on_conflict=user_id",
            json!({ "user_id": ada.id, "role": "developer" }),
        ),
    ] {
        let answer = ada
            .ask(&hub, method, path)
            .header("Prefer", "resolution=merge-duplicates")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{path} {body}: {}",
            answer.status()
        );
    }
    let promoted = ada
        .ask(
            &hub,
            Method::PATCH,
            &format!("/rest/v1/user_profile?user_id=eq.{}", ada.id),
        )
        .header("Prefer", "return=representation")
        .json(&json!({ "role": "developer" }))
        .send()
        .await
        .unwrap();
    let status = promoted.status();
    let rows: Value = promoted.json().await.unwrap();
    assert!(
        status.is_client_error() || rows == json!([]),
        "{status} {rows}"
    );
    assert_eq!(state().await, before);

    // The auth door hears what it knows and nothing else.
    let wish = json!({
        "data": { "likes": "bees" }, "app_metadata": { "approved": true, "role": "admin" }, "role": "service_role", "aud": "x",
        "email_confirmed_at": "2020-01-01T00:00:00Z", "is_admin": true, "banned_until": null, "email_confirm": true, "id": "x",
    });
    let (status, user) = ask(&hub, Method::PUT, &ada.token, "user", Some(wish)).await;
    assert_eq!(status, 200, "{user}");
    assert_eq!(
        (&user["role"], &user["user_metadata"]["likes"]),
        (&json!("authenticated"), &json!("bees"))
    );
    assert_eq!(
        user["app_metadata"],
        json!({ "provider": "email", "providers": ["email"] })
    );
    let sign_up = json!({
        "email": "eve@example.org", "password": "eve keeps the bees", "role": "service_role", "app_metadata": { "role": "admin" },
        "data": { "role": "developer", "app_metadata": { "role": "admin" } }, "is_admin": true, "email_confirm": true,
    });
    let (status, eve) = post(&hub, &hub.anon, "signup", sign_up).await;
    assert_eq!(status, 200, "{eve}");
    assert_eq!(
        eve["user"]["app_metadata"],
        json!({ "provider": "email", "providers": ["email"] })
    );
    let token = eve["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["role"], "authenticated");
    let role: String = admin
        .query_one("select p.role from user_profile p join users u on u.id = p.user_id where u.email = 'eve@example.org'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(role, "user");
    assert_eq!(get(&hub, token, "admin/users").await.0, 403);
}
