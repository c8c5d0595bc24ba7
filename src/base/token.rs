//! Signed tokens (JWT, HS256 and nothing else): made and read here, so that every door refuses the same ones.
//! A token proves a session or that it is the hub's public key; what its holder may do is never read from it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::caller::Role;
use super::error::Told;
use super::secret::Secret;
use super::{Caller, Error, Result, clock};

/// No token of ours is longer.
pub const LONGEST: usize = 8 * 1024;

/// How far another machine's clock may run ahead of ours; an expired token gets no such grace.
const AHEAD: f64 = 30.0;

/// The only algorithm there is.
const ALGORITHM: &str = "HS256";

/// Who issued the tokens that live as long as the hub's key.
const ISSUER: &str = "made-open";

/// Signs and reads tokens with the hub's key.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
}

/// The part of a header that decides; a name that comes twice is refused.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<Value>,
}

impl Signer {
    /// A signer over the hub's key.
    pub fn new(key: Secret) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes()),
        }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": ALGORITHM, "typ": "JWT" });
        let mut token = format!("{}.{}", packed(&header), packed(claims));
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        token
    }

    /// A keyed hash of something that could be guessed, so that whoever reads it without the key can't try.
    pub fn mark(&self, what: &str, text: &str) -> Vec<u8> {
        // No token begins like this, so that none can be made from a mark.
        let marked = format!("made-open mark\0{what}\0{text}");
        hmac::sign(&self.key, marked.as_bytes()).as_ref().to_vec()
    }

    /// The claims of a token that we signed and that holds at `now`.
    pub fn read(&self, token: &str, now: DateTime<Utc>) -> Result<Map<String, Value>> {
        if token.is_empty() {
            return Err(undecodable(
                "Empty JWT is sent in Authorization header",
                None,
            ));
        }
        if token.len() > LONGEST {
            return Err(undecodable("The JWT is too long", None));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let &[head, body, signature] = parts.as_slice() else {
            return Err(undecodable(
                &format!("Expected 3 parts in JWT; got {}", parts.len()),
                None,
            ));
        };

        let header: Header =
            unpacked(head).ok_or_else(|| no_key("The header of the JWT cannot be read"))?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return Err(undecodable(
                "Wrong or unsupported encoding algorithm",
                Some("Only HS256 is accepted"),
            ));
        }
        let signed = format!("{head}.{body}");
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| no_key(NO_KEY_FITS))?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).map_err(|_| no_key(NO_KEY_FITS))?;

        let claims: Map<String, Value> =
            unpacked(body).ok_or_else(|| unfit("Parsing claims failed"))?;
        check_times(&claims, now.timestamp_micros() as f64 / 1e6)?;
        Ok(claims)
    }

    /// Who shows this token, and the database role that he will take on.
    pub fn caller(&self, token: &str) -> Result<(Caller, Role)> {
        let claims = self.read(token, clock::now())?;
        let role = match claims.get("role").and_then(Value::as_str) {
            Some("anon") => return Ok((Caller::Anonymous, Role::Anon)),
            Some("authenticated") if claims.contains_key("exp") => Role::Authenticated,
            Some("service_role") => Role::Service,
            _ => return Err(unfit("The JWT names no role of this hub")),
        };
        let session = claims
            .get("session_id")
            .and_then(Value::as_str)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| unfit("The JWT names no session"))?;
        Ok((Caller::Session(session), role))
    }

    /// The public key that apps carry: the same text as long as the hub's key is.
    pub fn anon_key(&self) -> String {
        self.sign(&json!({ "iss": ISSUER, "role": "anon" }))
    }

    /// The key of a program that acts for the hub; worth nothing once its session is gone.
    pub fn service_key(&self, session: Uuid) -> String {
        self.sign(&json!({ "iss": ISSUER, "role": "service_role", "session_id": session }))
    }
}

const NO_KEY_FITS: &str = "None of the keys was able to decode the JWT";

fn packed(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn unpacked<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn check_times(claims: &Map<String, Value>, now: f64) -> Result<()> {
    if time(claims, "exp")?.is_some_and(|end| end <= now) {
        return Err(unfit("JWT expired"));
    }
    if time(claims, "nbf")?.is_some_and(|start| start > now + AHEAD) {
        return Err(unfit("JWT not yet valid"));
    }
    if time(claims, "iat")?.is_some_and(|made| made > now + AHEAD) {
        return Err(unfit("JWT issued at future"));
    }
    Ok(())
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(unfit(&format!("The JWT '{name}' claim must be a number"))),
        },
    }
}

fn no_key(details: &str) -> Error {
    undecodable("No suitable key or wrong key type", Some(details))
}

