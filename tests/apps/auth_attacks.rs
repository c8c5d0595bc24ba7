//! Attacks on accounts, each test named after its row of the threat table.

use std::process::Stdio;

use futures_util::future::join_all;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::auth::{
    BY_MAIL, PASSWORD, by_code, by_token, joins, opened, person_of, post, refused, session_of,
    signs_in, signs_up,
};
use crate::support::TestHub;
use crate::support::hub::{command, wait_until_ready};

/// S-100: what is answered and what is written is the same whether an address has an account or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_100_nobody_learns_whose_address_has_an_account() {
    let hub = TestHub::start_with(BY_MAIL).await;
    joins(&hub, "known@example.org").await;
    signs_up(&hub, "unproven@example.org").await;
    hub.letter("unproven@example.org", 1).await;
    hub.settle().await;
    let admin = hub.database.admin().await;

    let asks = [
        ("recover", json!({})),
        ("otp", json!({ "create_user": false })),
        ("otp", json!({})),
        ("magiclink", json!({})),
        ("resend", json!({ "type": "signup" })),
        ("resend", json!({ "type": "email_change" })),
        ("signup", json!({ "password": "another long password" })),
        (
            "token?grant_type=password",
            json!({ "password": "another long password" }),
        ),
        ("verify", json!({ "type": "recovery", "token": "123456" })),
        ("verify", json!({ "type": "email", "token": "123456" })),
    ];
    for (number, (door, body)) in asks.into_iter().enumerate() {
        let mut seen = Vec::new();
        for email in [
            "known@example.org",
            "unproven@example.org",
            "unknown@example.org",
        ] {
            // Each time another unknown one: asking may have made it known.
            let email = match email {
                "unknown@example.org" => format!("unknown{number}@example.org"),
                known => known.to_owned(),
            };
            let before = counts(&admin).await;
            let mut body = body.clone();
            body["email"] = email.clone().into();
            let answer = post(&hub, &format!("/auth/v1/{door}"), body).await;
            let status = answer.status();
            // Their order is chance.
            let mut names: Vec<String> = answer.headers().keys().map(ToString::to_string).collect();
            names.sort();
            let said = blurred(&answer.text().await.unwrap(), &email);
            let jobs = counts(&admin).await - before;
            seen.push((status, names, said, jobs));
        }
        let (last, others) = seen.split_last().unwrap();
        for other in others {
            assert_eq!(other, last, "{door} {body}");
        }
    }
}

/// How many jobs were enqueued until now.
async fn counts(admin: &tokio_postgres::Client) -> i64 {
    let count = admin.query_one("select count(*) from job_records", &[]);
    count.await.unwrap().get(0)
}

/// An answer without what differs from one asking to the next.
fn blurred(text: &str, email: &str) -> String {
    let text = text.replace(email, "address");
    let mut blurred = String::new();
    for part in text.split('"') {
        let is_id = uuid::Uuid::try_parse(part).is_ok();
        let is_time = part.len() > 18 && part.starts_with("20") && part.contains('T');
        blurred.push_str(if is_id {
            "id"
        } else if is_time {
            "time"
        } else {
            part
        });
        blurred.push('"');
    }
    blurred
}

