//! One delivery: signed, sent, and what the peer's answer means. No database here.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;
use uuid::Uuid;

use super::back_off;
use crate::base::clock;
use crate::fed::keys::Signer;
use crate::fed::signature::{self, Scheme};
use crate::net::http::{Bytes, Failure, Method, Peers, Refused, Reply, Request};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What is read of an answer: enough to see whether it speaks of signatures.
const READ: usize = 16 * 1024;

/// How far a peer's clock may be from ours before it explains a 401.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// What is to be sent where, by whom.
#[derive(Clone)]
pub struct Letter {
    pub id: Uuid,
    pub activity: Uuid,
    pub host: String,
    pub inbox: String,
    pub lane: String,
    /// How often it was tried before.
    pub attempts: i32,
    /// The scheme its host is known to read, or to be tried first.
    pub scheme: Option<Scheme>,
    pub body: Bytes,
    pub signer: Arc<Signer>,
    /// Keys that were retired after it was said and are still to be tried first.
    pub earlier: Option<Arc<Signer>>,
    /// The head of our feed, for hubs that read it.
    pub head: Option<i64>,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer has it.
    Done,
    /// The peer will not have it.
    Dead,
    /// The inbox is gone for good (410).
    Gone,
    /// There is no such inbox (404); it may be a passing fault.
    NotThere,
    /// The host does not answer or wants to be left alone; counts as so many failures.
    Away(i32),
    /// The host answers, but not for this.
    Ill,
    /// One of the clocks is wrong.
    Skewed,
    /// Nothing goes there any more.
    Unwanted,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    pub status: Option<u16>,
    pub why: Option<String>,
    /// How long the peer asks us to wait.
    pub wait: Option<Duration>,
    /// The scheme that its host turned out to read.
    pub learned: Option<Scheme>,
    pub took: Duration,
    /// Whether the signature was what the peer minded, by whichever scheme.
    pub is_unsigned: bool,
}

impl Answer {
    /// Our own fault.
    pub fn panicked() -> Self {
        Self::untold(Verdict::Ill, "panicked")
    }

    /// Its server was blocked since it was written.
    pub fn unwanted() -> Self {
        Self::untold(Verdict::Unwanted, "blocked")
    }

    /// It was not tried, for a reason that says nothing of its server.
    pub fn unsent(why: &str) -> Self {
        Self::untold(Verdict::Away(0), why)
    }

    fn untold(verdict: Verdict, why: &str) -> Self {
        Self {
            verdict,
            status: None,
            why: Some(why.to_owned()),
            wait: None,
            learned: None,
            took: Duration::ZERO,
            is_unsigned: false,
        }
    }
}

/// Send a letter.
pub async fn send(peers: &Peers, letter: &Letter) -> Answer {
    let began = std::time::Instant::now();
    let mut answer = match peers.read(&letter.inbox) {
        Err(refused) => failed(&Failure::Refused(refused)),
        Ok(url) => {
            let keys = letter.earlier.iter().chain([&letter.signer]);
            let mut answer = None;
            for signer in keys {
                let tried = knock(peers, letter, &url, signer).await;
                let is_over = !tried.is_unsigned;
                answer = Some(tried);
                if is_over {
                    break;
                }
            }
            answer.unwrap_or_else(|| failed(&Failure::Refused(Refused::BadUrl)))
        }
    };
    answer.took = began.elapsed();
    answer
}

/// Try the scheme that is known or likeliest, and the other one if the first is what the peer minds (R4).
async fn knock(peers: &Peers, letter: &Letter, url: &Url, signer: &Signer) -> Answer {
    let first = letter.scheme.unwrap_or(Scheme::Cavage);
    let reply = match post(peers, letter, url, signer, first).await {
        Err(failure) => return failed(&failure),
        Ok(reply) if !wants_other_scheme(&reply) => {
            let learned = match reply.header("accept-signature") {
                _ if letter.scheme.is_some() || !is_success(&reply) => None,
                Some(_) => Some(Scheme::Rfc9421),
                None => Some(first),
            };
            return Answer {
                learned,
                ..read(&reply)
            };
        }
        Ok(reply) => reply,
    };
    let second = other(first);
    match post(peers, letter, url, signer, second).await {
        Err(failure) => failed(&failure),
        Ok(reply) if is_success(&reply) => Answer {
            learned: Some(second),
            ..read(&reply)
        },
        Ok(again) if wants_other_scheme(&again) => refused_twice(&[&reply, &again]),
        Ok(again) => read(&again),
    }
}

