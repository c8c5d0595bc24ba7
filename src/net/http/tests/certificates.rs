//! Certificates as a test wants them, written by hand (X.509, DER), and a peer that shows them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// From when to when.
pub const VALID: [&str; 2] = ["200101000000Z", "491231235959Z"];
pub const EXPIRED: [&str; 2] = ["200101000000Z", "210101000000Z"];
pub const NOT_YET: [&str; 2] = ["480101000000Z", "491231235959Z"];

/// Somebody with a key.
pub struct Holder {
    name: &'static str,
    document: Vec<u8>,
    pair: EcdsaKeyPair,
}

fn part(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let mut bytes = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    bytes.extend(content);
    bytes
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    part(0x30, parts)
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    part(6, &[bytes])
}

fn called(name: &str) -> Vec<u8> {
    let common_name = sequence(&[&oid(&[0x55, 4, 3]), &part(12, &[name.as_bytes()])]);
    sequence(&[&part(0x31, &[&common_name])])
}

impl Holder {
    pub fn new(name: &'static str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
        let document = document.as_ref().to_vec();
        Self {
            name,
            document,
            pair,
        }
    }

    /// A certificate for somebody under a host's name, or for an authority.
    pub fn certify(
        &self,
        whom: &Self,
        [from, to]: [&str; 2],
        host: Option<&str>,
    ) -> CertificateDer<'static> {
        let ecdsa_with_sha256 = sequence(&[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
        let key = sequence(&[
            &sequence(&[
                &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
                &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
            ]),
            &part(3, &[&[0], whom.pair.public_key().as_ref()]),
        ]);
        let extension = match host {
            Some(host) => {
                let names = sequence(&[&part(0x82, &[host.as_bytes()])]);
                sequence(&[&oid(&[0x55, 0x1d, 0x11]), &part(4, &[&names])])
            }
            None => {
                let is_authority = sequence(&[&[1, 1, 0xff]]);
                sequence(&[
                    &oid(&[0x55, 0x1d, 0x13]),
                    &[1, 1, 0xff],
                    &part(4, &[&is_authority]),
                ])
            }
        };
        let told = sequence(&[
            &[0xa0, 3, 2, 1, 2],
            &[2, 1, 1],
            &ecdsa_with_sha256,
            &called(self.name),
            &sequence(&[&part(23, &[from.as_bytes()]), &part(23, &[to.as_bytes()])]),
            &called(whom.name),
            &key,
            &part(0xa3, &[&sequence(&[&extension])]),
        ]);
        let signature = self.pair.sign(&SystemRandom::new(), &told).unwrap();
        let signature = part(3, &[&[0], signature.as_ref()]);
        CertificateDer::from(sequence(&[&told, &ecdsa_with_sha256, &signature]))
    }

    /// A peer that shows a certificate and answers whoever believes it.
    pub fn listen(&self, shown: CertificateDer<'static>) -> SocketAddr {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.document.clone()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut wire, _)) = listener.accept() {
                let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = Stream::new(&mut session, &mut wire);
                if stream.read(&mut [0; 4096]).is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                }
            }
        });
        address
    }
}