/// S-105: what people call themselves stays inside the letter's text, and there it is only a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_105_a_name_writes_no_header() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let name = "Eve\r\nBcc: everybody@example.org\r\nSubject: You won\r\n\r\nhttps://evil.example/ {link} {code}";
    let body = json!({ "email": "victim@example.org", "password": PASSWORD, "data": { "full_name": name } });
    assert_eq!(post(&hub, "/auth/v1/signup", body).await.status(), 200);
    let letter = hub.letter("victim@example.org", 1).await;
    assert_eq!(letter.headers("Bcc"), Vec::<&str>::new(), "{letter:?}");
    assert_eq!(letter.headers("To"), ["victim@example.org"]);
    assert_eq!(letter.headers("Subject").len(), 1);
    assert!(letter.headers("Subject")[0].starts_with("Confirm your address"));
    for header in ["From", "Date", "Message-ID", "MIME-Version", "Content-Type"] {
        assert_eq!(letter.headers(header).len(), 1, "{header} of {letter:?}");
    }
    assert_eq!(letter.headers("Auto-Submitted"), ["auto-generated"]);
    assert!(!letter.text.contains("evil.example"), "{}", letter.text);
    assert!(letter.link().starts_with(&hub.url), "{}", letter.text);

    for address in [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "\"a\r\n\"@b.example",
        "A <a@b.example>",
        "a@b.example\0",
    ] {
        for (door, body) in [
            ("recover", json!({})),
            ("otp", json!({})),
            ("resend", json!({ "type": "signup" })),
            ("signup", json!({ "password": PASSWORD })),
        ] {
            let mut body = body;
            body["email"] = address.into();
            let answer = post(&hub, &format!("/auth/v1/{door}"), body).await;
            refused(answer, 400, "validation_failed").await;
        }
    }
    hub.settle().await;
    let letters = std::fs::read_dir(hub.data_dir.join("mail"))
        .unwrap()
        .count();
    assert_eq!(letters, 1);
}

