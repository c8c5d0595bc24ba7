//! Second factors through the running hub: right, wrong, replayed and parallel codes, recovery codes, what they guard.

use reqwest::Method;
use serde_json::{Value, json};

use crate::first_day::sign_in;
use crate::support::TestHub;
use crate::support::people::Person;

/// The device of a factor: its codes at the step now, `shift` steps away.
pub struct Device {
    pub factor: String,
    totp: totp_rs::Totp,
}

impl Device {
    /// Add a factor; the device then knows the seed.
    pub async fn enroll(hub: &TestHub, person: &Person, name: &str) -> Self {
        let asked =
            json!({ "friendly_name": name, "factor_type": "totp", "issuer": "Linden & Söhne" });
        let (status, told) = post(hub, &person.token, "factors", asked).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(
            (&told["type"], &told["friendly_name"]),
            (&json!("totp"), &json!(name))
        );
        let totp = &told["totp"];
        assert!(
            totp["qr_code"].as_str().unwrap().starts_with("<svg"),
            "{told}"
        );
        let secret = totp["secret"].as_str().unwrap();
        let uri = url::Url::parse(totp["uri"].as_str().unwrap()).unwrap();
        assert_eq!((uri.scheme(), uri.host_str()), ("otpauth", Some("totp")));
        let said = |name: &str| {
            uri.query_pairs()
                .find(|(key, _)| key == name)
                .unwrap()
                .1
                .into_owned()
        };
        assert_eq!(
            (said("secret").as_str(), said("issuer").as_str()),
            (secret, "Linden & Söhne")
        );
        Self {
            factor: told["id"].as_str().unwrap().to_owned(),
            totp: totp_rs::Builder::new()
                .with_secret(totp_rs::Secret::new_stack(unbase32(secret)))
                .build()
                .unwrap(),
        }
    }

    /// The code some steps from now.
    pub fn code(&self, shift: i64) -> String {
        let now = made_open::base::clock::now().timestamp() + 30 * shift;
        self.totp.generate(now.unsigned_abs()).to_string()
    }

    /// A code that is none of the three that count now.
    pub fn wrong(&self) -> String {
        let near: Vec<String> = (-2..=2).map(|shift| self.code(shift)).collect();
        (0..)
            .map(|n| format!("{n:06}"))
            .find(|code| !near.contains(code))
            .unwrap()
    }

    /// Be asked for a code.
    pub async fn challenge(&self, hub: &TestHub, token: &str) -> String {
        let (status, told) = post(
            hub,
            token,
            &format!("factors/{}/challenge", self.factor),
            json!({}),
        )
        .await;
        assert_eq!(status, 200, "{told}");
        assert!(
            told["expires_at"].as_i64().unwrap() > made_open::base::clock::now().timestamp() + 60
        );
        told["id"].as_str().unwrap().to_owned()
    }

    /// Answer a challenge.
    pub async fn answer(
        &self,
        hub: &TestHub,
        token: &str,
        challenge: &str,
        code: &str,
    ) -> (u16, Value) {
        let body = json!({ "challenge_id": challenge, "code": code });
        post(hub, token, &format!("factors/{}/verify", self.factor), body).await
    }

    /// Prove oneself with the code some steps from now.
    pub async fn prove(&self, hub: &TestHub, person: &mut Person, shift: i64) {
        let challenge = self.challenge(hub, &person.token).await;
        let (status, told) = self
            .answer(hub, &person.token, &challenge, &self.code(shift))
            .await;
        assert_eq!(status, 200, "{told}");
        person.token = told["access_token"].as_str().unwrap().to_owned();
        person.refresh = told["refresh_token"].as_str().unwrap().to_owned();
    }
}

fn unbase32(text: &str) -> [u8; 20] {
    let mut bits: Vec<u8> = Vec::new();
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            other => panic!("{other} is no letter of base32"),
        };
        bits.extend((0..5).rev().map(|bit| (value >> bit) & 1));
    }
    let bytes: Vec<u8> = bits
        .chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit))
        .collect();
    bytes.try_into().unwrap()
}

