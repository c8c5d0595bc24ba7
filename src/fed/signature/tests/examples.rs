//! The standards' own examples, and requests as the peers of PEERS.md sign them.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{Dictionary, ListEntry, Parser};

use super::*;

const HELLO: &[u8] = br#"{"hello": "world"}"#;

fn request(target: &str, headers: &[(&str, &str)]) -> Sent {
    Sent {
        method: "POST".to_owned(),
        target: target.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Some(HELLO.to_vec()),
    }
}

/// Appendix C of draft-cavage-12. Its key has 1024 bits, so that no public key of ours is made of it.
#[test]
fn the_examples_of_draft_cavage() {
    let key = UnparsedPublicKey::new(
        &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        STANDARD
            .decode(
                "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QFNUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+FUR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB",
            )
            .unwrap(),
    );
    let headers = [
        ("host", "example.com"),
        ("date", "Sun, 05 Jan 2014 21:31:40 GMT"),
        ("content-type", "application/json"),
        (
            "digest",
            "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
        ),
        ("content-length", "18"),
    ];
    let then = Utc.with_ymd_and_hms(2014, 1, 5, 21, 31, 40).unwrap();
    let them = Url::parse("http://example.com").unwrap();
    let sent = request("/foo?param=value&pet=dog", &headers);

    // C.3, all headers; in `Signature` and in `Authorization`.
    let all = r#"keyId="Test",algorithm="rsa-sha256",headers="(request-target) host date content-type digest content-length",signature="vSdrb+dS3EceC9bcwHSo4MlyKS59iFIrhgYkz8+oVLEEzmYZZvRs8rgOp+63LEM3v+MFHB32NfpB2bEKBIvB1q52LaEUHFv120V01IL+TAD48XaERZFukWgHoBTLMhYS2Gb51gWxpeIq8knRmPnYePbF5MOkR0Zkly4zKH7s1dE=""#;
    for signed in [
        sent.clone().with("signature", all),
        sent.clone()
            .with("authorization", &format!("Signature {all}")),
    ] {
        let claim = signed.read_at(&them, then).unwrap().unwrap();
        assert_eq!(claim.key_id, "Test");
        key.verify(claim.messages[0].as_bytes(), &claim.signature)
            .unwrap();
    }

    // C.2 leaves the body out, C.1 all but the date: neither will do here.
    let basic = r#"keyId="Test",algorithm="rsa-sha256",headers="(request-target) host date",signature="qdx+H7PHHDZgy4y/Ahn9Tny9V3GP6YgBPyUXMmoxWtLbHpUnXS2mg2+SbrQDMCJypxBLSPQR2aAjn7ndmw2iicw3HMbe8VfEdKFYRqzic+efkb3nndiv/x1xSHDJWeSWkx3ButlYSuBskLu6kd9Fswtemr3lgdDEmn04swr2Os0=""#;
    let least = r#"keyId="Test",algorithm="rsa-sha256",signature="SjWJWbWN7i0wzBvtPl8rbASWz5xQW6mcJmn+ibttBqtifLN7Sazz6m79cNfwwb8DMJ5cou1s7uEGKKCs+FLEEaDV5lp7q25WqS+lavg7T8hc0GppauB6hbgEKTwblDHYGEtbGmtdHgVCk9SuS13F0hZ8FD0k/5OxEPXe5WozsbM=""#;
    for signature in [basic, least] {
        let signed = sent.clone().with("signature", signature);
        assert_eq!(
            signed.read_at(&them, then).err(),
            Some(Flaw::DigestUnsigned)
        );
    }
}

