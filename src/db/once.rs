//! One effect for each key that a caller chose (S-138, R-42). The key is taken, the work done and the answer kept in one
//! transaction: its commit waits until the door has said the answer, so a crash leaves either all of it or nothing.
//! Which requests carry a key, and how an answer is said again, is for the doors to know.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{digest, hmac};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use diesel::sql_types::{Binary, Integer, Nullable, Text};

use super::{Bind, Db, Statement, Tx};
use crate::base::error::Told;
use crate::base::secret::{random, token_hash};
use crate::base::{Caller, Error, Result};

tokio::task_local! {
    /// The key of the request that this task answers.
    static ASKED: Arc<Once>;
}

/// Longer answers are not kept: told again, they are a refusal that says so.
const LONGEST: usize = 1024 * 1024;

const NONCE: usize = 24;

/// An answer as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request that is to have its effect once.
pub struct Once {
    /// Who asks, where there is no account.
    otherwise: String,
    key: String,
    request: Vec<u8>,
    state: Mutex<State>,
}

enum State {
    /// Nothing was written yet.
    Open,
    /// The effect is there and waits for its answer.
    Held(Box<Tx>),
    /// It was answered before.
    Told(Option<Answer>),
    /// Another request has the key, or had it for something else.
    Refused,
    Over,
}

type Known = (String, Option<i32>, Option<String>, Option<Vec<u8>>);
type KnownTypes = (Text, Nullable<Integer>, Nullable<Text>, Nullable<Binary>);

impl Once {
    /// A key with everything that makes the request what it is; `otherwise` says who asks where there is no account.
    pub fn new(key: &str, otherwise: String, request: &[&[u8]]) -> Arc<Self> {
        // Keyed, so that whoever reads the table can't try what the request might have been.
        let mut hash = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
        for part in request {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Arc::new(Self {
            otherwise,
            key: key.to_owned(),
            request: hash.sign().as_ref().to_vec(),
            state: Mutex::new(State::Open),
        })
    }

    /// Answer the request: the first transaction that writes meanwhile takes the key, and is held open at its end.
    pub async fn around<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        ASKED.scope(self.clone(), work).await
    }

