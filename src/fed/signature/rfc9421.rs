//! HTTP Message Signatures (RFC 9421), in the profile that the fediverse has settled on.
//! Must be signed: method, target (whole, or authority with path and query), the digest of a body; `created` and `keyid` given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, ListSerializer, Parser};
use url::Url;

use super::{Claim, Flaw, Hash, Label, MOST_COVERED, Request, Scheme, digest};
use crate::fed::crypto::{Algorithm, PrivateKey};

/// Read the claim of a signature.
pub fn read(request: &Request<'_>, input: &str, signature: &str) -> Result<Claim, Flaw> {
    let inputs: Dictionary = parsed(input)?;
    let signatures: Dictionary = parsed(signature)?;
    let (given, signature) = chosen(&inputs, &signatures)?;
    let label = label(given)?;
    let key_id = text(given, "keyid")?.ok_or(Flaw::Malformed)?;
    let key_id = super::key_id(key_id)?;
    let covered = covered(given)?;
    let covers = |name: &str| covered.contains(&name);

    if let Some(body) = request.body {
        match request.fields.content_digest {
            Some(value) if covers("content-digest") => {
                digest::check_content_digest(value, body)?;
            }
            _ => return Err(Flaw::DigestUnsigned),
        }
    }
    let queried = request.head.path_and_query.contains('?');
    let in_parts = covers("@authority")
        && (covers("@request-target") || (covers("@path") && (!queried || covers("@query"))));
    if !(covers("@method") && (covers("@target-uri") || in_parts)) {
        return Err(Flaw::Coverage);
    }
    let signed_at = super::moment(time(given, "created")?.ok_or(Flaw::Coverage)?)?;
    request.in_window(signed_at)?;
    if let Some(expires) = time(given, "expires")? {
        request.before_end(super::moment(expires)?)?;
    }

    let (message, host_is_ours) = base(request, given, &covered)?;
    Ok(Claim {
        key_id,
        scheme: Scheme::Rfc9421,
        signed_at,
        label,
        messages: vec![message],
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
    let mut message = format!(
        "\"@method\": {method}\n\"@target-uri\": {}://{}{}\n",
        url.scheme(),
        super::host_and_port(url),
        super::target(url),
    );
    let mut added = Vec::with_capacity(4);
    let mut names = r#"("@method" "@target-uri")"#;
    if let Some(body) = body {
        let digest = digest::content_digest_of(body);
        message.push_str("\"content-digest\": ");
        message.push_str(&digest);
        message.push_str("\n\"content-type\": ");
        message.push_str(super::CONTENT_TYPE);
        message.push('\n');
        added.push(("content-digest".to_owned(), digest));
        added.push(("content-type".to_owned(), super::CONTENT_TYPE.to_owned()));
        names = r#"("@method" "@target-uri" "content-digest" "content-type")"#;
    }

    let algorithm = match key.public().algorithm() {
        Algorithm::Rsa => "rsa-v1_5-sha256",
        Algorithm::Ed25519 => "ed25519",
    };
    let params = format!(
        r#"{names};created={};keyid="{key_id}";alg="{algorithm}";tag="activitypub""#,
        now.timestamp()
    );
    message.push_str("\"@signature-params\": ");
    message.push_str(&params);
    let signature = STANDARD.encode(key.sign(message.as_bytes()));
    added.push(("signature-input".to_owned(), format!("sig1={params}")));
    added.push(("signature".to_owned(), format!("sig1=:{signature}:")));
    added
}

fn parsed(header: &str) -> Result<Dictionary, Flaw> {
    Parser::new(header).parse().map_err(|_| Flaw::Malformed)
}

/// The signature to look at: the first of those with a key id, as a proxy may have added one of its own.
fn chosen<'a>(
    inputs: &'a Dictionary,
    signatures: &Dictionary,
) -> Result<(&'a InnerList, Vec<u8>), Flaw> {
    for (label, entry) in inputs {
        let ListEntry::InnerList(given) = entry else {
            return Err(Flaw::Malformed);
        };
        if !given.params.contains_key("keyid") {
            continue;
        }
        let Some(ListEntry::Item(item)) = signatures.get(label) else {
            return Err(Flaw::Malformed);
        };
        let BareItem::ByteSequence(signature) = &item.bare_item else {
            return Err(Flaw::Malformed);
        };
        return Ok((given, signature.clone()));
    }
    Err(Flaw::Malformed)
}

fn label(given: &InnerList) -> Result<Label, Flaw> {
    match text(given, "alg")? {
        None => Ok(Label::ByKey),
        Some("rsa-v1_5-sha256") => Ok(Label::Rsa(Hash::Sha256)),
        Some("ed25519") => Ok(Label::Ed25519),
        Some(_) => Err(Flaw::Algorithm),
    }
}

fn text<'a>(given: &'a InnerList, name: &str) -> Result<Option<&'a str>, Flaw> {
    match given.params.get(name) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Flaw::Malformed),
    }
}

fn time(given: &InnerList, name: &str) -> Result<Option<i64>, Flaw> {
    match given.params.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(seconds)) => Ok(Some(i64::from(*seconds))),
        Some(_) => Err(Flaw::Malformed),
    }
}

/// The names of what is signed, in order, each once and without parameters: those ask for what no peer needs.
fn covered(given: &InnerList) -> Result<Vec<&str>, Flaw> {
    let mut names = Vec::with_capacity(given.items.len());
    for item in &given.items {
        let BareItem::String(name) = &item.bare_item else {
            return Err(Flaw::Malformed);
        };
        let name = name.as_str();
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if !item.params.is_empty() || !plain || names.contains(&name) || names.len() == MOST_COVERED
        {
            return Err(Flaw::Malformed);
        }
        names.push(name);
    }
    Ok(names)
}

/// The text that was signed, and whether the request names our host.
pub fn base(
    request: &Request<'_>,
    given: &InnerList,
    covered: &[&str],
) -> Result<(String, bool), Flaw> {
    let (host, host_is_ours) = request.host();
    let whole = request.head.path_and_query;
    let (path, query) = match whole.split_once('?') {
        Some((path, query)) => (path, query),
        None => (whole, ""),
    };
    let scheme = request.public_url.scheme();

    let mut base = String::with_capacity(512);
    for name in covered {
        base.push('"');
        base.push_str(name);
        base.push_str("\": ");
        match *name {
            "@method" => base.push_str(request.head.method),
            "@target-uri" => {
                base.push_str(scheme);
                base.push_str("://");
                base.push_str(&request.authority);
                base.push_str(whole);
            }
            "@authority" => base.push_str(&request.authority),
            "@scheme" => base.push_str(scheme),
            "@request-target" => base.push_str(whole),
            "@path" => base.push_str(path),
            "@query" => {
                base.push('?');
                base.push_str(query);
            }
            "host" => base.push_str(host),
            derived if derived.starts_with('@') => return Err(Flaw::Malformed),
            field => base.push_str(request.covered(field)?),
        }
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    let mut params = ListSerializer::new();
    params.members([&ListEntry::InnerList(given.clone())]);
    base.push_str(&params.finish().ok_or(Flaw::Malformed)?);
    Ok((base, host_is_ours))
}
