//! Passwords: which ones will do, how they are kept, how they are checked without telling whose account exists.
//! Hashing costs memory on purpose, so only a few run at once; who waits too long is told that the hub is busy.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use unicode_normalization::UnicodeNormalization;

use crate::base::error::Told;
use crate::base::secret::random;
use crate::base::{Error, Result};

/// The shortest and the longest password, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=1024;

/// Memory in KiB, passes and lanes of Argon2id: the least that OWASP recommends.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// How many are hashed at once; each takes 19 MiB.
static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);
const AT_ONCE: usize = 2;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the password of an account that does not exist is compared with: no password has this hash, and making it up
/// costs nothing, so that also the first comparison is one computation.
static NOBODYS: LazyLock<String> = LazyLock::new(|| {
    let (memory, passes, lanes) = COST;
    let salt = STANDARD_NO_PAD.encode(random::<16>());
    let hash = STANDARD_NO_PAD.encode(random::<32>());
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
});

/// Whether a password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, but kept with a lower cost than is usual by now.
    RightButWeaklyKept,
    Wrong,
}

/// Whether a password will do for the account with this address; `weak_password` with its reasons otherwise.
pub fn check(password: &str, email: &str) -> Result<()> {
    let password = normal(password);
    if password.len() < *LENGTH.start() {
        return Err(weak(
            "length",
            &format!(
                "The password must have at least {} characters.",
                LENGTH.start()
            ),
        ));
    }
    if password.len() > *LENGTH.end() {
        return Err(weak(
            "length",
            &format!("The password is longer than {} bytes.", LENGTH.end()),
        ));
    }
    if is_guessed_first(&password, email) {
        return Err(weak(
            "pwned",
            "This password is one of the first that are guessed; choose another.",
        ));
    }
    Ok(())
}

/// A password as it is kept.
pub async fn hash(password: &str) -> Result<String> {
    let password = normal(password);
    in_turn(move || hash_now(&password)).await?
}

/// Compare a password with the one that is kept; without one it takes as long and is wrong.
pub async fn verify(password: &str, kept: Option<String>) -> Result<Verdict> {
    // Longer ones were never let in, whoever's account it is.
    if password.len() > *LENGTH.end() * 4 {
        return Err(too_long());
    }
    let password = normal(password);
    if password.len() > *LENGTH.end() {
        return Err(too_long());
    }
    in_turn(move || {
        let known = kept.is_some();
        let against = kept.unwrap_or_else(|| NOBODYS.clone());
        match PasswordHash::new(&against) {
            Ok(parsed) => match engine().verify_password(password.as_bytes(), &parsed) {
                Ok(()) if !known => Verdict::Wrong,
                Ok(()) if is_weakly_kept(&parsed) => Verdict::RightButWeaklyKept,
                Ok(()) => Verdict::Right,
                Err(_) => Verdict::Wrong,
            },
            Err(_) => Verdict::Wrong,
        }
    })
    .await
}

/// A password that nobody has to remember: 120 random bits in groups that can be typed.
pub fn random_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters: Vec<u8> = random::<24>()
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)).copied())
        .collect();
    letters
        .chunks(6)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join("-")
}

/// The same characters typed on another keyboard are the same password.
fn normal(password: &str) -> String {
    password.nfc().collect()
}

/// Work for one of the threads that hash.
type Work = Box<dyn FnOnce() + Send>;

/// As many threads as may hash at once. Always the same ones: the memory that one of them used is used again by its
/// next work, where threads that come and go would each keep theirs.
static HASHERS: LazyLock<UnboundedSender<Work>> = LazyLock::new(|| {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<Work>();
    let receive = Arc::new(Mutex::new(receive));
    for number in 0..AT_ONCE {
        let receive = receive.clone();
        let hash = move || {
            loop {
                let work = {
                    let mut receive = receive.lock().unwrap_or_else(PoisonError::into_inner);
                    receive.blocking_recv()
                };
                match work {
                    Some(work) => work(),
                    None => return,
                }
            }
        };
        let started = std::thread::Builder::new()
            .name(format!("hash-{number}"))
            .spawn(hash);
        if let Err(error) = started {
            tracing::error!(event = "no_thread_to_hash", cause = %error);
        }
    }
    send
});

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = tokio::time::timeout(PATIENCE, ROOM.acquire())
        .await
        .map_err(|_| Error::busy("Too many people sign in at the moment; try again soon."))?
        .map_err(Error::broken)?;
    let (answer, answered) = tokio::sync::oneshot::channel();
    let work: Work = Box::new(move || {
        // Held by the work itself: a client that hangs up does not make room for another hash.
        let _turn = turn;
        drop(answer.send(work()));
    });
    HASHERS
        .send(work)
        .map_err(|_| Error::broken(anyhow::anyhow!("nobody hashes")))?;
    answered.await.map_err(Error::broken)
}

fn engine() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&random::<16>()).map_err(unusable)?;
    let kept = engine()
        .hash_password(password.as_bytes(), &salt)
        .map_err(unusable)?;
    Ok(kept.to_string())
}

#[track_caller]
fn unusable(error: argon2::password_hash::Error) -> Error {
    Error::broken(anyhow::anyhow!("Argon2: {error}"))
}

fn is_weakly_kept(kept: &PasswordHash<'_>) -> bool {
    let (memory, passes, _) = COST;
    match Params::try_from(kept) {
        Ok(params) => {
            kept.algorithm != Algorithm::Argon2id.ident()
                || params.m_cost() < memory
                || params.t_cost() < passes
        }
        Err(_) => true,
    }
}