/// Not a token of ours.
fn undecodable(message: &str, details: Option<&str>) -> Error {
    let mut told = Told::new("PGRST301", message);
    if let Some(details) = details {
        told = told.details(details);
    }
    Error::SignIn(Box::new(told))
}

/// A token of ours that does not hold.
fn unfit(message: &str) -> Error {
    Error::sign_in("PGRST303", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new(Secret::new("a key that only tests know"))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn with_header(header: &str, claims: &Value) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), packed(claims));
        let signature = hmac::sign(&signer().key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn code(token: &str) -> String {
        match signer().read(token, at(1000)) {
            Ok(_) => "fine".to_owned(),
            Err(error) => {
                let told = error.told().unwrap();
                assert_eq!(error.status(), 401);
                format!("{} {}", told.code, told.message)
            }
        }
    }

    #[test]
    fn the_token_of_rfc_7515_is_read() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let signer = Signer {
            key: hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(key).unwrap()),
        };
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(signer.read(token, at(1300819379)).unwrap()["iss"], "joe");
        assert!(signer.read(token, at(1300819380)).is_err());
    }

    #[test]
    fn forged_tokens_are_refused() {
        let good = signer().sign(&json!({ "role": "anon" }));
        assert_eq!(code(&good), "fine");
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let other = Signer::new(Secret::new("another key")).sign(&json!({ "role": "anon" }));
        let no_key = "PGRST301 No suitable key or wrong key type";
        for forged in [
            other,
            format!("{signed}."),
            format!("{signed}.{signature}="),
            format!("{signed}.{}", &signature[..signature.len() - 1]),
            format!("{}.{signature}", signed.to_lowercase()),
            format!(" {good}"),
        ] {
            assert_eq!(code(&forged), no_key, "{forged}");
        }
        assert_eq!(
            code(""),
            "PGRST301 Empty JWT is sent in Authorization header"
        );
        assert_eq!(code(signed), "PGRST301 Expected 3 parts in JWT; got 2");
        assert_eq!(
            code(&format!("{good}.")),
            "PGRST301 Expected 3 parts in JWT; got 4"
        );
        assert_eq!(
            code(&"a".repeat(LONGEST + 1)),
            "PGRST301 The JWT is too long"
        );
    }

    #[test]
    fn only_one_algorithm_is_known() {
        let claims = json!({ "role": "service_role" });
        let refused = "PGRST301 Wrong or unsupported encoding algorithm";
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
        ] {
            assert_eq!(code(&with_header(header, &claims)), refused, "{header}");
        }
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            packed(&claims)
        );
        assert_eq!(code(&unsigned), refused);
        let twice = with_header(r#"{"alg":"none","alg":"HS256"}"#, &claims);
        assert_eq!(code(&twice), "PGRST301 No suitable key or wrong key type");
        assert_eq!(code(&with_header(r#"{"alg":"HS256"}"#, &claims)), "fine");
    }

    #[test]
    fn times_are_kept() {
        let cases = [
            (json!({ "exp": 1001 }), "fine"),
            (json!({ "exp": 1000 }), "PGRST303 JWT expired"),
            (json!({ "exp": 999.5 }), "PGRST303 JWT expired"),
            (
                json!({ "exp": "never" }),
                "PGRST303 The JWT 'exp' claim must be a number",
            ),
            (
                json!({ "exp": null }),
                "PGRST303 The JWT 'exp' claim must be a number",
            ),
            (json!({ "nbf": 1031 }), "PGRST303 JWT not yet valid"),
            (json!({ "iat": 1031 }), "PGRST303 JWT issued at future"),
            (json!({ "iat": 1020 }), "fine"),
            (json!([1]), "PGRST303 Parsing claims failed"),
        ];
        for (claims, expected) in cases {
            assert_eq!(code(&signer().sign(&claims)), expected, "{claims}");
        }
    }

    #[test]
    fn a_token_says_which_session_it_proves() {
        let signer = signer();
        let session = Uuid::from_u128(7);
        assert_eq!(signer.anon_key(), signer.anon_key());
        assert_eq!(
            signer.caller(&signer.anon_key()).unwrap(),
            (Caller::Anonymous, Role::Anon)
        );
        assert_eq!(
            signer.caller(&signer.service_key(session)).unwrap(),
            (Caller::Session(session), Role::Service)
        );
        // An access token lives for a while only; one without an end is not ours.
        for odd in [
            json!({ "role": "authenticated", "session_id": session }),
            json!({ "role": "made_open_owner", "session_id": session }),
            json!({ "role": "service_role" }),
            json!({ "role": "service_role", "session_id": "1" }),
            json!({}),
        ] {
            assert!(signer.caller(&signer.sign(&odd)).is_err(), "{odd}");
        }
    }
}
