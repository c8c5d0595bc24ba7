//! Keys that are read, and keys that are not.

use serde_json::Value;

use super::*;

/// The key of the examples in the W3C's and the FEP's texts, and its other half.
const KNOWN: &str = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
const KNOWN_PRIVATE: &str = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq";

/// The private key of the published examples.
pub fn known() -> PrivateKey {
    let seed = bs58::decode(&KNOWN_PRIVATE[1..]).into_vec().unwrap();
    assert_eq!(seed[..2], [0x80, 0x26], "the multicodec of a private key");
    from_seed(&seed[2..])
}

/// An Ed25519 key of this seed.
pub fn from_seed(seed: &[u8]) -> PrivateKey {
    let before = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    PrivateKey::from_pkcs8(Algorithm::Ed25519, &[&before[..], seed].concat()).unwrap()
}

fn pem(name: &str) -> String {
    let keys: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/wire/keys.json")).unwrap();
    keys[name].as_str().unwrap().to_owned()
}

#[test]
fn s_14_odd_keys_are_refused() {
    for (name, flaw) in [
        ("rsa-512", KeyFlaw::Strength),
        ("rsa-2047", KeyFlaw::Strength),
        ("rsa-8192", KeyFlaw::Strength),
        ("rsa-16384", KeyFlaw::Strength),
        ("exponent-1", KeyFlaw::Kind),
        ("exponent-2", KeyFlaw::Kind),
        ("even-modulus", KeyFlaw::Kind),
        ("p-256", KeyFlaw::Kind),
        ("junk-inside", KeyFlaw::Encoding),
        ("junk-in-sequence", KeyFlaw::Kind),
        ("pkcs1-under-wrong-label", KeyFlaw::Encoding),
    ] {
        assert_eq!(PublicKey::from_pem(&pem(name)), Err(flaw), "{name}");
    }

    let good = pem("good");
    assert!(PublicKey::from_pem(&good).is_ok());
    let long = good.replace("\nMII", &format!("\n{}MII", " \n".repeat(250_000)));
    assert_eq!(PublicKey::from_pem(&long), Err(KeyFlaw::TooLong));
    for junk in [
        format!("{good}junk"),
        format!("junk{good}"),
        format!("{good}{good}"),
        good.replace("MII", "MII*"),
        good.replace("BEGIN", "BEGIN PRIVATE"),
        good.replace("-----END PUBLIC KEY-----", ""),
        good.replace("END PUBLIC", "END RSA PUBLIC"),
        String::new(),
        "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----".to_owned(),
        "-----BEGIN PUBLIC KEY-----".to_owned(),
    ] {
        assert!(PublicKey::from_pem(&junk).is_err(), "{junk}");
    }
}

#[test]
fn s_14_pkcs1_and_larger_keys_are_read() {
    for name in ["rsa-3072", "rsa-4096-pkcs1"] {
        let key = PublicKey::from_pem(&pem(name)).unwrap();
        assert_eq!(key.algorithm(), Algorithm::Rsa);
        assert_eq!(key.to_multibase(), None);
        let again = PublicKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again, key);
        assert_eq!(again.fingerprint(), key.fingerprint());
    }
    // Line ends of other systems, and none at all.
    let good = pem("good");
    let key = PublicKey::from_pem(&good).unwrap();
    for same in [
        good.replace('\n', "\r\n"),
        good.replace('\n', ""),
        format!("\n{good}\n\n"),
    ] {
        assert_eq!(PublicKey::from_pem(&same), Ok(key.clone()));
    }
}

#[test]
fn multikeys_are_read_and_written() {
    let key = PublicKey::from_multibase(KNOWN).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    assert_eq!(key.to_multibase().as_deref(), Some(KNOWN));
    assert_eq!(known().public(), &key);
    assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key.clone()));
    assert!(key.to_pem().contains("MCowBQYDK2VwAyEA"));

    let coded = |bytes: &[u8]| format!("z{}", bs58::encode(bytes).into_string());
    let raw = &key.0.der[12..];
    for (text, flaw) in [
        (coded(raw), KeyFlaw::Kind),
        (
            coded(&[&[0xed, 0x01], &raw[..31]].concat()),
            KeyFlaw::Encoding,
        ),
        (
            coded(&[&[0xed, 0x01], raw, &[0]].concat()),
            KeyFlaw::Encoding,
        ),
        (coded(&[&[0x12, 0x00], raw].concat()), KeyFlaw::Kind),
        (KNOWN[1..].to_owned(), KeyFlaw::Encoding),
        (format!("u{}", &KNOWN[1..]), KeyFlaw::Encoding),
        (format!("{KNOWN}0"), KeyFlaw::Encoding),
        ("z".repeat(1000), KeyFlaw::TooLong),
        ("z".to_owned(), KeyFlaw::Kind),
        (String::new(), KeyFlaw::Encoding),
        ("zé".to_owned(), KeyFlaw::Encoding),
    ] {
        assert_eq!(PublicKey::from_multibase(&text), Err(flaw), "{text}");
    }
}

#[test]
fn a_key_of_small_order_is_refused() {
    let coded = |bytes: [u8; 32]| {
        format!(
            "z{}",
            bs58::encode([&ED25519_CODEC[..], &bytes].concat()).into_string()
        )
    };
    for point in SMALL_ORDER {
        let mut other_sign = point;
        other_sign[31] |= 0x80;
        for bytes in [point, other_sign] {
            assert!(PublicKey::from_multibase(&coded(bytes)).is_err());
        }
    }
}

#[test]
fn a_private_key_signs_is_kept_and_never_printed() {
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let signature = key.sign(b"message");
        assert!(key.public().verify(Hash::Sha256, b"message", &signature));
        assert!(!key.public().verify(Hash::Sha256, b"Message", &signature));
        assert!(
            !key.public()
                .verify(Hash::Sha256, b"message", &signature[1..])
        );
        assert!(!key.public().verify(Hash::Sha256, b"message", b""));

        let kept = key.to_pkcs8();
        let again = PrivateKey::from_pkcs8(algorithm, &kept).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.sign(b"message"), signature);
        let printed = format!("{key:?}");
        assert_eq!(
            printed,
            format!("[secret] of {:?} {}", algorithm, key.public().fingerprint())
        );

        let other = match algorithm {
            Algorithm::Rsa => Algorithm::Ed25519,
            Algorithm::Ed25519 => Algorithm::Rsa,
        };
        assert!(PrivateKey::from_pkcs8(other, &kept).is_err());
        assert!(PrivateKey::from_pkcs8(algorithm, &kept[1..]).is_err());
        assert!(PrivateKey::from_pkcs8(algorithm, b"").is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_reading_a_key_panic(text in "(-----BEGIN (RSA )?PUBLIC KEY-----)?[ -~\n]{0,200}(-----END PUBLIC KEY-----)?\\PC{0,5}") {
        let _ = PublicKey::from_pem(&text);
        let _ = PublicKey::from_multibase(&text);
    }
}