/// Words that carry a password only together with something else.
const BASE_WORDS: &[&str] = &[
    "abc",
    "admin",
    "administrator",
    "asdf",
    "asdfgh",
    "baseball",
    "changeme",
    "computer",
    "dragon",
    "flower",
    "football",
    "hello",
    "iloveyou",
    "letmein",
    "login",
    "madeopen",
    "master",
    "michael",
    "monkey",
    "mypassword",
    "password",
    "passwd",
    "pass",
    "princess",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "root",
    "secret",
    "shadow",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "test",
    "user",
    "welcome",
    "winter",
    "zxcvbn",
    "zxcvbnm",
];

fn is_guessed_first(password: &str, email: &str) -> bool {
    let lower = password.to_lowercase();
    if include_str!("guessed_first.txt")
        .lines()
        .any(|line| line == lower)
    {
        return true;
    }
    let local = email.split('@').next().unwrap_or_default();
    if lower == email || (!local.is_empty() && repeats(&lower, local)) {
        return true;
    }
    // Few different characters, or a run such as 123456789012.
    let mut different: Vec<char> = lower.chars().collect();
    let runs = different
        .iter()
        .zip(different.iter().skip(1))
        .filter(|(a, b)| (**a as i64 - **b as i64).abs() <= 1)
        .count();
    let length = different.len();
    different.sort_unstable();
    different.dedup();
    if different.len() < 4 || runs + 3 >= length {
        return true;
    }
    // A word of the list with digits and signs around it, or said twice.
    let word = lower.trim_matches(|c: char| !c.is_alphabetic());
    BASE_WORDS
        .iter()
        .any(|base| word == *base && lower.len() < base.len() + 8 || repeats(word, base))
}

/// Whether a text is another one said twice or more often.
fn repeats(text: &str, part: &str) -> bool {
    text.len() >= part.len() * 2 && text.replace(part, "").is_empty()
}

fn too_long() -> Error {
    Error::invalid(
        "validation_failed",
        format!("The password is longer than {} bytes.", LENGTH.end()),
    )
}

fn weak(reason: &str, message: &str) -> Error {
    Error::Invalid(Box::new(
        Told::new("weak_password", message).details(json!({ "reasons": [reason] })),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn will_do(password: &str) -> bool {
        check(password, "anna.lind@example.org").is_ok()
    }

    #[test]
    fn good_passwords_will_do() {
        for password in [
            "anna walks the dog",
            "ünïcödé wörds",
            "4711 is not eau de cologne",
            "correct donkey battery paperclip",
            "nul\0inside it is fine",
            "Kj8#vQ2!mZp0",
            "847201936452",
            &"long and ".repeat(113),
        ] {
            assert!(will_do(password), "{password}");
        }
        assert!(will_do(&random_password()));
        assert_eq!(random_password().len(), 27);
    }

    #[test]
    fn short_long_and_famous_ones_will_not() {
        let long = "long and ".repeat(114);
        for password in [
            "",
            "elevenbytes",
            &long,
            "qwertyuiop[]",
            "QwertyUiop123",
            "Password1234!",
            "passwordpassword",
            "administrator1",
            "123456789012",
            "210987654321",
            "aaaaaaaaaaaaaaa",
            "abababababab",
            "anna.lind@example.org",
            "anna.lindanna.lind",
        ] {
            assert!(!will_do(password), "{password}");
        }
        let error = check("short", "a@b.example").unwrap_err();
        assert!(error.is("weak_password"));
        assert_eq!(error.status(), 422);
    }

    #[tokio::test]
    async fn every_byte_counts_and_composition_does_not() {
        let long = format!("{}x", "y z ".repeat(255));
        let kept = hash(&long).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let cut = &long[..long.len() - 1];
        assert_eq!(
            verify(&long, Some(kept.clone())).await.unwrap(),
            Verdict::Right
        );
        assert_eq!(verify(cut, Some(kept)).await.unwrap(), Verdict::Wrong);

        let kept = hash("caf\u{e9} au lait").await.unwrap();
        let typed = verify("cafe\u{301} au lait", Some(kept)).await.unwrap();
        assert_eq!(typed, Verdict::Right);
        let kept = hash("nul\0one two three").await.unwrap();
        assert_eq!(
            verify("nul\0one two four", Some(kept)).await.unwrap(),
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        assert_eq!(
            verify("anna walks the dog", None).await.unwrap(),
            Verdict::Wrong
        );
        // As costly as anybody's.
        let nobodys = PasswordHash::new(&NOBODYS).unwrap();
        let own = hash_now("anna walks the dog").unwrap();
        assert_eq!(
            Params::try_from(&nobodys).unwrap(),
            Params::try_from(&PasswordHash::new(&own).unwrap()).unwrap()
        );
        let broken = Some("$argon2id$not".to_owned());
        assert_eq!(
            verify("anna walks the dog", broken).await.unwrap(),
            Verdict::Wrong
        );
        assert!(
            verify(&"x".repeat(1025), None)
                .await
                .unwrap_err()
                .is("validation_failed")
        );
    }

    #[tokio::test]
    async fn an_older_hash_is_right_and_noted() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8, 1, 1, None).unwrap(),
        );
        let salt = SaltString::encode_b64(&random::<16>()).unwrap();
        let kept = weak
            .hash_password(b"anna walks the dog", &salt)
            .unwrap()
            .to_string();
        assert_eq!(
            verify("anna walks the dog", Some(kept)).await.unwrap(),
            Verdict::RightButWeaklyKept
        );
    }
}