    /// The answer that was given before, if it was; the inner one is missing when it was too long to be kept.
    pub fn told_before(&self) -> Option<Option<Answer>> {
        match &*self.lock() {
            State::Told(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    /// Whether the key itself was refused.
    pub fn is_refused(&self) -> bool {
        matches!(&*self.lock(), State::Refused)
    }

    /// Whether an effect waits for its answer.
    pub fn is_held(&self) -> bool {
        matches!(&*self.lock(), State::Held(_))
    }

    /// Keep the answer beside the effect and make both true.
    pub async fn commit(&self, answer: &Answer) -> Result<()> {
        let state = std::mem::replace(&mut *self.lock(), State::Over);
        let State::Held(mut tx) = state else {
            return Ok(());
        };
        self.keep(&mut tx, answer).await?;
        tx.commit().await
    }

    /// Undo what waits.
    pub async fn undo(&self) -> Result<()> {
        let state = std::mem::replace(&mut *self.lock(), State::Over);
        match state {
            State::Held(tx) => tx.roll_back().await,
            _ => Ok(()),
        }
    }

    /// Keep an answer that had no effect. What is known of the key decides as it would have for an effect.
    pub async fn keep_refusal(&self, db: &Db, caller: &Caller, answer: &Answer) -> Result<()> {
        *self.lock() = State::Open;
        db.write(caller, async |tx| {
            self.take(tx).await?;
            self.keep(tx, answer).await
        })
        .await
    }

    /// Take the key in a transaction that has just begun.
    pub(super) async fn take(&self, tx: &mut Tx) -> Result<()> {
        let mut take =
            Statement::<KnownTypes>::new("select state, status, headers, body from hub.take_key(");
        take.text(&self.otherwise)
            .sql(", ")
            .bind(Bind::Bytes(token_hash(&self.key)))
            .sql(", ")
            .bind(Bind::Bytes(self.request.clone()))
            .sql(")");
        let known: Vec<Known> = tx.load(take).await?;
        let (state, status, headers, body) = known
            .into_iter()
            .next()
            .ok_or_else(|| Error::broken(anyhow::anyhow!("the key gave no row")))?;
        let (next, refusal) = match state.as_str() {
            "new" => return Ok(()),
            "running" => (
                State::Refused,
                Error::conflict(
                    "idempotency.running",
                    "A request with this Idempotency-Key is under way; ask again soon.",
                ),
            ),
            "other" => (State::Refused, other_request()),
            _ => {
                let answer = body
                    .map(|sealed| self.open(&sealed))
                    .transpose()?
                    .map(|body| Answer {
                        status: status.and_then(|s| u16::try_from(s).ok()).unwrap_or(200),
                        headers: headers
                            .and_then(|text| serde_json::from_str(&text).ok())
                            .unwrap_or_default(),
                        body,
                    });
                (
                    State::Told(answer),
                    Error::conflict(
                        "idempotency.not_kept",
                        "This request was done before, and its answer was too long to be kept.",
                    ),
                )
            }
        };
        *self.lock() = next;
        Err(refusal)
    }

    /// Hold a transaction whose work is done; what it put off is checked now, while it can still be refused.
    pub(super) async fn hold(&self, mut tx: Tx) -> Result<()> {
        tx.script("set constraints all immediate").await?;
        *self.lock() = State::Held(Box::new(tx));
        Ok(())
    }

    async fn keep(&self, tx: &mut Tx, answer: &Answer) -> Result<()> {
        let headers = serde_json::to_string(&answer.headers).map_err(Error::broken)?;
        let mut keep = Statement::<Nullable<Text>>::new("select hub.keep_answer(");
        keep.text(&self.otherwise)
            .sql(", ")
            .bind(Bind::Bytes(token_hash(&self.key)))
            .sql(", ")
            .bind(Bind::Bytes(self.request.clone()))
            .sql(", ")
            .bind(Bind::Int(i64::from(answer.status)))
            .sql("::int, ")
            .text(headers)
            .sql("::jsonb, ");
        match answer.body.len() {
            0..=LONGEST => keep.bind(Bind::Bytes(self.seal(&answer.body)?)),
            _ => keep.sql("null"),
        };
        keep.sql(")::text");
        tx.load::<_, Option<String>>(keep).await.map(|_| ())
    }

    /// Answers may hold what nobody else may read, so they are sealed under what only the asker has: his key.
    fn cipher(&self) -> Result<XChaCha20Poly1305> {
        let mut key = digest::Context::new(&digest::SHA256);
        key.update(b"made-open: the answer to ");
        key.update(self.key.as_bytes());
        XChaCha20Poly1305::new_from_slice(key.finish().as_ref()).map_err(Error::broken)
    }

    fn seal(&self, body: &[u8]) -> Result<Vec<u8>> {
        let nonce = random::<NONCE>();
        let payload = Payload {
            msg: body,
            aad: &self.request,
        };
        let sealed = self
            .cipher()?
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::broken(anyhow::anyhow!("an answer could not be sealed")))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || Error::broken(anyhow::anyhow!("a kept answer does not open"));
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let payload = Payload {
            msg: sealed,
            aad: &self.request,
        };
        self.cipher()?
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| damaged())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key that this task's next write has to take.
pub fn asked() -> Option<Arc<Once>> {
    ASKED
        .try_with(Arc::clone)
        .ok()
        .filter(|once| matches!(&*once.lock(), State::Open))
}

fn other_request() -> Error {
    let told = Told::new(
        "idempotency.other_request",
        "This Idempotency-Key was used for another request.",
    );
    Error::Invalid(Box::new(told.status(422)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_opens_with_its_key_and_request_only() {
        let once = |key: &str, body: &[u8]| Once::new(key, "network".to_owned(), &[b"POST", body]);
        let sealed = once("a", b"1").seal(b"the answer").unwrap();
        assert_eq!(once("a", b"1").open(&sealed).unwrap(), b"the answer");
        assert!(once("b", b"1").open(&sealed).is_err());
        assert!(once("a", b"2").open(&sealed).is_err());
        assert!(!sealed.windows(10).any(|part| part == b"the answer"));
    }

    #[test]
    fn parts_of_a_request_do_not_run_into_each_other() {
        let hash = |parts: &[&[u8]]| Once::new("k", String::new(), parts).request.clone();
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