/// Section 4.3 of RFC 9421: the only example there with RSA of version 1.5.
#[test]
fn the_example_of_rfc_9421_with_rsa() {
    let key = PublicKey::from_pem(
        "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAhAKYdtoeoy8zcAcR874L8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrw
WEBnez6d0UDKDwGbc6nxfEXAy5mbhgajzrw3MOEt8uA5txSKobBpKDeBLOsdJKFq
MGmXCQvEG7YemcxDTRPxAleIAgYYRjTSd/QBwVW9OwNFhekro3RtlinV0a75jfZg
kne/YiktSvLG34lw2zqXBDTC5NHROUqGTlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0P
uKxI4T+HIaFpv8+rdV6eUgOrB2xeI1dSFFn/nnv5OoZJEIB+VmuKn3DCUcCZSFlQ
PSXSfBDiUGhwOw76WuSSsf1D4b/vLoJ10wIDAQAB
-----END RSA PUBLIC KEY-----",
    )
    .unwrap();
    let headers = [
        ("host", "origin.host.internal.example"),
        ("content-type", "application/json"),
        ("content-length", "18"),
        ("forwarded", "for=192.0.2.123;host=example.com;proto=https"),
        (
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        (
            "signature-input",
            r#"proxy_sig=("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#,
        ),
        (
            "signature",
            "proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:",
        ),
    ];
    let them = Url::parse("https://origin.host.internal.example").unwrap();
    let then = DateTime::from_timestamp(1_618_884_480, 0).unwrap();

    let claim = request("/foo", &headers)
        .read_at(&them, then)
        .unwrap()
        .unwrap();
    assert_eq!(claim.key_id, "test-key-rsa");
    assert!(claim.verify(&key));
    // With the query that the example leaves unsigned it is refused, and past its end too.
    let queried = request("/foo?param=Value&Pet=dog", &headers);
    assert_eq!(queried.read_at(&them, then).err(), Some(Flaw::Coverage));
    let late = then + TimeDelta::minutes(7);
    assert_eq!(
        request("/foo", &headers).read_at(&them, late).err(),
        Some(Flaw::Expired)
    );
}

/// B.2.6 of RFC 9421, which leaves the body out: refused, but what was signed is put together as there.
#[test]
fn the_example_of_rfc_9421_with_ed25519() {
    let key = PublicKey::from_pem(
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----",
    )
    .unwrap();
    let input = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let sent = request(
        "/foo?param=Value&Pet=dog",
        &[
            ("host", "example.com"),
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", "application/json"),
            (
                "content-digest",
                "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            ),
            ("content-length", "18"),
            ("signature-input", input),
            (
                "signature",
                "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
            ),
        ],
    );
    let them = Url::parse("https://example.com").unwrap();
    let then = DateTime::from_timestamp(1_618_884_473, 0).unwrap();
    assert_eq!(sent.read_at(&them, then).err(), Some(Flaw::DigestUnsigned));

    let head = Head {
        method: "POST",
        path_and_query: &sent.target,
        headers: &sent.headers,
    };
    let fields = Fields::read(head.headers).unwrap();
    let request = Request {
        head: &head,
        fields: &fields,
        body: None,
        authority: "example.com".to_owned(),
        public_url: &them,
        now: then,
    };
    let inputs: Dictionary = Parser::new(input).parse().unwrap();
    let Some(ListEntry::InnerList(given)) = inputs.get("sig-b26") else {
        panic!("a list")
    };
    let names = [
        "date",
        "@method",
        "@path",
        "@authority",
        "content-type",
        "content-length",
    ];
    let (base, ours) = rfc9421::base(&request, given, &names).unwrap();
    assert!(ours);
    let signature =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert!(key.verify(
        Hash::Sha256,
        base.as_bytes(),
        &STANDARD.decode(signature).unwrap()
    ));
}

#[test]
fn the_ways_in_which_peers_sign_are_read() {
    let digest = digest::digest_of(BODY);
    let created = now().timestamp().to_string();
    let expires = (now().timestamp() + 30).to_string();
    let date = "Thu, 26 Nov 2026 11:59:30 GMT";
    let host = [
        ("host", "hub.example"),
        ("date", date),
        ("digest", digest.as_str()),
        ("accept", "a/b"),
        ("content-type", "application/activity+json"),
    ];
    let made = format!(r#"algorithm="hs2019",created={created}"#);
    let ending = format!(r#"algorithm="hs2019",created={created},expires={expires}"#);

    for (what, sent) in [
        (
            "Mastodon",
            Sent::cavage(
                "POST",
                PATH,
                &host,
                "(request-target) host date digest content-type",
                r#"algorithm="rsa-sha256""#,
                &RSA,
            ),
        ),
        (
            "no label",
            Sent::cavage(
                "POST",
                PATH,
                &host,
                "host date digest (request-target)",
                r#"other="1""#,
                &RSA,
            ),
        ),
        (
            "(created)",
            Sent::cavage(
                "POST",
                PATH,
                &host,
                "(request-target) host digest (created)",
                &made,
                &RSA,
            ),
        ),
        (
            "(created) and (expires)",
            Sent::cavage(
                "POST",
                PATH,
                &host,
                "(request-target) (created) (expires) host digest",
                &ending,
                &RSA,
            ),
        ),
        (
            "both times",
            Sent::cavage(
                "POST",
                PATH,
                &host,
                "(request-target) (created) host date digest",
                &made,
                &RSA,
            ),
        ),
    ] {
        assert_eq!(sent.with_body(BODY).judged(&RSA), Ok(()), "{what}");
    }
    let ed25519 = Sent::cavage(
        "POST",
        PATH,
        &host,
        "(request-target) host date digest",
        r#"algorithm="ed25519""#,
        &ED25519,
    );
    assert_eq!(ed25519.with_body(BODY).judged(&ED25519), Ok(()));

    // With and without the query, when it is asked for something.
    let get = |signed: &str| {
        let mut sent = Sent::cavage(
            "GET",
            signed,
            &host,
            "(request-target) host date accept",
            r#"algorithm="hs2019""#,
            &RSA,
        );
        sent.target = "/ap/notes/1?page=2".to_owned();
        sent.judged(&RSA)
    };
    assert_eq!(get("/ap/notes/1?page=2"), Ok(()));
    assert_eq!(get("/ap/notes/1"), Ok(()));
    assert_eq!(get("/ap/notes/1?page=3"), Err(Flaw::Invalid));
    assert_eq!(get("/ap/notes/2"), Err(Flaw::Invalid));

    // Names of headers in capitals, spaces between the parameters, numbers in quotes, a host in capitals.
    let mut odd = Sent::cavage(
        "POST",
        PATH,
        &[("host", "Hub.Example:443"), ("digest", &digest)],
        "(request-target) (created) host digest",
        &made,
        &RSA,
    )
    .with_body(BODY);
    *odd.header("signature") = odd
        .header("signature")
        .replace("\",", "\" , ")
        .replace(
            &format!("created={created}"),
            &format!("created=\"{created}\""),
        )
        .replace("host digest", "Host  DIGEST");
    assert_eq!(odd.judged(&RSA), Ok(()));
}

#[test]
fn the_newer_way_has_spellings_too() {
    let digest = digest::content_digest_of(BODY);
    let headers = [("host", "hub.example"), ("content-digest", digest.as_str())];
    let whole = format!("https://hub.example{PATH}");
    let params = format!(";created={};keyid=\"{KEY_ID}\"", now().timestamp());
    for (what, lines, more) in [
        (
            "target",
            vec![
                ("@method", "POST"),
                ("@target-uri", whole.as_str()),
                ("content-digest", &digest),
            ],
            "",
        ),
        (
            "parts",
            vec![
                ("@method", "POST"),
                ("@authority", "hub.example"),
                ("@path", PATH),
                ("content-digest", &digest),
            ],
            ";alg=\"rsa-v1_5-sha256\"",
        ),
        (
            "parts, no query",
            vec![
                ("@authority", "hub.example"),
                ("@path", PATH),
                ("@query", "?"),
                ("content-digest", &digest),
                ("@method", "POST"),
            ],
            ";nonce=\"x\";tag=\"other\"",
        ),
        (
            "request target",
            vec![
                ("@method", "POST"),
                ("@authority", "hub.example"),
                ("@scheme", "https"),
                ("@request-target", PATH),
                ("content-digest", &digest),
                ("host", "hub.example"),
            ],
            "",
        ),
    ] {
        let sent = Sent::rfc9421(
            "POST",
            PATH,
            &headers,
            &lines,
            &format!("{params}{more}"),
            &RSA,
        );
        assert_eq!(sent.with_body(BODY).judged(&RSA), Ok(()), "{what}");
    }

    // Beside one without key id, such as a proxy's.
    let mut two = Sent::post(Scheme::Rfc9421);
    *two.header("signature-input") = format!(
        r#"proxy=("@method");created=1, {}"#,
        two.header("signature-input")
    );
    *two.header("signature") = format!("proxy=:AAAA:, {}", two.header("signature"));
    assert_eq!(two.judged(&RSA), Ok(()));
}
