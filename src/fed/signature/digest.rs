//! Digests of a body in a header: `Digest` (RFC 3230) and `Content-Digest` (RFC 9530).
//! The label decides how it is computed (S-15); each label that we know must fit, and one must be there.

use aws_lc_rs::digest::{self, SHA256, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::Flaw;

/// Check `Digest` against the body.
pub fn check_digest(header: &str, body: &[u8]) -> Result<(), Flaw> {
    let mut known = false;
    for entry in header.split(',') {
        let (label, coded) = entry
            .trim_ascii()
            .split_once('=')
            .ok_or(Flaw::DigestMismatch)?;
        if let Some(algorithm) = algorithm(&label.to_ascii_lowercase()) {
            let value = STANDARD.decode(coded).map_err(|_| Flaw::DigestMismatch)?;
            fits(algorithm, &value, body)?;
            known = true;
        }
    }
    known.then_some(()).ok_or(Flaw::DigestAlgorithm)
}

/// Check `Content-Digest` against the body.
pub fn check_content_digest(header: &str, body: &[u8]) -> Result<(), Flaw> {
    let entries: Dictionary = Parser::new(header)
        .parse()
        .map_err(|_| Flaw::DigestMismatch)?;
    let mut known = false;
    for (label, entry) in &entries {
        let Some(algorithm) = algorithm(label.as_str()) else {
            continue;
        };
        let ListEntry::Item(item) = entry else {
            return Err(Flaw::DigestMismatch);
        };
        let BareItem::ByteSequence(value) = &item.bare_item else {
            return Err(Flaw::DigestMismatch);
        };
        fits(algorithm, value, body)?;
        known = true;
    }
    known.then_some(()).ok_or(Flaw::DigestAlgorithm)
}

/// `Digest` of a body that we send.
pub fn digest_of(body: &[u8]) -> String {
    format!("SHA-256={}", coded(body))
}

/// `Content-Digest` of a body that we send.
pub fn content_digest_of(body: &[u8]) -> String {
    format!("sha-256=:{}:", coded(body))
}

fn coded(body: &[u8]) -> String {
    STANDARD.encode(digest::digest(&SHA256, body))
}

fn algorithm(label: &str) -> Option<&'static digest::Algorithm> {
    match label {
        "sha-256" => Some(&SHA256),
        "sha-512" => Some(&SHA512),
        _ => None,
    }
}

fn fits(algorithm: &'static digest::Algorithm, value: &[u8], body: &[u8]) -> Result<(), Flaw> {
    if digest::digest(algorithm, body).as_ref() == value {
        Ok(())
    } else {
        Err(Flaw::DigestMismatch)
    }
}
