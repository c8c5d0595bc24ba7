//! Signed requests: as they should be, as an attacker would have them, and as the standards' own examples have them.

mod attacks;
mod examples;
mod properties;

use std::sync::LazyLock;

use chrono::TimeZone;

use super::*;
use crate::fed::crypto::tests::from_seed;

const PATH: &str = "/ap/actors/0193a1/inbox";
const KEY_ID: &str = "https://coop.example/ap/actors/0193b2#main-key";
const BODY: &[u8] = br#"{"type":"Follow"}"#;

static RSA: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(Algorithm::Rsa).unwrap());
static ED25519: LazyLock<PrivateKey> = LazyLock::new(|| from_seed(&[5; 32]));

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 26, 12, 0, 0).unwrap()
}

fn ours() -> Url {
    Url::parse("https://hub.example").unwrap()
}

/// A request on its way: what is signed can be changed afterwards.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Sent {
    /// Signed as we sign.
    fn signed(
        scheme: Scheme,
        method: &str,
        url: &str,
        body: Option<&[u8]>,
        key: &PrivateKey,
    ) -> Self {
        let url = Url::parse(url).unwrap();
        let mut headers = vec![("host".to_owned(), host_and_port(&url))];
        headers.extend(sign(scheme, method, &url, body, KEY_ID, key, now()));
        Self {
            method: method.to_owned(),
            target: target(&url).to_owned(),
            headers,
            body: body.map(<[u8]>::to_vec),
        }
    }

    fn post(scheme: Scheme) -> Self {
        Self::signed(
            scheme,
            "POST",
            &format!("https://hub.example{PATH}"),
            Some(BODY),
            &RSA,
        )
    }

    /// Signed in the older way as somebody else would: these headers, in this order, with these parameters.
    fn cavage(
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        covered: &str,
        params: &str,
        key: &PrivateKey,
    ) -> Self {
        let mut lines = Vec::new();
        for name in covered.split(' ') {
            let value = match name {
                "(request-target)" => format!("{} {target}", method.to_lowercase()),
                "(created)" | "(expires)" => {
                    let own = format!("{}=", name.trim_matches(['(', ')']));
                    let value = params.split(',').find_map(|one| one.strip_prefix(&own));
                    value.unwrap().to_owned()
                }
                name => headers
                    .iter()
                    .find(|(own, _)| *own == name)
                    .unwrap()
                    .1
                    .to_owned(),
            };
            lines.push(format!("{name}: {value}"));
        }
        use base64::Engine as _;
        let signature =
            base64::engine::general_purpose::STANDARD.encode(key.sign(lines.join("\n").as_bytes()));
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        headers.push((
            "signature".to_owned(),
            format!(r#"keyId="{KEY_ID}",{params},headers="{covered}",signature="{signature}""#),
        ));
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: None,
        }
    }

    /// Signed in the newer way as somebody else would: these lines of what is signed, with these parameters.
    fn rfc9421(
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        lines: &[(&str, &str)],
        params: &str,
        key: &PrivateKey,
    ) -> Self {
        use base64::Engine as _;
        let names: Vec<String> = lines
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let input = format!("({}){params}", names.join(" "));
        let mut base: String = lines
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}\n"))
            .collect();
        base.push_str(&format!("\"@signature-params\": {input}"));
        let signature = base64::engine::general_purpose::STANDARD.encode(key.sign(base.as_bytes()));
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        headers.push(("signature-input".to_owned(), format!("sig1={input}")));
        headers.push(("signature".to_owned(), format!("sig1=:{signature}:")));
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: None,
        }
    }

    fn with_body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(own, _)| own == name);
        &mut found.unwrap().1
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn read_at(&self, public_url: &Url, now: DateTime<Utc>) -> Result<Option<Claim>, Flaw> {
        let head = Head {
            method: &self.method,
            path_and_query: &self.target,
            headers: &self.headers,
        };
        read(&head, self.body.as_deref(), public_url, now)
    }

    /// What the hub says to it, which knows the sender's key.
    fn judged(&self, key: &PrivateKey) -> Result<(), Flaw> {
        self.judged_at(key, now())
    }

    fn judged_at(&self, key: &PrivateKey, now: DateTime<Utc>) -> Result<(), Flaw> {
        let claim = self.read_at(&ours(), now)?.expect("it is signed");
        assert_eq!(claim.key_id, KEY_ID);
        if claim.verify(key.public()) {
            Ok(())
        } else {
            Err(claim.refusal())
        }
    }
}