/// Ask the auth door.
pub async fn ask(
    hub: &TestHub,
    method: Method,
    token: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = hub
        .ask(method, &format!("/auth/v1/{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("X-Supabase-Api-Version", "2024-01-01");
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

pub async fn post(hub: &TestHub, token: &str, path: &str, body: Value) -> (u16, Value) {
    ask(hub, Method::POST, token, path, Some(body)).await
}

pub async fn get(hub: &TestHub, token: &str, path: &str) -> (u16, Value) {
    ask(hub, Method::GET, token, path, None).await
}

/// What a token says of itself.
pub fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let body = token.split('.').nth(1).unwrap();
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(body)
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn refused(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0, answer.1["code"].as_str()),
        (status, Some(code)),
        "{}",
        answer.1
    );
}

#[tokio::test]
async fn a_factor_counts_once_a_code_was_right_and_then_vouches() {
    let hub = TestHub::start().await;
    let mut ada = hub.sign_up("ada").await;
    let elsewhere = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    assert_eq!(claims(&ada.token)["aal"], "aal1");

    let phone = Device::enroll(&hub, &ada, "phone").await;
    let (_, user) = get(&hub, &ada.token, "user").await;
    assert_eq!(user["factors"][0]["status"], "unverified");
    assert_eq!(user["factors"][0]["factor_type"], "totp");
    assert!(!user.to_string().contains("secret"));
    let taken = json!({ "friendly_name": "phone", "factor_type": "totp" });
    refused(
        &post(&hub, &ada.token, "factors", taken).await,
        422,
        "mfa_factor_name_conflict",
    );
    for odd in ["phone", "webauthn", "pigeon"] {
        let (status, told) = post(&hub, &ada.token, "factors", json!({ "factor_type": odd })).await;
        assert!((400..500).contains(&status), "{odd}: {told}");
    }
    let early = post(&hub, &ada.token, "factors/recovery-codes", json!({})).await;
    refused(&early, 403, "insufficient_aal");

    phone.prove(&hub, &mut ada, -1).await;
    let told = claims(&ada.token);
    assert_eq!(
        (&told["aal"], &told["amr"][1]["method"]),
        (&json!("aal2"), &json!("totp"))
    );
    let (_, user) = get(&hub, &ada.token, "user").await;
    assert_eq!(user["factors"][0]["status"], "verified");
    // The password alone was enough elsewhere; now it is not, so what it opened is over.
    assert_eq!(get(&hub, &elsewhere.token, "user").await.0, 403);

    // A refreshed session stays what it was; a new one begins with the password only.
    let body = json!({ "refresh_token": ada.refresh });
    let (status, again) = post(&hub, &ada.token, "token?grant_type=refresh_token", body).await;
    assert_eq!(status, 200, "{again}");
    ada.token = again["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&ada.token)["aal"], "aal2");

    let thief = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    assert_eq!(claims(&thief.token)["aal"], "aal1");
    let path = format!("factors/{}", phone.factor);
    refused(
        &ask(&hub, Method::DELETE, &thief.token, &path, None).await,
        422,
        "insufficient_aal",
    );
    let more = json!({ "friendly_name": "thief's", "factor_type": "totp" });
    refused(
        &post(&hub, &thief.token, "factors", more).await,
        403,
        "insufficient_aal",
    );
    let password = json!({ "password": "the thief's own password" });
    let change = ask(&hub, Method::PUT, &thief.token, "user", Some(password)).await;
    refused(&change, 401, "insufficient_aal");

    let (status, gone) = ask(&hub, Method::DELETE, &ada.token, &path, None).await;
    assert_eq!((status, &gone["id"]), (200, &json!(phone.factor)));
    assert_eq!(
        get(&hub, &thief.token, "user").await.0,
        403,
        "other sessions end with the factor"
    );
    let (_, user) = get(&hub, &ada.token, "user").await;
    assert!(user.get("factors").is_none(), "{user}");
    let admin = hub.database.admin().await;
    let left: i64 = admin
        .query_one(
            "select (select count(*) from vault_secrets) + (select count(*) from hub.factors)",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0, "the seed is forgotten with its factor");
}

#[tokio::test]
async fn a_code_works_once_and_only_for_whom_it_is() {
    let hub = TestHub::start().await;
    let mut ada = hub.sign_up("ada").await;
    let mallory = hub.sign_up("mallory").await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, 0).await;

    // The same code again, an earlier one, and one of two steps ahead.
    for shift in [0, -1, 2] {
        let challenge = phone.challenge(&hub, &ada.token).await;
        let again = phone
            .answer(&hub, &ada.token, &challenge, &phone.code(shift))
            .await;
        refused(&again, 422, "mfa_verification_failed");
    }

    // Somebody else's factor is answered like one that is not there.
    let code = phone.code(1);
    for id in [
        phone.factor.as_str(),
        "01890000-0000-7000-8000-000000000000",
        "nonsense",
    ] {
        let asked = post(
            &hub,
            &mallory.token,
            &format!("factors/{id}/challenge"),
            json!({}),
        )
        .await;
        refused(&asked, 404, "mfa_factor_not_found");
        let gone = ask(
            &hub,
            Method::DELETE,
            &mallory.token,
            &format!("factors/{id}"),
            None,
        )
        .await;
        refused(&gone, 404, "mfa_factor_not_found");
    }
    let challenge = phone.challenge(&hub, &ada.token).await;
    let stolen = phone.answer(&hub, &mallory.token, &challenge, &code).await;
    refused(&stolen, 404, "mfa_factor_not_found");

    // A challenge belongs to the session that asked, and to one factor.
    let other = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    refused(
        &phone.answer(&hub, &other.token, &challenge, &code).await,
        422,
        "mfa_challenge_expired",
    );
    let unknown = "01890000-0000-4000-8000-000000000000";
    refused(
        &phone.answer(&hub, &ada.token, unknown, &code).await,
        422,
        "mfa_challenge_expired",
    );
    refused(
        &phone.answer(&hub, &ada.token, "nonsense", &code).await,
        400,
        "validation_failed",
    );
    let admin = hub.database.admin().await;
    admin
        .execute("update hub.factor_challenges set expires_at = now()", &[])
        .await
        .unwrap();
    refused(
        &phone.answer(&hub, &ada.token, &challenge, &code).await,
        422,
        "mfa_challenge_expired",
    );

    // None of it used the code up.
    phone.prove(&hub, &mut ada, 1).await;

    // The seed is nowhere to be read.
    let rows: Vec<String> = admin
        .query("select row_to_json(s)::text from vault_secrets s", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("totp_seed"), "{rows:?}");
}

#[tokio::test]
async fn of_two_who_show_one_code_at_once_one_gets_in() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    let challenge = phone.challenge(&hub, &ada.token).await;
    let code = phone.code(0);
    let tries = (0..6).map(|_| phone.answer(&hub, &ada.token, &challenge, &code));
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(won, 1, "{answers:?}");
    for (status, told) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(*status, 422, "{told}");
    }
}

