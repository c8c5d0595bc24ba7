//! draft-cavage-http-signatures-12: one line per signed header, read in one pass.
//! Must be signed: target, host, a time, and the digest of a body; what else is signed must be there, once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use url::Url;

use super::{Claim, Flaw, Hash, Label, MOST_COVERED, Request, Scheme, digest};
use crate::fed::crypto::{Algorithm, PrivateKey};

const TARGET: &str = "(request-target)";
const CREATED: &str = "(created)";
const EXPIRES: &str = "(expires)";

/// The signature in `Authorization`, if it holds one and not, say, a bearer token (S-16).
pub fn authorization(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("signature")
        .then_some(rest.trim_ascii())
}

/// Read the claim of a signature.
pub fn read(request: &Request<'_>, header: &str) -> Result<Claim, Flaw> {
    let given = Given::read(header)?;
    let label = given.label()?;
    let key_id = super::key_id(given.key_id.ok_or(Flaw::Malformed)?)?;
    let signature = STANDARD
        .decode(given.signature.ok_or(Flaw::Malformed)?)
        .map_err(|_| Flaw::Malformed)?;
    let covered = covered(given.headers.unwrap_or(CREATED))?;
    let covers = |name: &str| covered.iter().any(|own| own == name);

    if let Some(body) = request.body {
        match request.fields.digest {
            Some(value) if covers("digest") => digest::check_digest(value, body)?,
            _ => return Err(Flaw::DigestUnsigned),
        }
    }
    if !(covers(TARGET) && covers("host") && (covers("date") || covers(CREATED))) {
        return Err(Flaw::Coverage);
    }
    let mut signed_at = None;
    if covers("date") {
        signed_at = Some(date(request.covered("date")?)?);
    }
    if covers(CREATED) {
        let created = super::moment(given.created.ok_or(Flaw::Malformed)?)?;
        if let Some(date) = signed_at {
            request.in_window(date)?;
        }
        signed_at = Some(created);
    }
    let signed_at = signed_at.ok_or(Flaw::Coverage)?;
    request.in_window(signed_at)?;
    if let Some(expires) = given.expires {
        request.before_end(super::moment(expires)?)?;
    }

    let (messages, host_is_ours) = messages(request, &given, &covered)?;
    Ok(Claim {
        key_id,
        scheme: Scheme::Cavage,
        signed_at,
        label,
        messages,
        signature,
        host_is_ours,
    })
}

/// Sign a request.
pub fn sign(
    method: &str,
    url: &Url,
    body: Option<&[u8]>,
    key_id: &str,
    key: &PrivateKey,
    now: DateTime<Utc>,
) -> Vec<(String, String)> {
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut message = format!(
        "{TARGET}: {} {}\nhost: {}\ndate: {date}",
        method.to_ascii_lowercase(),
        super::target(url),
        super::host_and_port(url),
    );
    let mut added = vec![("date".to_owned(), date)];
    let mut names = "(request-target) host date";
    if let Some(body) = body {
        let digest = digest::digest_of(body);
        message.push_str("\ndigest: ");
        message.push_str(&digest);
        message.push_str("\ncontent-type: ");
        message.push_str(super::CONTENT_TYPE);
        added.push(("digest".to_owned(), digest));
        added.push(("content-type".to_owned(), super::CONTENT_TYPE.to_owned()));
        names = "(request-target) host date digest content-type";
    }

    let algorithm = match key.public().algorithm() {
        Algorithm::Rsa => "rsa-sha256",
        Algorithm::Ed25519 => "hs2019",
    };
    let signature = STANDARD.encode(key.sign(message.as_bytes()));
    added.push((
        "signature".to_owned(),
        format!(
            r#"keyId="{key_id}",algorithm="{algorithm}",headers="{names}",signature="{signature}""#
        ),
    ));
    added
}

/// The parameters of a signature, as given.
#[derive(Default)]
struct Given<'a> {
    key_id: Option<&'a str>,
    algorithm: Option<&'a str>,
    headers: Option<&'a str>,
    signature: Option<&'a str>,
    created: Option<i64>,
    expires: Option<i64>,
}

