//! Accounts by mail: the real clients through every call of the auth door, and what links, codes and sessions do.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::clients::interpreter_of;
use crate::support::TestHub;
use crate::support::people::Person;

/// A hub where addresses are proven by mail.
pub const BY_MAIL: &[(&str, &str)] = &[
    ("MADE_OPEN_AUTOCONFIRM", "off"),
    (
        "MADE_OPEN_REDIRECT_URLS",
        "https://app.example,garden://open",
    ),
];
pub const PASSWORD: &str = "a long walk along the river";

#[tokio::test]
async fn supabase_js_by_mail() {
    tells("MADE_OPEN_TEST_NODE", "auth.mjs").await;
}

#[tokio::test]
async fn supabase_for_python_by_mail() {
    tells("MADE_OPEN_TEST_PYTHON", "auth.py").await;
}

async fn tells(interpreter: &str, story: &str) {
    let hub = TestHub::start_with(BY_MAIL).await;
    let said = hub.cli(
        &["token", "create", "--role", "service_role", "--json"],
        None,
    );
    let service: Value = serde_json::from_str(&said.unwrap()).unwrap();
    let told = Command::new(interpreter_of(interpreter))
        .arg(story)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .env("HUB_URL", &hub.url)
        .env("HUB_ANON_KEY", &hub.anon)
        .env("HUB_SERVICE_KEY", service["token"].as_str().unwrap())
        .env("HUB_MAIL", hub.data_dir.join("mail"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success(),
        "{story}: {}\n{said}\n{}",
        told.status,
        String::from_utf8_lossy(&told.stderr)
    );
    let steps = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(steps > 10, "{story} told only {steps} steps:\n{said}");
}

#[tokio::test]
async fn a_link_signs_in_once_and_leads_only_where_it_may() {
    let hub = TestHub::start_with(BY_MAIL).await;
    signs_up(&hub, "amina@example.org").await;
    let letter = hub.letter("amina@example.org", 1).await;
    assert!(
        letter
            .link()
            .starts_with(&format!("{}/auth/v1/verify?", hub.url))
    );
    let own = format!("{}/", hub.url);
    let there = opened(letter.link()).await;
    assert!(
        there.starts_with(&format!("{own}#access_token=")),
        "{there}"
    );
    for part in [
        "expires_at",
        "expires_in",
        "refresh_token",
        "token_type=bearer",
        "type=signup",
    ] {
        assert!(there.contains(part), "no {part} in {there}");
    }
    let person = with_fragment(&there);
    assert_eq!(
        person.reads(&hub, "/rest/v1/persons?select=name").await,
        json!([])
    );

    // Once.
    let there = opened(letter.link()).await;
    assert!(
        there.starts_with(&format!(
            "{own}#error=access_denied&error_code=otp_expired&error_description="
        )),
        "{there}"
    );

    // Wherever a stranger would like to have people, they come to the hub.
    for (asked, comes_to) in [
        (
            "https://app.example/welcome?a=b",
            "https://app.example/welcome?a=b#",
        ),
        ("garden://open/here", "garden://open/here#"),
        ("https://app.example.evil.example/", &*format!("{own}#")),
        ("https://app.example@evil.example/", &*format!("{own}#")),
        ("javascript:alert(1)", &*format!("{own}#")),
        ("//evil.example", &*format!("{own}#")),
    ] {
        let before = hub.letters_now("amina@example.org").len();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("redirect_to", asked)
            .finish();
        let answer = post(
            &hub,
            &format!("/auth/v1/magiclink?{query}"),
            json!({ "email": "amina@example.org" }),
        )
        .await;
        assert_eq!(answer.status(), 200);
        let letter = hub.letter("amina@example.org", before + 1).await;
        let there = opened(letter.link()).await;
        assert!(there.starts_with(comes_to), "{asked} came to {there}");
        // Nor when the link itself is bent.
        let bent = letter.link().replace("app.example", "evil.example");
        assert!(!opened(&bent).await.contains("evil.example/"), "{bent}");
    }
    let bad = hub.get("/auth/v1/verify?token=x").await;
    assert_eq!(bad.status(), 400);
    let head = hub.ask(Method::HEAD, "/auth/v1/verify?token=x&type=signup");
    assert_eq!(
        head.send().await.unwrap().status(),
        404,
        "looking at a link does not open it"
    );
}

#[tokio::test]
async fn expired_used_and_foreign_secrets_are_worth_nothing() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let admin = hub.database.admin().await;
    let amina = "amina@example.org";
    signs_up(&hub, amina).await;
    let letter = hub.letter(amina, 1).await;

    // Nothing of the letter is in the database.
    let rows: String = admin
        .query_one(
            "select concat((select json_agg(l) from hub.one_time_links l), (select json_agg(j) from job_records j), \
             (select json_agg(u) from users u), (select json_agg(j) from hub.journal j))",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(rows.contains("identity.send_mail"), "{rows}");
    assert!(
        !rows.contains(&letter.token()) && !rows.contains(letter.code()),
        "{rows}"
    );

    let expire = "update hub.one_time_links set expires_at = now() - interval '1 second' where used_at is null";
    let revive = "update hub.one_time_links set expires_at = now() + interval '1 hour' where used_at is null";
    admin.execute(expire, &[]).await.unwrap();
    refused(
        by_code(&hub, "signup", amina, letter.code()).await,
        403,
        "otp_expired",
    )
    .await;
    refused(
        by_token(&hub, "signup", &letter.token()).await,
        403,
        "otp_expired",
    )
    .await;
    assert!(
        opened(letter.link())
            .await
            .contains("error_code=otp_expired")
    );
    admin.execute(revive, &[]).await.unwrap();

    // For another purpose, for another address.
    refused(
        by_token(&hub, "recovery", &letter.token()).await,
        403,
        "otp_expired",
    )
    .await;
    refused(
        by_code(&hub, "recovery", amina, letter.code()).await,
        403,
        "otp_expired",
    )
    .await;
    refused(
        by_code(&hub, "signup", "bruno@example.org", letter.code()).await,
        403,
        "otp_expired",
    )
    .await;
    refused(
        by_token(&hub, "nonsense", &letter.token()).await,
        400,
        "validation_failed",
    )
    .await;

    // The code or the link, one of them, once.
    let answer = by_code(&hub, "signup", amina, letter.code()).await;
    assert_eq!(answer.status(), 200);
    let session: Value = answer.json().await.unwrap();
    assert!(
        session["user"]["email_confirmed_at"].is_string(),
        "{session}"
    );
    refused(
        by_code(&hub, "signup", amina, letter.code()).await,
        403,
        "otp_expired",
    )
    .await;
    refused(
        by_token(&hub, "signup", &letter.token()).await,
        403,
        "otp_expired",
    )
    .await;

    // Five wrong tries, and the right one comes too late; the link of the same letter still opens.
    post(&hub, "/auth/v1/recover", json!({ "email": amina })).await;
    let letter = hub.letter(amina, 2).await;
    let wrong = if letter.code() == "000000" {
        "000001"
    } else {
        "000000"
    };
    for _ in 0..5 {
        refused(
            by_code(&hub, "recovery", amina, wrong).await,
            403,
            "otp_expired",
        )
        .await;
    }
    refused(
        by_code(&hub, "recovery", amina, letter.code()).await,
        403,
        "otp_expired",
    )
    .await;
    assert_eq!(
        by_token(&hub, "recovery", &letter.token()).await.status(),
        200
    );

    // A letter to an address that is not the account's any more.
    post(&hub, "/auth/v1/recover", json!({ "email": amina })).await;
    let letter = hub.letter(amina, 3).await;
    admin
        .execute(
            "update users set email = 'else@example.org' where email = $1",
            &[&amina],
        )
        .await
        .unwrap();
    refused(
        by_token(&hub, "recovery", &letter.token()).await,
        403,
        "otp_expired",
    )
    .await;
}

#[tokio::test]
async fn a_new_address_needs_both() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let (old, new) = ("amina@example.org", "amina@elsewhere.example");
    let amina = joins(&hub, old).await;
    signs_up(&hub, "taken@example.org").await;
    hub.letter("taken@example.org", 1).await;

    let answer = amina
        .ask(&hub, Method::PUT, "/auth/v1/user")
        .json(&json!({ "email": new }))
        .send()
        .await
        .unwrap();
    let user: Value = answer.json().await.unwrap();
    assert_eq!(
        (user["email"].as_str(), user["new_email"].as_str()),
        (Some(old), Some(new))
    );
    let first = hub.letter(new, 1).await;
    // The letter to the new address alone does not move the account, however often it is shown.
    let answer = by_token(&hub, "email_change", &first.token()).await;
    let said: Value = answer.json().await.unwrap();
    assert!(
        said["msg"].as_str().unwrap().contains("other email"),
        "{said}"
    );
    refused(
        by_token(&hub, "email_change", &first.token()).await,
        403,
        "otp_expired",
    )
    .await;
    post(
        &hub,
        "/auth/v1/resend",
        json!({ "type": "email_change", "email": old }),
    )
    .await;
    let again = hub.letter(new, 2).await;
    let said: Value = by_token(&hub, "email_change", &again.token())
        .await
        .json()
        .await
        .unwrap();
    assert!(
        said["msg"].is_string(),
        "the new address agreed twice, the old one never: {said}"
    );

    let agrees = hub.letter(old, 3).await;
    let there = opened(agrees.link()).await;
    assert!(there.contains("#access_token="), "{there}");
    let user = with_fragment(&there).reads(&hub, "/auth/v1/user").await;
    assert_eq!(
        (user["email"].as_str(), user.get("new_email")),
        (Some(new), None),
        "{user}"
    );

    // Somebody else's address is asked for without a word, but nobody writes to it and nothing moves.
    let answer = amina
        .ask(&hub, Method::PUT, "/auth/v1/user")
        .json(&json!({ "email": "taken@example.org" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let letter = hub.letter(new, 3).await;
    hub.settle().await;
    assert_eq!(hub.letters_now("taken@example.org").len(), 1);
    let said: Value = by_token(&hub, "email_change", &letter.token())
        .await
        .json()
        .await
        .unwrap();
    assert!(said["msg"].is_string(), "{said}");
}

#[tokio::test]
async fn refresh_tokens_are_families() {
    let hub = TestHub::start().await;
    let admin = hub.database.admin().await;
    let amina = hub.sign_up("amina").await;
    let first = amina.refresh.clone();
    let second = refreshed(&hub, &first).await.unwrap();

    // The answer got lost: at once the same again gives another pair of the same session.
    let beside = refreshed(&hub, &first).await.unwrap();
    assert_eq!(session_of(&second.token), session_of(&beside.token));
    assert_ne!(second.refresh, beside.refresh);
    let third = refreshed(&hub, &second.refresh).await.unwrap();

    // The one beside it is old now: whoever comes with it, one of the two was a thief, and nobody has a session.
    assert_eq!(
        refreshed(&hub, &beside.refresh).await.unwrap_err(),
        "refresh_token_already_used"
    );
    assert_eq!(
        refreshed(&hub, &third.refresh).await.unwrap_err(),
        "refresh_token_not_found"
    );
    let answer = third
        .ask(&hub, Method::GET, "/rest/v1/persons")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);

    // Eleven seconds later it is theft; and so is a token older than the one before, however quick.
    for (sql, ends) in [
        (
            "update hub.refresh_tokens set used_at = used_at - interval '11 seconds' where used_at is not null",
            true,
        ),
        ("select 1", false),
    ] {
        let amina = signs_in(&hub, "amina@example.org", "amina walks the dog").await;
        let second = refreshed(&hub, &amina.refresh).await.unwrap();
        admin.execute(sql, &[]).await.unwrap();
        let third = match ends {
            true => second,
            false => refreshed(&hub, &second.refresh).await.unwrap(),
        };
        assert_eq!(
            refreshed(&hub, &amina.refresh).await.unwrap_err(),
            "refresh_token_already_used"
        );
        assert_eq!(
            refreshed(&hub, &third.refresh).await.unwrap_err(),
            "refresh_token_not_found"
        );
    }

    // Idle for two weeks, or ninety days old: over at every door.
    for sql in [
        "update hub.sessions set refreshed_at = now() - interval '14 days'",
        "update hub.sessions set expires_at = now()",
    ] {
        let amina = signs_in(&hub, "amina@example.org", "amina walks the dog").await;
        amina.reads(&hub, "/rest/v1/persons").await;
        admin.execute(sql, &[]).await.unwrap();
        let answer = amina
            .ask(&hub, Method::GET, "/rest/v1/persons")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{sql}");
        let answer = amina
            .ask(&hub, Method::GET, "/auth/v1/user")
            .send()
            .await
            .unwrap();
        refused(answer, 403, "session_not_found").await;
        assert_eq!(
            refreshed(&hub, &amina.refresh).await.unwrap_err(),
            "session_expired",
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_session_of_yesterday_proves_itself_again_where_the_hub_asks_for_it() {
    let mut settings = BY_MAIL.to_vec();
    settings.push(("MADE_OPEN_REAUTHENTICATE", "on"));
    let hub = TestHub::start_with(&settings).await;
    let amina = joins(&hub, "amina@example.org").await;
    let change = async |body: Value| {
        let asked = amina.ask(&hub, Method::PUT, "/auth/v1/user").json(&body);
        asked.send().await.unwrap()
    };
    assert_eq!(
        change(json!({ "password": "the second password" }))
            .await
            .status(),
        200
    );
    let admin = hub.database.admin().await;
    let older = "update hub.sessions set created_at = created_at - interval '25 hours'";
    admin.execute(older, &[]).await.unwrap();
    let third = json!({ "password": "the third password" });
    refused(change(third.clone()).await, 400, "reauthentication_needed").await;
    let wrong = json!({ "password": "the third password", "nonce": "12345" });
    refused(change(wrong).await, 422, "reauthentication_not_valid").await;

    let asked = amina
        .ask(&hub, Method::GET, "/auth/v1/reauthenticate")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 200);
    let letter = hub.letter("amina@example.org", 2).await;
    let right = json!({ "password": "the third password", "nonce": letter.code() });
    assert_eq!(change(right).await.status(), 200);
    let replayed = json!({ "password": "the fourth password", "nonce": letter.code() });
    refused(change(replayed).await, 422, "reauthentication_not_valid").await;
    signs_in(&hub, "amina@example.org", "the third password").await;
}

#[tokio::test]
async fn a_code_is_exchanged_once_by_who_asked_for_it() {
    let hub = TestHub::start_with(BY_MAIL).await;
    joins(&hub, "amina@example.org").await;
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let wrong = json!({ "email": "amina@example.org", "code_challenge": verifier, "code_challenge_method": "plain" });
    for door in ["recover", "otp", "magiclink"] {
        refused(
            post(&hub, &format!("/auth/v1/{door}"), wrong.clone()).await,
            400,
            "validation_failed",
        )
        .await;
    }
    let asked = json!({ "email": "amina@example.org", "code_challenge": challenge, "code_challenge_method": "s256" });
    let admin = hub.database.admin().await;
    for (number, case) in ["right", "wrong verifier", "too late", "twice"]
        .into_iter()
        .enumerate()
    {
        let path = "/auth/v1/otp?redirect_to=https%3A%2F%2Fapp.example%2Fback%3Fx%3D1";
        assert_eq!(post(&hub, path, asked.clone()).await.status(), 200);
        let letter = hub.letter("amina@example.org", number + 2).await;
        let there = opened(letter.link()).await;
        let code = there
            .strip_prefix("https://app.example/back?x=1&code=")
            .unwrap_or_else(|| panic!("{there}"))
            .to_owned();
        // What went wrong is said where an app of this flow looks for it.
        let again = opened(letter.link()).await;
        assert!(
            again.contains("?x=1&error=access_denied&error_code=otp_expired"),
            "{again}"
        );
        let exchange = async |verifier: &str| {
            let body = json!({ "auth_code": code, "code_verifier": verifier });
            post(&hub, "/auth/v1/token?grant_type=pkce", body).await
        };
        match case {
            "right" => assert_eq!(exchange(verifier).await.status(), 200),
            "wrong verifier" => {
                refused(exchange(challenge).await, 400, "bad_code_verifier").await;
                refused(exchange(verifier).await, 404, "flow_state_not_found").await;
            }
            "too late" => {
                let late = "update hub.auth_codes set expires_at = now()";
                admin.execute(late, &[]).await.unwrap();
                refused(exchange(verifier).await, 403, "flow_state_expired").await;
            }
            _ => {
                let session: Value = exchange(verifier).await.json().await.unwrap();
                let person = person_of(&session);
                person.reads(&hub, "/rest/v1/persons").await;
                refused(exchange(verifier).await, 404, "flow_state_not_found").await;
                // Somebody else had the code, too: what it gave is over.
                let answer = person
                    .ask(&hub, Method::GET, "/rest/v1/persons")
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 401);
            }
        }
    }
}

#[tokio::test]
async fn letters_make_accounts_only_where_everybody_may_have_one() {
    for (signup, makes) in [
        ("open", true),
        ("approval", true),
        ("invite", false),
        ("closed", false),
    ] {
        let hub = TestHub::start_with(&[
            ("MADE_OPEN_AUTOCONFIRM", "off"),
            ("MADE_OPEN_SIGNUP", signup),
        ])
        .await;
        let answer = post(&hub, "/auth/v1/otp", json!({ "email": "new@example.org" })).await;
        assert_eq!(
            (answer.status(), answer.text().await.unwrap().as_str()),
            (StatusCode::OK, "{}")
        );
        hub.settle().await;
        assert_eq!(
            hub.letters_now("new@example.org").len(),
            usize::from(makes),
            "{signup}"
        );
        if makes {
            let letter = hub.letter("new@example.org", 1).await;
            let answer = by_code(&hub, "email", "new@example.org", letter.code()).await;
            match signup {
                "open" => assert_eq!(answer.status(), 200),
                _ => refused(answer, 403, "user_not_approved").await,
            }
        }
        // Whoever asks for a letter is nobody in particular.
        assert!(
            hub.http
                .get(hub.first_link.as_ref().unwrap())
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
        let admin = hub.database.admin().await;
        let developers = admin
            .query("select from user_profile where role = 'developer'", &[])
            .await;
        assert_eq!(developers.unwrap().len(), 0, "{signup}");
    }
}

#[tokio::test]
async fn what_is_over_is_thrown_away() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let admin = hub.database.admin().await;
    let amina = joins(&hub, "amina@example.org").await;
    signs_in(&hub, "amina@example.org", PASSWORD).await;
    let old = format!(
        "update hub.sessions set refreshed_at = now() - interval '15 days' where id <> '{}'; \
         update hub.one_time_links set expires_at = now() - interval '31 days'; \
         insert into hub.tries (key, since, count) values ('\\x01', now() - interval '2 days', 1), ('\\x02', now(), 1); \
         insert into job_records (job_type, queue, max_attempts) values ('identity.sweep', 'background', 3)",
        session_of(&amina.token)
    );
    admin.batch_execute(&old).await.unwrap();
    hub.settle().await;
    let left = admin
        .query_one(
            "select (select count(*) from hub.sessions), (select count(*) from hub.one_time_links), \
             (select count(*) from hub.tries), \
             (select count(*) from job_records where job_type = 'identity.sweep' and status = 'completed')",
            &[],
        )
        .await
        .unwrap();
    let left: Vec<i64> = (0..4).map(|column| left.get(column)).collect();
    assert_eq!(left, [1, 0, 1, 1]);
    amina.reads(&hub, "/rest/v1/persons?select=name").await;
}

/// Sign up; a letter is on its way.
pub async fn signs_up(hub: &TestHub, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = post(hub, "/auth/v1/signup", body).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Sign up and prove the address: the first letter to it.
pub async fn joins(hub: &TestHub, email: &str) -> Person {
    signs_up(hub, email).await;
    let letter = hub.letter(email, 1).await;
    let answer = by_code(hub, "signup", email, letter.code()).await;
    assert_eq!(answer.status(), 200);
    person_of(&answer.json().await.unwrap())
}

pub async fn signs_in(hub: &TestHub, email: &str, password: &str) -> Person {
    let body = json!({ "email": email, "password": password });
    let answer = post(hub, "/auth/v1/token?grant_type=password", body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    person_of(&answer.json().await.unwrap())
}

pub async fn post(hub: &TestHub, path: &str, body: Value) -> Response {
    let asked = hub
        .ask(Method::POST, path)
        .header("X-Supabase-Api-Version", "2024-01-01");
    asked.json(&body).send().await.unwrap()
}

pub async fn by_code(hub: &TestHub, kind: &str, email: &str, code: &str) -> Response {
    post(
        hub,
        "/auth/v1/verify",
        json!({ "type": kind, "email": email, "token": code }),
    )
    .await
}

pub async fn by_token(hub: &TestHub, kind: &str, token: &str) -> Response {
    post(
        hub,
        "/auth/v1/verify",
        json!({ "type": kind, "token_hash": token }),
    )
    .await
}

/// Where a browser is sent that opens a link.
pub async fn opened(link: &str) -> String {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let answer = browser.get(link).send().await.unwrap();
    let status = answer.status();
    assert_eq!(
        status,
        StatusCode::SEE_OTHER,
        "{link}: {}",
        answer.text().await.unwrap()
    );
    answer.headers()["location"].to_str().unwrap().to_owned()
}

pub async fn refused(answer: Response, status: u16, code: &str) {
    let found = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let named = body["code"].as_str().or(body["error_code"].as_str());
    assert_eq!((found, named), (status, Some(code)), "{body}");
}

pub fn person_of(session: &Value) -> Person {
    Person {
        id: session["user"]["id"].as_str().unwrap().parse().unwrap(),
        name: session["user"]["email"].as_str().unwrap().to_owned(),
        token: session["access_token"].as_str().unwrap().to_owned(),
        refresh: session["refresh_token"].as_str().unwrap().to_owned(),
    }
}

fn with_fragment(there: &str) -> Person {
    let said = there.split_once('#').unwrap().1;
    let value = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(said.as_bytes());
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    Person {
        id: uuid::Uuid::nil(),
        name: String::new(),
        token: value("access_token"),
        refresh: value("refresh_token"),
    }
}

async fn refreshed(hub: &TestHub, token: &str) -> Result<Person, String> {
    let body = json!({ "refresh_token": token });
    let answer = post(hub, "/auth/v1/token?grant_type=refresh_token", body).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    match status.as_u16() {
        200 => Ok(person_of(&body)),
        400 => Err(body["code"].as_str().unwrap().to_owned()),
        _ => panic!("{status} {body}"),
    }
}

/// The session that an access token proves.
pub fn session_of(token: &str) -> String {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(claims)
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["session_id"].as_str().unwrap().to_owned()
}
