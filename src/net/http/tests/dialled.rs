//! S-63 to S-67: whatever a name leads to, only a public address is dialled, and only the one that was judged.

use std::net::IpAddr;
use std::sync::Arc;

use super::peers::{Peer, Record, Script, Scripted, name_server};
use super::{CLOSED, HERE, at, client, failed, get, open};
use crate::net::http::resolve::Dns;
use crate::net::http::{Failure, Relaxed};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Ends in the public internet; no test ever dials it.
const PUBLIC: &str = "93.184.215.14";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A listener for every address that leads to this machine, of both kinds where there are two.
async fn everywhere() -> Peer {
    let script = Script::Say(OK.into());
    match Peer::on("[::]:0", script.clone()).await {
        Ok(peer) => peer,
        Err(_) => Peer::on("0.0.0.0:0", script).await.unwrap(),
    }
}

async fn nobody_comes(addresses: &str) {
    let peer = everywhere().await;
    let url = at(peer.address, "/");
    for text in addresses.split_whitespace() {
        let names = Scripted::always(address(text));
        let answer = client(CLOSED, names.clone()).send(get(&url)).await;
        assert_eq!(failed(answer), "blocked_address", "{text}");
        assert_eq!(names.asked(), 1);
        // The switch for tests opens the loopback and nothing beside it.
        if !address(text).is_loopback() {
            let names = Scripted::always(address(text));
            let answer = client(Relaxed::FOR_TESTS, names).send(get(&url)).await;
            assert_eq!(failed(answer), "blocked_address", "{text}");
        }
    }
    assert_eq!(peer.accepted().await, 0);

    // The listener would have noticed.
    assert_eq!(open().send(get(&url)).await.unwrap().body, b"ok");
    assert_eq!(peer.accepted().await, 1);
}

#[tokio::test]
async fn s_63_nobody_dials_private_addresses() {
    nobody_comes(
        "127.0.0.1 127.8.9.1 10.1.2.3 172.16.0.1 172.31.255.254 192.168.1.1 169.254.169.254 ::1 fc00::1 fd12::1 fe80::1",
    )
    .await;
}

#[tokio::test]
async fn s_64_nobody_dials_reserved_addresses() {
    nobody_comes("0.0.0.0 0.1.2.3 255.255.255.255 100.64.0.1 192.0.0.8 198.18.0.1 198.19.0.1 240.0.0.1 224.0.0.1")
        .await;
}

#[tokio::test]
async fn s_65_nobody_dials_an_old_address_in_a_new_one() {
    nobody_comes(
        ":: ::ffff:127.0.0.1 ::7f00:1 64:ff9b::7f00:1 64:ff9b:1::7f00:1 2002:7f00:1:: 2001:0:7f00:1:: fec0::1 ff02::1 \
         ::ffff:10.0.0.1",
    )
    .await;
}

#[tokio::test]
async fn s_66_nobody_looks_a_number_up() {
    let peer = everywhere().await;
    let names = Scripted::always(HERE);
    let peers = client(CLOSED, names.clone());
    for host in [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "①②⑦.0.0.1",
        "127.0.0.1",
        "[::ffff:7f00:1]",
    ] {
        let url = url::Url::parse(&format!("http://{host}:{}/", peer.address.port())).unwrap();
        assert_eq!(failed(peers.send(get(&url)).await), "ip_literal", "{host}");
    }
    assert_eq!((names.asked(), peer.accepted().await), (0, 0));
}

#[tokio::test]
async fn s_67_one_private_address_refuses_the_whole_answer() {
    let peer = everywhere().await;
    let url = at(peer.address, "/");
    for answer in [
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "::1"],
        ["2606:4700::1111", "127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
    ] {
        let answer = answer.map(address);
        let names = Scripted::new([&answer]);
        assert_eq!(
            failed(client(CLOSED, names).send(get(&url)).await),
            "blocked_address"
        );
    }
    // Behind more public ones than are ever tried, too.
    let mut many = vec![address(PUBLIC); 500];
    many.push(HERE);
    let names = Scripted::new([&many]);
    assert_eq!(
        failed(client(CLOSED, names).send(get(&url)).await),
        "blocked_address"
    );
    assert_eq!(peer.accepted().await, 0);
}

/// The loopback plays the public address here, since only that one can be dialled.
#[tokio::test]
async fn s_67_the_judged_address_is_the_dialled_one() {
    let peer = everywhere().await;
    let url = at(peer.address, "/");
    let names = Scripted::new([&[HERE], &[address("0.0.0.0")]]);
    let peers = client(Relaxed::FOR_TESTS, names.clone());

    // One look-up, whose answer was dialled: the next one would have been refused.
    assert_eq!(peers.send(get(&url)).await.unwrap().status, 200);
    assert_eq!((names.asked(), peer.accepted().await), (1, 1));

    assert_eq!(failed(peers.send(get(&url)).await), "blocked_address");
    assert_eq!((names.asked(), peer.accepted().await), (2, 1));
}

#[tokio::test]
async fn a_kept_connection_needs_no_second_look() {
    let peer = Peer::new(Script::Keep(OK.into())).await;
    let url = at(peer.address, "/");
    let names = Scripted::new([&[HERE], &[address("10.0.0.1")]]);
    let peers = client(Relaxed::FOR_TESTS, names.clone());
    for _ in 0..3 {
        assert_eq!(peers.send(get(&url)).await.unwrap().body, b"ok");
    }
    assert_eq!((names.asked(), peer.accepted().await), (1, 1));
}

#[tokio::test]
async fn s_67_what_a_name_server_says_is_judged_behind_aliases() {
    let public = || Record::Address(address(PUBLIC));
    let server = name_server(vec![
        ("alias.peer.example.", vec![Record::Alias("localhost.")]),
        (
            "far.peer.example.",
            vec![Record::Alias("near.peer.example.")],
        ),
        (
            "near.peer.example.",
            vec![Record::Address(address("192.168.1.1"))],
        ),
        ("both.peer.example.", vec![public(), Record::Address(HERE)]),
        (
            "kinds.peer.example.",
            vec![public(), Record::Address(address("fd00::1"))],
        ),
        (
            "mapped.peer.example.",
            vec![Record::Address(address("::ffff:127.0.0.1"))],
        ),
        ("empty.peer.example.", vec![]),
        (
            "open.peer.example.",
            vec![Record::Alias("loop.peer.example.")],
        ),
        ("loop.peer.example.", vec![Record::Address(HERE)]),
    ])
    .await;
    let peer = everywhere().await;
    let url = |name: &str| {
        url::Url::parse(&format!(
            "http://{name}.peer.example:{}/",
            peer.address.port()
        ))
        .unwrap()
    };
    let peers = client(CLOSED, Arc::new(Dns::at(server)));
    for name in ["alias", "far", "near", "both", "kinds", "mapped"] {
        assert_eq!(
            failed(peers.send(get(&url(name))).await),
            "blocked_address",
            "{name}"
        );
    }
    for (name, is_nxdomain) in [("nobody", true), ("empty", false), ("broken", false)] {
        let failure = peers.send(get(&url(name))).await.unwrap_err();
        assert_eq!(failure, Failure::Resolve { is_nxdomain }, "{name}");
        assert!(!failure.is_lasting());
    }
    assert_eq!(peer.accepted().await, 0);

    // The same server leads somewhere where that is allowed.
    let peers = client(Relaxed::FOR_TESTS, Arc::new(Dns::at(server)));
    assert_eq!(peers.send(get(&url("open"))).await.unwrap().body, b"ok");
}
