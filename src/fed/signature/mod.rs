//! Signed HTTP requests, both ways that there are: draft-cavage-12, which everybody reads, and RFC 9421.
//!
//! `read` does all that needs no key, so that a bad request costs no look-up; `Claim::verify` does the rest.
//! Nobody is let in here: whose key it is, and whether he may, is the caller's question (S-10).

mod cavage;
mod digest;
mod flaw;
mod rfc9421;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use url::{Position, Url};

use super::crypto::{Algorithm, Hash, PrivateKey, PublicKey};

pub use flaw::Flaw;

/// What to ask of a peer whose signature did not do.
pub const ACCEPT_SIGNATURE: &str =
    r#"sig1=("@method" "@target-uri" "content-digest");created;alg="rsa-v1_5-sha256""#;

/// What every body that we send is.
pub const CONTENT_TYPE: &str = "application/activity+json";

/// How old a signature may be.
const BEHIND: TimeDelta = TimeDelta::hours(1);

/// How far another machine's clock may run ahead of ours, or its end of validity lie behind us.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// No header that a signature is read from is longer.
const LONGEST_HEADER: usize = 8 * 1024;

/// No key id is longer.
const LONGEST_KEY_ID: usize = 2 * 1024;

/// No signature covers more.
const MOST_COVERED: usize = 40;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// draft-cavage-http-signatures-12.
    Cavage,
    /// HTTP Message Signatures.
    Rfc9421,
}

/// A request up to its body, as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// Raw, as it stood in the request.
    pub path_and_query: &'a str,
    /// Names in lower case, in order, doubled ones kept.
    pub headers: &'a [(String, String)],
}

/// What a request says about who signed it; worth nothing until it is verified with that one's key.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Where the key is to be had.
    pub key_id: String,
    /// How the request was signed.
    pub scheme: Scheme,
    /// When, as the signer says.
    pub signed_at: DateTime<Utc>,
    label: Label,
    /// What may have been signed, likeliest first.
    messages: Vec<String>,
    signature: Vec<u8>,
    host_is_ours: bool,
}

/// What the request says about the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// Nothing, or `hs2019`: the key decides.
    ByKey,
    Rsa(Hash),
    Ed25519,
}

impl Claim {
    /// Whether the request was signed with this key.
    pub fn verify(&self, key: &PublicKey) -> bool {
        let hashes: &[Hash] = match (self.label, key.algorithm(), self.scheme) {
            (Label::Rsa(Hash::Sha256), Algorithm::Rsa, _) => &[Hash::Sha256],
            (Label::Rsa(Hash::Sha512), Algorithm::Rsa, _) => &[Hash::Sha512],
            (Label::Ed25519, Algorithm::Ed25519, _) => &[Hash::Sha256],
            (Label::ByKey, Algorithm::Rsa, Scheme::Cavage) => &[Hash::Sha256, Hash::Sha512],
            (Label::ByKey, _, _) => &[Hash::Sha256],
            _ => &[],
        };
        hashes.iter().any(|hash| {
            self.messages
                .iter()
                .any(|message| key.verify(*hash, message.as_bytes(), &self.signature))
        })
    }

    /// Why it is refused once it did not verify: what was signed for another host says so (S-05).
    pub fn refusal(&self) -> Flaw {
        if self.host_is_ours {
            Flaw::Invalid
        } else {
            Flaw::WrongHost
        }
    }
}

/// What a request says about its signer; none if it is not signed. Everything is checked that needs no key.
pub fn read(
    head: &Head<'_>,
    body: Option<&[u8]>,
    public_url: &Url,
    now: DateTime<Utc>,
) -> Result<Option<Claim>, Flaw> {
    let fields = Fields::read(head.headers)?;
    let request = Request {
        head,
        fields: &fields,
        // What may carry a body is checked like one that does, so that leaving it out gains nothing.
        body: body.or((!bodiless(head.method)).then_some(&[])),
        authority: host_and_port(public_url),
        public_url,
        now,
    };

    let authorized = fields.authorization.and_then(cavage::authorization);
    match (fields.signature_input, fields.signature, authorized) {
        (None, None, None) => Ok(None),
        (Some(input), Some(signature), None) => rfc9421::read(&request, input, signature).map(Some),
        (Some(_), _, Some(_)) => Err(Flaw::TwoSignatures),
        (Some(_), None, None) => Err(Flaw::Malformed),
        (None, Some(one), Some(other)) if one != other => Err(Flaw::TwoSignatures),
        (None, Some(signature), _) | (None, None, Some(signature)) => {
            cavage::read(&request, signature).map(Some)
        }
    }
}