/// S-114: a token that is expired, revoked, somebody's who is banned or gone, or of before a change of password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_114_tokens_end_at_once() {
    let hub = TestHub::start_with(&[("MADE_OPEN_ACCESS_TOKEN_SECONDS", "3600")]).await;
    let admin = hub.database.admin().await;
    let founder = hub.sign_up("founder").await;
    let amina = hub.sign_up("amina").await;

    // In the query nobody reads it.
    for name in ["access_token", "token", "apikey", "jwt"] {
        let path = format!("/auth/v1/user?{name}={}", amina.token);
        refused(hub.get(&path).await, 401, "no_authorization").await;
        let path = format!("/rest/v1/users?select=id&access_token={}", amina.token);
        let answer = hub.get(&path).await;
        assert!(!answer.text().await.unwrap().contains(&amina.id.to_string()));
    }

    // After a change of password only who changed it is still in.
    let phone = signs_in(&hub, "amina@example.org", "amina walks the dog").await;
    let answer = phone
        .ask(&hub, Method::PUT, "/auth/v1/user")
        .json(&json!({ "password": "amina feeds the cat" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(seen(&hub, &phone.token).await, 200);
    assert_eq!(seen(&hub, &amina.token).await, 401);
    let again = post(
        &hub,
        "/auth/v1/token?grant_type=refresh_token",
        json!({ "refresh_token": amina.refresh }),
    );
    refused(again.await, 400, "refresh_token_not_found").await;

    // Banned: out at once, and back only by signing in when the ban is over.
    let ban = "update users set banned_until = now() + interval '1 hour' where email = 'amina@example.org'";
    admin.execute(ban, &[]).await.unwrap();
    assert_eq!(seen(&hub, &phone.token).await, 401);
    let sign_in = json!({ "email": "amina@example.org", "password": "amina feeds the cat" });
    let banned = post(&hub, "/auth/v1/token?grant_type=password", sign_in.clone()).await;
    refused(banned, 400, "user_banned").await;
    let end = "update users set banned_until = null where email = 'amina@example.org'";
    admin.execute(end, &[]).await.unwrap();
    assert_eq!(seen(&hub, &phone.token).await, 401);
    let phone = signs_in(&hub, "amina@example.org", "amina feeds the cat").await;
    assert_eq!(seen(&hub, &phone.token).await, 200);

    // Also when somebody wrote the row in a way that the trigger does not see.
    let quietly = "begin; set local session_replication_role = replica; \
        update users set banned_until = now() + interval '1 hour' where email = 'amina@example.org'; commit";
    admin.batch_execute(quietly).await.unwrap();
    assert_eq!(seen(&hub, &phone.token).await, 401);
    let answer = phone
        .ask(&hub, Method::GET, "/auth/v1/user")
        .send()
        .await
        .unwrap();
    refused(answer, 403, "user_banned").await;
    admin.execute(end, &[]).await.unwrap();
    assert_eq!(seen(&hub, &phone.token).await, 200);

    // Deleted.
    let delete = "update users set deleted_at = now() where email = 'amina@example.org'";
    admin.execute(delete, &[]).await.unwrap();
    assert_eq!(seen(&hub, &phone.token).await, 401);
    let gone = post(&hub, "/auth/v1/token?grant_type=password", sign_in).await;
    refused(gone, 400, "invalid_credentials").await;
    assert_eq!(seen(&hub, &founder.token).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_114_expired_tokens_end() {
    let hub = TestHub::start_with(&[("MADE_OPEN_ACCESS_TOKEN_SECONDS", "1")]).await;
    let amina = hub.sign_up("amina").await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(seen(&hub, &amina.token).await, 401);
    let answer = amina
        .ask(&hub, Method::GET, "/auth/v1/user")
        .send()
        .await
        .unwrap();
    refused(answer, 403, "bad_jwt").await;
}

/// The status of a read with this token.
async fn seen(hub: &TestHub, token: &str) -> u16 {
    let asked = hub
        .ask(Method::GET, "/rest/v1/persons?select=id")
        .header("Authorization", format!("Bearer {token}"));
    asked.send().await.unwrap().status().as_u16()
}

/// S-115: who guesses waits; the owner of the account does not, from somewhere else or from a device that is in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_115_guessing_is_slow_and_locks_nobody_out() {
    let mut settings = BY_MAIL.to_vec();
    settings.push(("MADE_OPEN_LIMITS", "on"));
    let hub = TestHub::start_with(&settings).await;
    let amina = joins(&hub, "amina@example.org").await;
    let here = client("127.0.0.1");
    let home = client("127.9.9.9");

    let mut wrong = 0;
    let mut slowed = 0;
    for number in 0..100 {
        let body =
            json!({ "email": "amina@example.org", "password": format!("guess number {number}") });
        let answer = from(&hub, &here, "token?grant_type=password", body).await;
        match answer.status().as_u16() {
            400 => wrong += 1,
            429 => {
                let wait: u64 = answer.headers()["retry-after"]
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!((1..=900).contains(&wait), "{wait}");
                slowed += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(
        wrong <= 12 && slowed >= 88,
        "{wrong} tries, {slowed} slowed down"
    );
    // Also with the right password from there; not from home, and not for the device that is in.
    let right = json!({ "email": "amina@example.org", "password": PASSWORD });
    let answer = from(&hub, &here, "token?grant_type=password", right.clone()).await;
    refused(answer, 429, "over_request_rate_limit").await;
    let answer = from(&hub, &home, "token?grant_type=password", right.clone()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(seen(&hub, &amina.token).await, 200);

    // One guess on each of many accounts.
    let there = client("127.3.3.3");
    let mut slowed = 0;
    for number in 0..70 {
        let body = json!({ "email": format!("person{number}@example.org"), "password": "password of the year" });
        let answer = from(&hub, &there, "token?grant_type=password", body).await;
        slowed += u32::from(answer.status() == 429);
    }
    assert!(slowed >= 10, "{slowed} slowed down");

    // From everywhere: then a password alone does not do any more, the right one neither, until the owner read his mail.
    let admin = hub.database.admin().await;
    let counted = admin
        .execute(
            "update hub.tries set count = 50 where count >= $1",
            &[&wrong],
        )
        .await;
    assert!(counted.unwrap() >= 1);
    let answer = from(&hub, &home, "token?grant_type=password", right.clone()).await;
    refused(answer, 403, "email_code_required").await;
    let body = json!({ "email": "amina@example.org" });
    assert_eq!(from(&hub, &home, "otp", body).await.status(), 200);
    let letter = hub.letter("amina@example.org", 2).await;
    let body = json!({ "type": "email", "email": "amina@example.org", "token": letter.code() });
    assert_eq!(from(&hub, &home, "verify", body).await.status(), 200);
    let answer = from(&hub, &home, "token?grant_type=password", right).await;
    assert_eq!(answer.status(), 200);
}

/// S-115: letters to one address from many networks, and to many addresses from one; all processes count together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_115_nobody_is_buried_in_letters() {
    let mut settings = BY_MAIL.to_vec();
    settings.push(("MADE_OPEN_LIMITS", "on"));
    let hub = TestHub::start_with(&settings).await;
    let folder = hub.data_dir.join("second");
    std::fs::create_dir_all(&folder).unwrap();
    let mut second = command(&hub.database.url(), &folder)
        .args(["serve", "--bind", "127.0.0.1:0"])
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (elsewhere, _) = wait_until_ready(&mut second);

    let doors = ["recover", "otp", "magiclink", "resend", "signup"];
    for (number, door) in doors.into_iter().enumerate() {
        let body = json!({ "email": "Amina@example.org", "type": "signup", "password": PASSWORD });
        let network = client(&format!("127.{}.1.1", number + 1));
        assert_eq!(
            from(&hub, &network, door, body).await.status(),
            200,
            "{door}"
        );
    }
    let body = json!({ "email": "amina@EXAMPLE.org", "type": "signup", "password": PASSWORD });
    let here = from(&hub, &client("127.1.2.1"), "recover", body.clone()).await;
    assert_eq!(here.status(), 429);
    // Another process, which has not heard of this address yet: a letter by whichever door.
    for (number, door) in doors.into_iter().take(4).enumerate() {
        let network = client(&format!("127.{}.2.1", number + 1));
        let answer = at(&elsewhere, &network, door, body.clone()).await;
        assert!(answer.headers().contains_key("retry-after"), "{door}");
        refused(answer, 429, "over_email_send_rate_limit").await;
    }
    let network = client("127.77.1.1");
    let asked = |number: usize| json!({ "email": format!("person{number}@example.org") });
    for number in 0..10 {
        assert_eq!(
            from(&hub, &network, "recover", asked(number))
                .await
                .status(),
            200,
            "{number}"
        );
    }
    let answer = at(&elsewhere, &network, "recover", asked(10)).await;
    refused(answer, 429, "over_email_send_rate_limit").await;

    // Who is counted can't be read from the database.
    let admin = hub.database.admin().await;
    let rows = admin
        .query_one("select json_agg(t)::text from hub.tries t", &[])
        .await
        .unwrap();
    let rows: String = rows.get(0);
    assert!(!rows.contains("amina") && !rows.contains("127."), "{rows}");
    // An hour later by the database's clock.
    admin
        .execute(
            "update hub.tries set since = since - interval '61 minutes'",
            &[],
        )
        .await
        .unwrap();
    let body = json!({ "email": "amina@example.org" });
    assert_eq!(
        at(&elsewhere, &network, "recover", body).await.status(),
        200
    );
    drop(second.kill());
    drop(second.wait());
}

/// S-115: six digits are guessed no better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_115_codes_are_not_guessed() {
    let mut settings = BY_MAIL.to_vec();
    settings.push(("MADE_OPEN_LIMITS", "on"));
    let hub = TestHub::start_with(&settings).await;
    joins(&hub, "amina@example.org").await;
    let body = json!({ "email": "amina@example.org" });
    assert_eq!(post(&hub, "/auth/v1/otp", body).await.status(), 200);
    let letter = hub.letter("amina@example.org", 2).await;
    // Many at once, from many networks: five of them are looked at.
    let tries = (0..40).map(|number| {
        let hub = &hub;
        async move {
            let network = client(&format!("127.{}.1.1", number + 1));
            let code = format!("{number:06}");
            let body = json!({ "type": "email", "email": "amina@example.org", "token": code });
            from(hub, &network, "verify", body).await.status().as_u16()
        }
    });
    let answers = join_all(tries).await;
    assert!(answers.iter().all(|status| *status == 403), "{answers:?}");
    let admin = hub.database.admin().await;
    let row = admin
        .query_one(
            "select max(wrong_tries) from hub.one_time_links where used_at is null",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 5);
    let network = client("127.200.1.1");
    let body = json!({ "type": "email", "email": "amina@example.org", "token": letter.code() });
    refused(
        from(&hub, &network, "verify", body).await,
        403,
        "otp_expired",
    )
    .await;
    // From one network it soon takes its time.
    let mut last = 0;
    for number in 0..8 {
        let body = json!({ "type": "email", "email": "amina@example.org", "token": format!("{number:06}") });
        last = from(&hub, &network, "verify", body).await.status().as_u16();
    }
    assert_eq!(last, 429);
}

/// S-117: signing in makes a session of its own, and signing out ends it here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_117_sessions_are_new_and_end_on_the_server() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let first = joins(&hub, "amina@example.org").await;
    let second = signs_in(&hub, "amina@example.org", PASSWORD).await;
    let third = signs_in(&hub, "amina@example.org", PASSWORD).await;
    let mut ids: Vec<_> = [&first, &second, &third]
        .iter()
        .map(|person| session_of(&person.token))
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);

    let out = async |who: &crate::support::people::Person, scope: &str| {
        let asked = who.ask(&hub, Method::POST, &format!("/auth/v1/logout{scope}"));
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(out(&second, "?scope=nonsense").await, 400);
    assert_eq!(out(&second, "?scope=local").await, 204);
    let tokens = [&first.token, &second.token, &third.token];
    let mut found = Vec::new();
    for token in tokens {
        found.push(seen(&hub, token).await);
    }
    assert_eq!(found, [200, 401, 200]);
    assert_eq!(out(&third, "?scope=others").await, 204);
    assert_eq!(
        (
            seen(&hub, &first.token).await,
            seen(&hub, &third.token).await
        ),
        (401, 200)
    );
    let fourth = signs_in(&hub, "amina@example.org", PASSWORD).await;
    assert_eq!(out(&third, "").await, 204);
    assert_eq!(seen(&hub, &fourth.token).await, 401);
    refused(
        post(
            &hub,
            "/auth/v1/token?grant_type=refresh_token",
            json!({ "refresh_token": fourth.refresh }),
        )
        .await,
        400,
        "refresh_token_not_found",
    )
    .await;
}

/// S-119: an invitation and a link, used by many at once, work once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_119_what_works_once_works_once_in_parallel() {
    let mut settings = BY_MAIL.to_vec();
    settings.push(("MADE_OPEN_SIGNUP", "invite"));
    let hub = TestHub::start_with(&settings).await;
    let said = hub.cli(&["user", "invite", "--json"], None).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let invitation = said["invitation"].as_str().unwrap();
    let tries = (0..8).map(|number| {
        let body = json!({
            "email": format!("racer{number}@example.org"), "password": PASSWORD, "data": { "invitation": invitation },
        });
        post(&hub, "/auth/v1/signup", body)
    });
    let answers: Vec<u16> = join_all(tries)
        .await
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    let admin = hub.database.admin().await;
    let made: i64 = admin
        .query_one("select count(*) from users", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(made, 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers.iter().all(|status| [200, 403].contains(status)),
        "{answers:?}"
    );

    let email: String = admin
        .query_one("select email from users", &[])
        .await
        .unwrap()
        .get(0);
    let letter = hub.letter(&email, 1).await;
    let token = letter.token();
    let tries = (0..8).map(|number| {
        let (hub, email, token, letter) = (&hub, &email, &token, &letter);
        async move {
            match number % 3 {
                0 => by_token(hub, "signup", token).await.status().as_u16(),
                1 => by_code(hub, "signup", email, letter.code())
                    .await
                    .status()
                    .as_u16(),
                _ => match opened(letter.link()).await.contains("access_token=") {
                    true => 200,
                    false => 403,
                },
            }
        }
    });
    let answers = join_all(tries).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    let sessions: i64 = admin
        .query_one("select count(*) from hub.sessions", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(sessions, 1);
}

/// S-119: an account that somebody prepares with an address of another one is not his when that one confirms it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_119_nobody_prepares_an_account_for_another() {
    let hub = TestHub::start_with(BY_MAIL).await;
    let victim = "victim@example.org";
    let sly = json!({ "email": victim, "password": "the password of mallory" });
    assert_eq!(
        post(&hub, "/auth/v1/signup", sly.clone()).await.status(),
        200
    );
    hub.letter(victim, 1).await;
    signs_up(&hub, victim).await;
    let letter = hub.letter(victim, 2).await;
    assert_eq!(
        by_code(&hub, "signup", victim, letter.code())
            .await
            .status(),
        200
    );
    let mallory = post(&hub, "/auth/v1/token?grant_type=password", sly).await;
    refused(mallory, 400, "invalid_credentials").await;

    // Who just asks twice with the same password keeps it.
    let bruno = "bruno@example.org";
    signs_up(&hub, bruno).await;
    hub.letter(bruno, 1).await;
    signs_up(&hub, bruno).await;
    let letter = hub.letter(bruno, 2).await;
    let answer = by_code(&hub, "signup", bruno, letter.code()).await;
    person_of(&answer.json().await.unwrap());
    signs_in(&hub, bruno, PASSWORD).await;
}

/// S-120: passwords of any size cost no more than one computation, and many at once no more memory than a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_120_passwords_do_not_eat_the_hub() {
    let hub = TestHub::start().await;
    let sized = |size: usize| -> String { "walk the dog ".chars().cycle().take(size).collect() };
    for (size, statuses) in [
        (1_000_000, vec![413, 422]),
        (1025, vec![422]),
        (1024, vec![200]),
        (73, vec![200]),
    ] {
        let email = format!("of{size}@example.org");
        let body = json!({ "email": email, "password": sized(size) });
        let answer = post(&hub, "/auth/v1/signup", body).await;
        assert!(
            statuses.contains(&answer.status().as_u16()),
            "{size}: {}",
            answer.status()
        );
        if answer.status() == 200 {
            signs_in(&hub, &email, &sized(size)).await;
            // Every byte counts.
            let cut = format!("{}!", sized(size - 1));
            let body = json!({ "email": email, "password": cut });
            refused(
                post(&hub, "/auth/v1/token?grant_type=password", body).await,
                400,
                "invalid_credentials",
            )
            .await;
        } else {
            let body = json!({ "email": "of73@example.org", "password": sized(size) });
            let answer = post(&hub, "/auth/v1/token?grant_type=password", body).await;
            assert!(
                statuses.contains(&answer.status().as_u16()),
                "{size}: {}",
                answer.status()
            );
        }
    }
    let nul = json!({ "email": "nul@example.org", "password": "walk the\0dog by the river" });
    assert_eq!(post(&hub, "/auth/v1/signup", nul).await.status(), 200);
    let cut = json!({ "email": "nul@example.org", "password": "walk the\0dog by the lake" });
    refused(
        post(&hub, "/auth/v1/token?grant_type=password", cut).await,
        400,
        "invalid_credentials",
    )
    .await;

    let before = memory(&hub);
    let tries = (0..200).map(|number| {
        let body =
            json!({ "email": "of73@example.org", "password": format!("wrong number {number}") });
        post(&hub, "/auth/v1/token?grant_type=password", body)
    });
    let answers: Vec<u16> = join_all(tries)
        .await
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    assert!(
        answers.iter().all(|status| [400, 503].contains(status)),
        "{answers:?}"
    );
    assert!(answers.contains(&400), "{answers:?}");
    let grown = memory(&hub).saturating_sub(before);
    assert!(grown < 200 * 1024, "{grown} KiB more at the peak");
    signs_in(&hub, "of73@example.org", &sized(73)).await;
}

/// The most memory the hub ever held, in KiB.
fn memory(hub: &TestHub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.process.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client that comes from this address; all of 127.0.0.0/8 is this machine.
fn client(address: &str) -> Client {
    let address: std::net::IpAddr = address.parse().unwrap();
    Client::builder().local_address(address).build().unwrap()
}

async fn from(hub: &TestHub, client: &Client, door: &str, body: Value) -> Response {
    at(&hub.url, client, door, body).await
}

async fn at(url: &str, client: &Client, door: &str, body: Value) -> Response {
    client
        .post(format!("{url}/auth/v1/{door}"))
        .header("X-Supabase-Api-Version", "2024-01-01")
        .json(&body)
        .send()
        .await
        .unwrap()
}