impl<'a> Given<'a> {
    /// `name="text"` or `name=number`, with commas between; each name once, unknown ones left alone.
    fn read(header: &'a str) -> Result<Self, Flaw> {
        let mut given = Self::default();
        let mut rest = header.trim_ascii();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(Flaw::Malformed)?;
            let (value, after) = match after.trim_ascii_start().strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or(Flaw::Malformed)?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            given.take(name.trim_ascii(), value.trim_ascii())?;

            let after = after.trim_ascii_start();
            rest = match after.strip_prefix(',') {
                Some(more) => more.trim_ascii_start(),
                None if after.is_empty() => "",
                None => return Err(Flaw::Malformed),
            };
        }
        Ok(given)
    }

    fn take(&mut self, name: &str, value: &'a str) -> Result<(), Flaw> {
        let text = match name {
            "keyId" => &mut self.key_id,
            "algorithm" => &mut self.algorithm,
            "headers" => &mut self.headers,
            "signature" => &mut self.signature,
            "created" | "expires" => {
                let time = if name == "created" {
                    &mut self.created
                } else {
                    &mut self.expires
                };
                let seconds = value.parse().map_err(|_| Flaw::Malformed)?;
                return match time.replace(seconds) {
                    Some(_) => Err(Flaw::Malformed),
                    None => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        match text.replace(value) {
            Some(_) => Err(Flaw::Malformed),
            None => Ok(()),
        }
    }

    fn label(&self) -> Result<Label, Flaw> {
        match self.algorithm {
            None | Some("hs2019") => Ok(Label::ByKey),
            Some("rsa-sha256") => Ok(Label::Rsa(Hash::Sha256)),
            Some("rsa-sha512") => Ok(Label::Rsa(Hash::Sha512)),
            Some("ed25519") => Ok(Label::Ed25519),
            Some(_) => Err(Flaw::Algorithm),
        }
    }
}

/// The names of what is signed, in order and in lower case, each once.
fn covered(list: &str) -> Result<Vec<String>, Flaw> {
    let mut names: Vec<String> = Vec::new();
    for name in list.split_ascii_whitespace() {
        let name = name.to_ascii_lowercase();
        if names.contains(&name) || names.len() == MOST_COVERED {
            return Err(Flaw::Malformed);
        }
        names.push(name);
    }
    Ok(names)
}

/// What was signed: with the query and, as some leave it out, without. Also whether the request names our host.
fn messages(
    request: &Request<'_>,
    given: &Given<'_>,
    covered: &[String],
) -> Result<(Vec<String>, bool), Flaw> {
    let (host, host_is_ours) = request.host();
    let method = request.head.method.to_ascii_lowercase();
    let whole = request.head.path_and_query;
    let mut targets = vec![whole];
    if let Some((path, _)) = whole.split_once('?') {
        targets.push(path);
    }

    let mut messages = Vec::with_capacity(targets.len());
    for target in targets {
        let mut message = String::with_capacity(512);
        for name in covered {
            if !message.is_empty() {
                message.push('\n');
            }
            message.push_str(name);
            message.push_str(": ");
            match name.as_str() {
                TARGET => {
                    message.push_str(&method);
                    message.push(' ');
                    message.push_str(target);
                }
                CREATED => message.push_str(&given.created.ok_or(Flaw::Malformed)?.to_string()),
                EXPIRES => message.push_str(&given.expires.ok_or(Flaw::Malformed)?.to_string()),
                "host" => message.push_str(host),
                header => message.push_str(request.covered(header)?),
            }
        }
        messages.push(message);
    }
    Ok((messages, host_is_ours))
}

/// The time in `Date`.
fn date(header: &str) -> Result<DateTime<Utc>, Flaw> {
    DateTime::parse_from_rfc2822(header)
        .map(|date| date.with_timezone(&Utc))
        .map_err(|_| Flaw::Malformed)
}