/// Sign now and send: a fresh date each time, the same bytes each time.
async fn post(
    peers: &Peers,
    letter: &Letter,
    url: &Url,
    signer: &Signer,
    scheme: Scheme,
) -> Result<Reply, Failure> {
    let mut headers = signature::sign(
        scheme,
        "POST",
        url,
        Some(&letter.body),
        &signer.rsa_id,
        &signer.rsa,
        clock::now(),
    );
    if let Some(head) = letter.head {
        headers.push(("mo-changes-head".to_owned(), head.to_string()));
    }
    let request = Request {
        method: Method::Post,
        url,
        headers,
        body: Some(letter.body.clone()),
        max_bytes: READ,
        deadline: DEADLINE,
    };
    peers.send(request).await
}

fn other(scheme: Scheme) -> Scheme {
    match scheme {
        Scheme::Cavage => Scheme::Rfc9421,
        Scheme::Rfc9421 => Scheme::Cavage,
    }
}

fn is_success(reply: &Reply) -> bool {
    (200..300).contains(&reply.status)
}

/// Whether the signature may be what the peer minds (R4).
fn wants_other_scheme(reply: &Reply) -> bool {
    match reply.status {
        401 => true,
        400 | 403 => {
            let said = String::from_utf8_lossy(&reply.body).to_ascii_lowercase();
            said.contains("signature") || said.contains("digest")
        }
        _ => false,
    }
}

/// What an answer means.
fn read(reply: &Reply) -> Answer {
    let status = reply.status;
    let now = clock::now();
    let wait = reply
        .header("retry-after")
        .and_then(|text| back_off::asked_for(text, now));
    let (verdict, why) = match status {
        200..=299 => (Verdict::Done, None),
        300..=399 => {
            let to = reply.header("location").unwrap_or("nowhere");
            (Verdict::Ill, Some(format!("redirects to {}", clean(to))))
        }
        404 => (Verdict::NotThere, Some("no such inbox".to_owned())),
        410 => (Verdict::Gone, Some("the inbox is gone".to_owned())),
        408 | 429 | 503 => (Verdict::Away(1), Some("wants to be left alone".to_owned())),
        400..=499 => (Verdict::Dead, Some("refused".to_owned())),
        _ => (Verdict::Ill, Some("fails".to_owned())),
    };
    Answer {
        verdict,
        status: Some(status),
        why: why.map(|why| format!("{why} ({status})")),
        wait,
        learned: None,
        took: Duration::ZERO,
        is_unsigned: false,
    }
}

/// Both schemes were refused: for good, unless the clocks explain it (R1).
fn refused_twice(replies: &[&Reply; 2]) -> Answer {
    let [first, second] = replies;
    let apart = |reply: &Reply| {
        let date = DateTime::parse_from_rfc2822(reply.header("date")?).ok()?;
        let apart = (clock::now() - date.with_timezone(&Utc)).abs();
        (reply.status == 401 && apart > SKEW).then_some(apart)
    };
    let mut answer = read(second);
    answer.is_unsigned = true;
    (answer.verdict, answer.why) = match apart(second).or_else(|| apart(first)) {
        Some(apart) => {
            let why = format!("clock_skew: the clocks are {} s apart", apart.num_seconds());
            // By this status the rows know that nothing is given up, whichever of the two answers showed it.
            answer.status = Some(401);
            (Verdict::Skewed, Some(why))
        }
        None => {
            let why = format!("neither signature was accepted ({})", second.status);
            (Verdict::Dead, Some(why))
        }
    };
    answer
}

/// What no answer means.
fn failed(failure: &Failure) -> Answer {
    let verdict = match failure {
        Failure::Refused(Refused::BlockedAddress) => Verdict::Away(1),
        _ if failure.is_lasting() => Verdict::Dead,
        // A name or a certificate seldom mends itself within minutes.
        Failure::Resolve { is_nxdomain: true } | Failure::Tls => Verdict::Away(3),
        _ => Verdict::Away(1),
    };
    Answer {
        verdict,
        status: None,
        why: Some(format!("{}: {failure}", failure.reason())),
        wait: None,
        learned: None,
        took: Duration::ZERO,
        is_unsigned: false,
    }
}

/// A stranger's text for a log line or a row.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(200)
        .collect()
}