#[test]
fn what_we_sign_verifies_both_ways_with_both_keys() {
    for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
        for key in [&*RSA, &*ED25519] {
            for (method, url, body) in [
                ("POST", "https://hub.example/ap/inbox", Some(BODY)),
                ("POST", "https://hub.example/ap/inbox?a=b", Some(&b""[..])),
                (
                    "GET",
                    "https://hub.example/ap/changes?after=9000&limit=100",
                    None,
                ),
                ("GET", "https://hub.example", None),
                (
                    "GET",
                    "https://hub.example/a%20b/%C3%BC?x=%22#fragment",
                    None,
                ),
            ] {
                let sent = Sent::signed(scheme, method, url, body, key);
                assert_eq!(sent.judged(key), Ok(()), "{scheme:?} {method} {url}");
                let claim = sent.read_at(&ours(), now()).unwrap().unwrap();
                assert_eq!((claim.scheme, claim.signed_at), (scheme, now()));
            }
        }
        assert_eq!(Sent::post(scheme).judged(&ED25519), Err(Flaw::Invalid));
    }
}

#[test]
fn what_we_ask_peers_for_is_what_we_accept() {
    let asked: sfv::Dictionary = sfv::Parser::new(ACCEPT_SIGNATURE).parse().unwrap();
    let Some(sfv::ListEntry::InnerList(list)) = asked.get("sig1") else {
        panic!("a list")
    };
    let names: Vec<&str> = list
        .items
        .iter()
        .filter_map(|item| item.bare_item.as_string())
        .map(sfv::StringRef::as_str)
        .collect();
    assert_eq!(names, ["@method", "@target-uri", "content-digest"]);
}

#[test]
fn a_port_is_part_of_the_host() {
    let ours = Url::parse("http://localhost:8080").unwrap();
    for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
        let sent = Sent::signed(
            scheme,
            "POST",
            "http://localhost:8080/ap/inbox",
            Some(BODY),
            &RSA,
        );
        let claim = sent.read_at(&ours, now()).unwrap().unwrap();
        assert!(claim.verify(RSA.public()));
        for other in [
            "http://localhost:8081",
            "http://localhost",
            "http://127.0.0.1:8080",
        ] {
            let claim = sent
                .read_at(&Url::parse(other).unwrap(), now())
                .unwrap()
                .unwrap();
            assert!(!claim.verify(RSA.public()), "{scheme:?} {other}");
        }
    }
}

#[test]
fn the_headers_that_we_send_are_those_of_the_contract() {
    let names = |sent: &Sent| -> Vec<String> {
        sent.headers.iter().map(|(name, _)| name.clone()).collect()
    };
    let mut post = Sent::post(Scheme::Cavage);
    assert_eq!(
        names(&post),
        ["host", "date", "digest", "content-type", "signature"]
    );
    assert_eq!(post.header("date"), "Thu, 26 Nov 2026 12:00:00 GMT");
    assert!(post.header("signature").starts_with(
        r#"keyId="https://coop.example/ap/actors/0193b2#main-key",algorithm="rsa-sha256",headers="(request-target) host date digest content-type",signature=""#
    ));

    let mut post = Sent::post(Scheme::Rfc9421);
    assert_eq!(
        names(&post),
        [
            "host",
            "content-digest",
            "content-type",
            "signature-input",
            "signature"
        ]
    );
    assert_eq!(
        post.header("signature-input"),
        r#"sig1=("@method" "@target-uri" "content-digest" "content-type");created=1795694400;keyid="https://coop.example/ap/actors/0193b2#main-key";alg="rsa-v1_5-sha256";tag="activitypub""#
    );
    let mut get = Sent::signed(
        Scheme::Rfc9421,
        "GET",
        "https://hub.example/a",
        None,
        &ED25519,
    );
    assert_eq!(names(&get), ["host", "signature-input", "signature"]);
    assert_eq!(
        get.header("signature-input"),
        r#"sig1=("@method" "@target-uri");created=1795694400;keyid="https://coop.example/ap/actors/0193b2#main-key";alg="ed25519";tag="activitypub""#
    );
}

/// The other implementation in the tree reads what we sign in the older way.
#[test]
fn the_older_way_is_read_by_others() {
    use base64::Engine as _;
    let url = Url::parse(&format!("https://hub.example{PATH}")).unwrap();
    // That one asks the real clock.
    let signed = sign(
        Scheme::Cavage,
        "POST",
        &url,
        Some(BODY),
        KEY_ID,
        &RSA,
        crate::base::clock::now(),
    );
    let headers = signed
        .into_iter()
        .chain([("host".to_owned(), "hub.example".to_owned())])
        .collect();
    let config = http_signature_normalization::Config::new()
        .set_expiration(std::time::Duration::from_secs(3600))
        .mastodon_compat()
        .require_digest();
    let unverified = config.begin_verify("POST", PATH, headers).unwrap();
    assert_eq!(unverified.key_id(), KEY_ID);
    assert!(unverified.verify(|signature, text| {
        let signature = base64::engine::general_purpose::STANDARD
            .decode(signature)
            .unwrap();
        RSA.public()
            .verify(Hash::Sha256, text.as_bytes(), &signature)
    }));
}