/// Sign a request that we send: all headers to add, but `host`, which follows from the URL.
/// With a body these include its digest and `content-type`, which is signed too.
pub fn sign(
    scheme: Scheme,
    method: &str,
    url: &Url,
    body: Option<&[u8]>,
    key_id: &str,
    key: &PrivateKey,
    now: DateTime<Utc>,
) -> Vec<(String, String)> {
    match scheme {
        Scheme::Cavage => cavage::sign(method, url, body, key_id, key, now),
        Scheme::Rfc9421 => rfc9421::sign(method, url, body, key_id, key, now),
    }
}

/// A request with what was found in it.
struct Request<'a> {
    head: &'a Head<'a>,
    fields: &'a Fields<'a>,
    body: Option<&'a [u8]>,
    authority: String,
    public_url: &'a Url,
    now: DateTime<Utc>,
}

/// The headers that decide something, each at most once (S-04).
#[derive(Default)]
struct Fields<'a> {
    authorization: Option<&'a str>,
    content_digest: Option<&'a str>,
    content_type: Option<&'a str>,
    date: Option<&'a str>,
    digest: Option<&'a str>,
    host: Option<&'a str>,
    signature: Option<&'a str>,
    signature_input: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(headers: &'a [(String, String)]) -> Result<Self, Flaw> {
        let mut fields = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "authorization" => &mut fields.authorization,
                "content-digest" => &mut fields.content_digest,
                "content-type" => &mut fields.content_type,
                "date" => &mut fields.date,
                "digest" => &mut fields.digest,
                "host" => &mut fields.host,
                "signature" => &mut fields.signature,
                "signature-input" => &mut fields.signature_input,
                _ => continue,
            };
            if place.replace(value.trim_ascii()).is_some() {
                return Err(Flaw::DuplicateHeader);
            }
            if value.len() > LONGEST_HEADER {
                return Err(Flaw::TooLong);
            }
        }
        Ok(fields)
    }
}

impl Request<'_> {
    /// A signed header's value; what comes twice is not guessed about.
    fn covered(&self, name: &str) -> Result<&str, Flaw> {
        let mut values = self
            .head
            .headers
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.trim_ascii());
        let value = values.next().ok_or(Flaw::Coverage)?;
        match values.next() {
            Some(_) => Err(Flaw::DuplicateHeader),
            None => Ok(value),
        }
    }

    /// Our own host as the peer must have signed it: in his spelling if it means us, else as we are called.
    /// A proxy may say something else in `host`, but that vouches for nothing (S-05).
    fn host(&self) -> (&str, bool) {
        match self.fields.host {
            Some(host) if self.means_us(host) => (host, true),
            other => (&self.authority, other.is_none()),
        }
    }

    fn means_us(&self, host: &str) -> bool {
        let standard = match self.public_url.scheme() {
            "https" => ":443",
            _ => ":80",
        };
        let bare = host.strip_suffix(standard).unwrap_or(host);
        bare.eq_ignore_ascii_case(&self.authority)
    }

    /// Whether a signature of this time still counts, or counts already.
    fn in_window(&self, signed: DateTime<Utc>) -> Result<(), Flaw> {
        if signed < self.now - BEHIND {
            Err(Flaw::Expired)
        } else if signed > self.now + AHEAD {
            Err(Flaw::NotYetValid)
        } else {
            Ok(())
        }
    }

    /// Whether the end that the signer set is over.
    fn before_end(&self, end: DateTime<Utc>) -> Result<(), Flaw> {
        if end < self.now - AHEAD {
            Err(Flaw::Expired)
        } else {
            Ok(())
        }
    }
}

fn bodiless(method: &str) -> bool {
    ["GET", "HEAD"].contains(&method)
}

/// A key id that can be looked up and logged.
fn key_id(text: &str) -> Result<String, Flaw> {
    if text.is_empty() || text.len() > LONGEST_KEY_ID || text.chars().any(char::is_control) {
        return Err(Flaw::Malformed);
    }
    Ok(text.to_owned())
}

fn moment(seconds: i64) -> Result<DateTime<Utc>, Flaw> {
    DateTime::from_timestamp(seconds, 0).ok_or(Flaw::Malformed)
}

/// Host and port as they stand in `host`: the port only where it is not the scheme's own.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Path and query of a request that we send.
fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}
