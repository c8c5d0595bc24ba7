//! Rows of SECURITY.md part A: each request here would be believed by somebody less careful.

use super::*;

const BOTH: [Scheme; 2] = [Scheme::Cavage, Scheme::Rfc9421];

/// A delivery in the older way that covers what is named.
fn covering(covered: &str) -> Sent {
    covering_with(
        covered,
        r#"algorithm="rsa-sha256""#,
        &digest::digest_of(BODY),
    )
}

fn covering_with(covered: &str, params: &str, digest: &str) -> Sent {
    let headers = [
        ("host", "hub.example"),
        ("date", "Thu, 26 Nov 2026 12:00:00 GMT"),
        ("digest", digest),
    ];
    Sent::cavage("POST", PATH, &headers, covered, params, &RSA).with_body(BODY)
}

/// A delivery in the newer way that covers what is named.
fn naming(names: &[&str], params: &str) -> Sent {
    let digest = digest::content_digest_of(BODY);
    let whole = format!("https://hub.example{PATH}");
    let lines: Vec<(&str, &str)> = names
        .iter()
        .map(|name| {
            let value = match *name {
                "@method" => "POST",
                "@target-uri" => &whole,
                "@authority" => "hub.example",
                "@path" | "@request-target" => PATH,
                "@query" => "?",
                _ => &digest,
            };
            (*name, value)
        })
        .collect();
    let headers = [("host", "hub.example"), ("content-digest", digest.as_str())];
    Sent::rfc9421("POST", PATH, &headers, &lines, params, &RSA).with_body(BODY)
}

fn usual() -> String {
    format!(";created={};keyid=\"{KEY_ID}\"", now().timestamp())
}