#[tokio::test]
async fn wrong_codes_are_counted_whatever_the_challenge_and_the_session() {
    let hub = TestHub::start().await;
    let mut ada = hub.sign_up("ada").await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, -1).await;
    let (status, codes) = post(&hub, &ada.token, "factors/recovery-codes", json!({})).await;
    assert_eq!(status, 200, "{codes}");

    let mut thief = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    for n in 0..5 {
        if n == 3 {
            thief = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
        }
        let challenge = phone.challenge(&hub, &thief.token).await;
        let wrong = phone
            .answer(&hub, &thief.token, &challenge, &phone.wrong())
            .await;
        refused(&wrong, 422, "mfa_verification_failed");
    }
    let challenge = phone.challenge(&hub, &thief.token).await;
    let answer = hub
        .ask(
            Method::POST,
            &format!("/auth/v1/factors/{}/verify", phone.factor),
        )
        .header("Authorization", format!("Bearer {}", thief.token))
        .json(&json!({ "challenge_id": challenge, "code": phone.code(0) }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 429, "even the right one has to wait");
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");

    // The owner is not locked out: a recovery code needs no waiting, and the session that stands stands.
    let mut owner = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    let body = json!({ "recovery_code": codes["codes"][0] });
    let path = format!("factors/{}/verify", phone.factor);
    let (status, told) = post(&hub, &owner.token, &path, body).await;
    assert_eq!(status, 200, "{told}");
    owner.token = told["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&owner.token)["aal"], "aal2");
    assert_eq!(get(&hub, &ada.token, "user").await.0, 200);

    // After the wait a right code forgives what was wrong.
    let admin = hub.database.admin().await;
    admin
        .execute("update hub.factor_guesses set wait_until = now()", &[])
        .await
        .unwrap();
    phone.prove(&hub, &mut owner, 1).await;
    let left: i64 = admin
        .query_one(
            "select count(*) from hub.factor_guesses where wrong > 0",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);

    // One challenge bears five wrong codes and no more, whatever the account's wait says.
    let challenge = phone.challenge(&hub, &owner.token).await;
    admin
        .execute(
            "update hub.factor_challenges set wrong = 5 where id = $1::text::uuid",
            &[&challenge],
        )
        .await
        .unwrap();
    let late = phone
        .answer(&hub, &owner.token, &challenge, &phone.wrong())
        .await;
    refused(&late, 422, "mfa_challenge_expired");
}

#[tokio::test]
async fn recovery_codes_are_told_once_and_work_once() {
    let hub = TestHub::start().await;
    let mut ada = hub.sign_up("ada").await;
    let phone = Device::enroll(&hub, &ada, "phone").await;
    phone.prove(&hub, &mut ada, 0).await;
    refused(
        &get(&hub, &ada.token, "factors/recovery-codes").await,
        404,
        "mfa_factor_not_found",
    );
    let (_, made) = post(&hub, &ada.token, "factors/recovery-codes", json!({})).await;
    let codes: Vec<String> = serde_json::from_value(made["codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    let again = post(&hub, &ada.token, "factors/recovery-codes", json!({})).await;
    refused(&again, 422, "mfa_factor_name_conflict");
    let admin = hub.database.admin().await;
    let kept: Vec<Vec<u8>> = admin
        .query("select code_hash from hub.recovery_codes", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(kept.iter().all(|hash| hash.len() == 32));
    let (_, user) = get(&hub, &ada.token, "user").await;
    assert!(
        codes.iter().all(|code| !user.to_string().contains(code)),
        "{user}"
    );

    // Eight at once with one code: one gets in.
    let tries = (0..8).map(|_| {
        let (hub, code) = (&hub, codes[0].clone());
        async move {
            let session = sign_in(hub, "ada@example.org", "ada walks the dog").await;
            post(
                hub,
                &session.token,
                "factors/recovery-codes/verify",
                json!({ "code": code }),
            )
            .await
            .0
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    let (_, left) = get(&hub, &ada.token, "factors/recovery-codes").await;
    assert_eq!(
        (&left["total"], &left["remaining"]),
        (&json!(10), &json!(9))
    );

    // Typed as people type; somebody else's never.
    let mallory = hub.sign_up("mallory").await;
    let typed = json!({ "code": codes[1].to_uppercase().replace('-', " ") });
    let stolen = post(
        &hub,
        &mallory.token,
        "factors/recovery-codes/verify",
        typed.clone(),
    )
    .await;
    refused(&stolen, 422, "mfa_verification_failed");
    let session = sign_in(&hub, "ada@example.org", "ada walks the dog").await;
    let (status, told) = post(&hub, &session.token, "factors/recovery-codes/verify", typed).await;
    assert_eq!(status, 200, "{told}");
    let amr = claims(told["access_token"].as_str().unwrap())["amr"][1]["method"].clone();
    assert_eq!(amr, "mfa/recovery_code");

    // New ones replace the old, all of them.
    let (status, fresh) = post(
        &hub,
        &ada.token,
        "factors/recovery-codes/regenerate",
        json!({}),
    )
    .await;
    assert_eq!(status, 200, "{fresh}");
    let old = json!({ "code": codes[2] });
    refused(
        &post(&hub, &session.token, "factors/recovery-codes/verify", old).await,
        422,
        "mfa_verification_failed",
    );
    for odd in ["", "-", "\u{0}", &"x".repeat(5000)] {
        let body = json!({ "code": odd });
        let answer = post(&hub, &session.token, "factors/recovery-codes/verify", body).await;
        refused(&answer, 422, "mfa_verification_failed");
    }
}
