//! S-86: a certificate that is nobody's, over, not yet, another's or from an unknown authority ends it before a word is
//! said. The good one is answered, so that it is these that are refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use rustls::RootCertStore;
use url::Url;

use super::certificates::{EXPIRED, Holder, NOT_YET, VALID};
use super::peers::Scripted;
use super::{HERE, get};
use crate::net::http::{Failure, Peers, Relaxed, Reply};

const HOST: &str = "peer.hub.test";

async fn ask(roots: RootCertStore, address: SocketAddr) -> Result<Reply, Failure> {
    let names = Scripted::always(HERE);
    let peers = Peers::with(Relaxed::FOR_TESTS, names, roots, "made-open/test").unwrap();
    let url = Url::parse(&format!("https://{HOST}:{}/", address.port())).unwrap();
    peers.send(get(&url)).await
}

#[tokio::test]
async fn s_86_only_a_certificate_that_holds_is_believed() {
    let (authority, stranger, peer) = (
        Holder::new("authority"),
        Holder::new("authority"),
        Holder::new("peer"),
    );
    let trusting = |whom: &Holder| {
        let mut roots = RootCertStore::empty();
        roots.add(whom.certify(whom, VALID, None)).unwrap();
        roots
    };
    let good = authority.certify(&peer, VALID, Some(HOST));
    let reply = ask(trusting(&authority), peer.listen(good.clone()))
        .await
        .unwrap();
    assert_eq!(reply.body, b"ok");

    for (what, shown) in [
        ("expired", authority.certify(&peer, EXPIRED, Some(HOST))),
        ("not yet", authority.certify(&peer, NOT_YET, Some(HOST))),
        (
            "another's",
            authority.certify(&peer, VALID, Some("other.hub.test")),
        ),
        (
            "a part of the name",
            authority.certify(&peer, VALID, Some("hub.test")),
        ),
        ("too wide", authority.certify(&peer, VALID, Some("*.test"))),
        ("an authority's own", authority.certify(&peer, VALID, None)),
        ("its own", peer.certify(&peer, VALID, Some(HOST))),
        ("a stranger's", stranger.certify(&peer, VALID, Some(HOST))),
    ] {
        let failure = ask(trusting(&authority), peer.listen(shown))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.reason(), failure.is_lasting()),
            ("tls", false),
            "{what}"
        );
    }

    // The authorities of the internet have not heard of this one.
    let known = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    assert_eq!(ask(known, peer.listen(good)).await, Err(Failure::Tls));
}

#[tokio::test]
async fn s_86_who_speaks_no_tls_is_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut wire, _) = listener.accept().unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        wire.write_all(answer).unwrap();
        let _ = wire.read(&mut [0; 4096]);
    });
    let failure = ask(RootCertStore::empty(), address).await.unwrap_err();
    assert_eq!(failure, Failure::Tls);
}