#[test]
fn s_01_a_body_that_was_changed() {
    for scheme in BOTH {
        let changed = Sent::post(scheme).with_body(br#"{"type":"Delete"}"#);
        assert_eq!(changed.judged(&RSA), Err(Flaw::DigestMismatch));
        let mut gone = Sent::post(scheme);
        gone.body = None;
        assert_eq!(
            gone.judged(&RSA),
            Err(Flaw::DigestMismatch),
            "a body left out"
        );
    }
    // With a digest of its own, which nobody signed.
    let mut changed = Sent::post(Scheme::Cavage).with_body(b"{}");
    *changed.header("digest") = digest::digest_of(b"{}");
    assert_eq!(changed.judged(&RSA), Err(Flaw::Invalid));
    let mut changed = Sent::post(Scheme::Rfc9421).with_body(b"{}");
    *changed.header("content-digest") = digest::content_digest_of(b"{}");
    assert_eq!(changed.judged(&RSA), Err(Flaw::Invalid));
    assert_eq!(
        (Flaw::DigestMismatch.status(), Flaw::DigestMismatch.reason()),
        (401, "digest_mismatch")
    );
}

#[test]
fn s_02_a_digest_that_is_missing_or_not_signed() {
    assert_eq!(
        covering("(request-target) host date").judged(&RSA),
        Err(Flaw::DigestUnsigned)
    );
    assert_eq!(
        Sent::post(Scheme::Cavage).without("digest").judged(&RSA),
        Err(Flaw::DigestUnsigned)
    );
    assert_eq!(
        naming(&["@method", "@target-uri"], &usual()).judged(&RSA),
        Err(Flaw::DigestUnsigned)
    );
    assert_eq!(
        Sent::post(Scheme::Rfc9421)
            .without("content-digest")
            .judged(&RSA),
        Err(Flaw::DigestUnsigned)
    );
    // A GET with a body, and other methods without one, are no way around.
    for method in ["GET", "DELETE", "PUT", "post", "GeT"] {
        let mut sent = Sent::cavage(
            method,
            PATH,
            &[
                ("host", "hub.example"),
                ("date", "Thu, 26 Nov 2026 12:00:00 GMT"),
            ],
            "(request-target) host date",
            r#"a="b""#,
            &RSA,
        );
        if method == "GET" {
            assert_eq!(sent.judged(&RSA), Ok(()));
            sent = sent.with_body(b"{}");
        }
        assert_eq!(sent.judged(&RSA), Err(Flaw::DigestUnsigned), "{method}");
    }
    assert_eq!(
        (Flaw::DigestUnsigned.status(), Flaw::DigestUnsigned.reason()),
        (401, "digest_unsigned")
    );
}

#[test]
fn s_03_a_signature_that_leaves_out_what_counts() {
    assert_eq!(
        covering("(request-target) host date digest").judged(&RSA),
        Ok(())
    );
    for covered in [
        "digest",
        "host date digest",
        "(request-target) date digest",
        "(request-target) host digest",
    ] {
        assert_eq!(
            covering(covered).judged(&RSA),
            Err(Flaw::Coverage),
            "{covered}"
        );
    }
    assert_eq!(
        naming(&["@method", "@target-uri", "content-digest"], &usual()).judged(&RSA),
        Ok(())
    );
    for names in [
        &["content-digest"][..],
        &["@target-uri", "content-digest"],
        &["@method", "content-digest"],
        &["@method", "@authority", "content-digest"],
        &["@method", "@path", "content-digest"],
        &["@method", "@path", "@query", "content-digest"],
        &["@method", "@request-target", "content-digest"],
    ] {
        assert_eq!(
            naming(names, &usual()).judged(&RSA),
            Err(Flaw::Coverage),
            "{names:?}"
        );
    }
    let timeless = format!(";keyid=\"{KEY_ID}\"");
    assert_eq!(
        naming(&["@method", "@target-uri", "content-digest"], &timeless).judged(&RSA),
        Err(Flaw::Coverage)
    );
    let keyless = format!(";created={}", now().timestamp());
    assert_eq!(
        naming(&["@method", "@target-uri", "content-digest"], &keyless).judged(&RSA),
        Err(Flaw::Malformed)
    );

    // A signed header that is not there is not passed over.
    for scheme in BOTH {
        assert_eq!(
            Sent::post(scheme).without("content-type").judged(&RSA),
            Err(Flaw::Coverage)
        );
    }
    // The list of headers left out stands for the least.
    let mut listless = covering("(request-target) host date digest");
    *listless.header("signature") = listless
        .header("signature")
        .replace(r#"headers="(request-target) host date digest","#, "");
    assert_eq!(listless.judged(&RSA), Err(Flaw::DigestUnsigned));
}

#[test]
fn s_04_two_headers_where_one_counts() {
    for scheme in BOTH {
        for name in ["host", "content-type", "signature"] {
            let mut sent = Sent::post(scheme);
            let value = sent.header(name).clone();
            assert_eq!(
                sent.with(name, &value).judged(&RSA),
                Err(Flaw::DuplicateHeader),
                "{scheme:?} {name}"
            );
        }
        for name in [
            "authorization",
            "date",
            "digest",
            "content-digest",
            "signature-input",
            "host",
        ] {
            let sent = Sent::post(scheme).with(name, "a").with(name, "b");
            assert_eq!(
                sent.judged(&RSA),
                Err(Flaw::DuplicateHeader),
                "{scheme:?} {name}"
            );
        }
    }
    // The first fits a forged body, the last is what was signed; or the other way round.
    let forged = digest::digest_of(b"{}");
    let last = Sent::post(Scheme::Cavage)
        .with_body(b"{}")
        .with("digest", &forged);
    assert_eq!(last.judged(&RSA), Err(Flaw::DuplicateHeader));
    let mut first = Sent::post(Scheme::Cavage).with_body(b"{}");
    first.headers.insert(0, ("digest".to_owned(), forged));
    assert_eq!(first.judged(&RSA), Err(Flaw::DuplicateHeader));
    // Both in one header.
    let mut both = Sent::post(Scheme::Cavage).with_body(b"{}");
    *both.header("digest") = format!("{},{}", digest::digest_of(b"{}"), both.header("digest"));
    assert_eq!(both.judged(&RSA), Err(Flaw::DigestMismatch));
    // Any other header that is signed.
    let headers = [
        ("host", "hub.example"),
        ("date", "Thu, 26 Nov 2026 12:00:00 GMT"),
        ("accept", "a"),
    ];
    let sent = Sent::cavage(
        "GET",
        PATH,
        &headers,
        "(request-target) host date accept",
        r#"a="b""#,
        &RSA,
    );
    assert_eq!(
        sent.with("accept", "b").judged(&RSA),
        Err(Flaw::DuplicateHeader)
    );
    assert_eq!(
        (
            Flaw::DuplicateHeader.status(),
            Flaw::DuplicateHeader.reason()
        ),
        (400, "duplicate_header")
    );
}

#[test]
fn s_05_a_delivery_to_another_host_brought_here() {
    for scheme in BOTH {
        for other in [
            "other.example",
            "hub.example.evil.example",
            "evil-hub.example",
            "hub.example:8443",
        ] {
            let replayed = Sent::signed(
                scheme,
                "POST",
                &format!("https://{other}{PATH}"),
                Some(BODY),
                &RSA,
            );
            assert_eq!(
                replayed.judged(&RSA),
                Err(Flaw::WrongHost),
                "{scheme:?} {other}"
            );
            // With our name in `host`, as the proxy would have it.
            let mut dressed = replayed;
            *dressed.header("host") = "hub.example".to_owned();
            assert_eq!(
                dressed.judged(&RSA),
                Err(Flaw::Invalid),
                "{scheme:?} {other}"
            );
        }
        // What was signed for us stays so behind a proxy that names us otherwise, or not at all.
        let mut behind = Sent::post(scheme);
        *behind.header("host") = "127.0.0.1:8080".to_owned();
        assert_eq!(behind.judged(&RSA), Ok(()));
        assert_eq!(behind.without("host").judged(&RSA), Ok(()));
    }
    assert_eq!(
        (Flaw::WrongHost.status(), Flaw::WrongHost.reason()),
        (401, "wrong_host")
    );
}

#[test]
fn s_06_a_delivery_to_another_inbox_brought_here() {
    for scheme in BOTH {
        for target in [
            "/ap/inbox",
            "/ap/actors/0193a2/inbox",
            "/ap/actors/0193a1/inbox/",
            "/ap/actors/0193a1/inbox?",
            "/ap/actors/0193a1/inbox?a=b",
            "//ap/actors/0193a1/inbox",
            "/ap/actors/0193A1/inbox",
        ] {
            let mut moved = Sent::post(scheme);
            moved.target = target.to_owned();
            let judged = moved.judged(&RSA);
            // In the older way a query may be left unsigned; it then means nothing at an inbox.
            let excused = scheme == Scheme::Cavage && target.starts_with(&format!("{PATH}?"));
            assert_eq!(
                judged,
                if excused { Ok(()) } else { Err(Flaw::Invalid) },
                "{scheme:?} {target}"
            );
        }
        let mut other = Sent::post(scheme);
        other.method = "PUT".to_owned();
        assert_eq!(other.judged(&RSA), Err(Flaw::Invalid));
    }
}

#[test]
fn s_07_a_signature_of_another_time() {
    for scheme in BOTH {
        let sent = Sent::post(scheme);
        for (minutes, expected) in [
            (-6, Err(Flaw::NotYetValid)),
            (-4, Ok(())),
            (59, Ok(())),
            (60, Ok(())),
            (62, Err(Flaw::Expired)),
            (60 * 24 * 365, Err(Flaw::Expired)),
        ] {
            assert_eq!(
                sent.judged_at(&RSA, now() + TimeDelta::minutes(minutes)),
                expected,
                "{scheme:?} {minutes}"
            );
        }
    }
    let made = |params: &str| {
        covering_with(
            "(request-target) host digest (created)",
            params,
            &digest::digest_of(BODY),
        )
        .judged(&RSA)
    };
    let at = now().timestamp();
    assert_eq!(made(&format!("created={at}")), Ok(()));
    assert_eq!(made(&format!("created={}", at - 3720)), Err(Flaw::Expired));
    assert_eq!(
        made(&format!("created={}", at + 360)),
        Err(Flaw::NotYetValid)
    );
    assert_eq!(
        made(&format!("created={at},expires={}", at - 600)),
        Err(Flaw::Expired)
    );
    for odd in [
        "99999999999999999",
        "-99999999999999999",
        "9223372036854775808",
        "1e9",
        "",
    ] {
        assert_eq!(
            made(&format!("created={odd}")),
            Err(Flaw::Malformed),
            "{odd}"
        );
    }
    // A date that is signed counts beside `(created)`.
    let old = [
        ("host", "hub.example"),
        ("date", "Thu, 26 Nov 2026 10:00:00 GMT"),
    ];
    let both = Sent::cavage(
        "GET",
        PATH,
        &old,
        "(request-target) host date (created)",
        &format!("created={at}"),
        &RSA,
    );
    assert_eq!(both.judged(&RSA), Err(Flaw::Expired));
    for odd in [
        "",
        "yesterday",
        "Mon, 26 Nov 2026 12:00:00 GMT",
        "Thu, 26 Nov 99999999 12:00:00 GMT",
        "1795694400",
    ] {
        let dated = Sent::cavage(
            "GET",
            PATH,
            &[("host", "hub.example"), ("date", odd)],
            "(request-target) host date",
            r#"a="b""#,
            &RSA,
        );
        assert_eq!(dated.judged(&RSA), Err(Flaw::Malformed), "{odd}");
    }
    assert_eq!(
        (Flaw::Expired.status(), Flaw::Expired.reason()),
        (401, "expired")
    );
}

#[test]
fn s_15_labels_are_honoured() {
    let whole = "(request-target) host date digest";
    for label in ["hmac-sha256", "rsa-sha1", "none", "RSA-SHA256", ""] {
        let sent = covering_with(
            whole,
            &format!(r#"algorithm="{label}""#),
            &digest::digest_of(BODY),
        );
        assert_eq!(sent.judged(&RSA), Err(Flaw::Algorithm), "{label}");
    }
    for label in ["ed25519", "rsa-sha512"] {
        let sent = covering_with(
            whole,
            &format!(r#"algorithm="{label}""#),
            &digest::digest_of(BODY),
        );
        assert_eq!(sent.judged(&RSA), Err(Flaw::Invalid), "{label}");
    }
    let names = ["@method", "@target-uri", "content-digest"];
    for label in ["hmac-sha256", "rsa-pss-sha512", "ecdsa-p256-sha256"] {
        let sent = naming(&names, &format!("{};alg=\"{label}\"", usual()));
        assert_eq!(sent.judged(&RSA), Err(Flaw::Algorithm), "{label}");
    }
    assert_eq!(
        naming(&names, &format!("{};alg=\"ed25519\"", usual())).judged(&RSA),
        Err(Flaw::Invalid)
    );

    let value = digest::digest_of(BODY);
    let value = value.strip_prefix("SHA-256=").unwrap();
    for (label, flaw) in [
        ("MD5", Flaw::DigestAlgorithm),
        ("SHA-512", Flaw::DigestMismatch),
        ("SHA", Flaw::DigestAlgorithm),
        ("unixsum", Flaw::DigestAlgorithm),
    ] {
        let sent = covering_with(whole, r#"a="b""#, &format!("{label}={value}"));
        assert_eq!(sent.judged(&RSA), Err(flaw), "{label}");
    }
    for (text, expected) in [
        (format!("sha-256={value}"), Ok(())),
        (format!("SHA-256={value},unixsum=1"), Ok(())),
        (
            format!("SHA-256={value},SHA-512={value}"),
            Err(Flaw::DigestMismatch),
        ),
        ("SHA-256=".to_owned(), Err(Flaw::DigestMismatch)),
        ("SHA-256".to_owned(), Err(Flaw::DigestMismatch)),
        (format!("SHA-256=:{value}:"), Err(Flaw::DigestMismatch)),
    ] {
        assert_eq!(
            covering_with(whole, r#"a="b""#, &text).judged(&RSA),
            expected,
            "{text}"
        );
    }
    for (text, expected) in [
        (format!("sha-512=:{value}:"), Err(Flaw::DigestMismatch)),
        (format!("md5=:{value}:"), Err(Flaw::DigestAlgorithm)),
        (format!("sha-256={value}"), Err(Flaw::DigestMismatch)),
        ("sha-256".to_owned(), Err(Flaw::DigestMismatch)),
        ("sha-256=(:AAAA:)".to_owned(), Err(Flaw::DigestMismatch)),
        (String::new(), Err(Flaw::DigestAlgorithm)),
        (format!("sha-256=:{value}:, other=1"), Ok(())),
    ] {
        assert_eq!(
            digest::check_content_digest(&text, BODY),
            expected,
            "{text}"
        );
    }
}

#[test]
fn s_16_two_signatures_and_a_bearer() {
    let mut sent = Sent::post(Scheme::Cavage);
    let own = sent.header("signature").clone();
    assert_eq!(
        sent.clone()
            .with("authorization", "Bearer abc")
            .judged(&RSA),
        Ok(())
    );
    assert_eq!(
        sent.clone()
            .with("authorization", &format!("Signature {own}"))
            .judged(&RSA),
        Ok(()),
        "the same twice counts once"
    );
    assert_eq!(
        sent.clone()
            .without("signature")
            .with("authorization", &format!("signature  {own}"))
            .judged(&RSA),
        Ok(())
    );
    let other = own.replace("0193b2", "0193b3");
    assert_eq!(
        sent.clone()
            .with("authorization", &format!("Signature {other}"))
            .judged(&RSA),
        Err(Flaw::TwoSignatures)
    );
    assert_eq!(Flaw::TwoSignatures.status(), 400);

    let newer = Sent::post(Scheme::Rfc9421);
    assert_eq!(
        newer
            .clone()
            .with("authorization", "Bearer abc")
            .judged(&RSA),
        Ok(())
    );
    assert_eq!(
        newer
            .clone()
            .with("authorization", &format!("Signature {own}"))
            .judged(&RSA),
        Err(Flaw::TwoSignatures)
    );
    assert_eq!(
        newer.without("signature").judged(&RSA),
        Err(Flaw::Malformed)
    );
}

#[test]
fn s_19_a_request_that_is_not_signed_has_no_signer() {
    let body =
        br#"{"type":"Create","signature":{"type":"RsaSignature2017","signatureValue":"AAAA"}}"#;
    for headers in [
        vec![],
        vec![("authorization", "Bearer abc")],
        vec![("authorization", "Signature")],
        vec![("digest", "SHA-256=AAAA")],
    ] {
        let mut sent = Sent::post(Scheme::Cavage).with_body(body);
        sent.headers.clear();
        for (name, value) in headers {
            sent = sent.with(name, value);
        }
        assert!(matches!(sent.read_at(&ours(), now()), Ok(None)));
    }
}

#[test]
fn signatures_that_cannot_be_read() {
    let own = Sent::post(Scheme::Cavage).header("signature").clone();
    for (value, flaw) in [
        (String::new(), Flaw::Malformed),
        ("a".to_owned(), Flaw::Malformed),
        ("keyId".to_owned(), Flaw::Malformed),
        ("keyId=\"".to_owned(), Flaw::Malformed),
        ("keyId=\"a\"".to_owned(), Flaw::Malformed),
        (format!("{own} x=\"1\""), Flaw::Malformed),
        (format!("{own},keyId=\"b\""), Flaw::Malformed),
        (format!("{own},signature=\"AAAA\""), Flaw::Malformed),
        (format!("{own},headers=\"date\""), Flaw::Malformed),
        (format!("{own},created=1,created=2"), Flaw::Malformed),
        (
            own.replace("signature=\"", "signature=\"*"),
            Flaw::Malformed,
        ),
        (own.replace("host date", "host host date"), Flaw::Malformed),
        (own.replace("host date", "host HOST date"), Flaw::Malformed),
        (own.replace("content-type", "(created)"), Flaw::Malformed),
        (own.replace("content-type", "(expires)"), Flaw::Malformed),
        (own.replace("content-type", "(status)"), Flaw::Coverage),
        (
            own.replace(
                "content-type",
                &(0..50).map(|n| format!("x{n} ")).collect::<String>(),
            ),
            Flaw::Malformed,
        ),
        (
            own.replace("keyId=\"", &format!("keyId=\"{}", "a".repeat(3000))),
            Flaw::Malformed,
        ),
        (own.replace("keyId=\"", "keyId=\"\u{7}"), Flaw::Malformed),
        (format!("x=\"{}\",{own}", "a".repeat(9000)), Flaw::TooLong),
    ] {
        let mut sent = Sent::post(Scheme::Cavage);
        *sent.header("signature") = value.clone();
        assert_eq!(sent.judged(&RSA), Err(flaw), "{value}");
    }

    let own = Sent::post(Scheme::Rfc9421)
        .header("signature-input")
        .clone();
    for (value, flaw) in [
        (String::new(), Flaw::Malformed),
        ("sig1".to_owned(), Flaw::Malformed),
        ("sig1=5".to_owned(), Flaw::Malformed),
        ("sig1=()".to_owned(), Flaw::Malformed),
        (own.replace("sig1", "sig2"), Flaw::Malformed),
        (own.replace("created=", "created=1."), Flaw::Malformed),
        (
            own.replace("created=1795694400", "created"),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"@method\""),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\";req"),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"@status\""),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"@query-param\";name=\"a\""),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"Content-Type\""),
            Flaw::Coverage,
        ),
        (
            own.replace("\"@method\"", "\"@method\" token"),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"a\\\"b\""),
            Flaw::Malformed,
        ),
        (
            own.replace("\"@method\"", "\"@method\" \"x-none\""),
            Flaw::Coverage,
        ),
        (own.replace("keyid=\"https", "keyid=https"), Flaw::Malformed),
        (format!("{own};expires=1"), Flaw::Expired),
        (format!("{own};expires=\"1\""), Flaw::Malformed),
        (format!("{own},{}", "a".repeat(9000)), Flaw::TooLong),
    ] {
        let mut sent = Sent::post(Scheme::Rfc9421);
        *sent.header("signature-input") = value.clone();
        assert_eq!(sent.judged(&RSA), Err(flaw), "{value}");
    }
    for value in [
        "",
        "sig1",
        "sig1=\"AAAA\"",
        "sig1=(:AAAA:)",
        "sig2=:AAAA:",
        "sig1=:*:",
    ] {
        let mut sent = Sent::post(Scheme::Rfc9421);
        *sent.header("signature") = value.to_owned();
        assert_eq!(sent.judged(&RSA), Err(Flaw::Malformed), "{value}");
    }
}
