//! S-78: one deadline over everything, whatever it is that does not end; others do not wait meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use super::peers::{Peer, Script, Scripted, Silent};
use super::{HERE, at, client, get, open};
use crate::net::http::{Failure, Peers, Relaxed};

/// The deadline of these tests.
const SHORT: Duration = Duration::from_millis(700);

/// What a busy machine may take on top.
const GRACE: Duration = Duration::from_secs(8);

async fn gives_up(peers: &Peers, url: &Url, what: &str) {
    let begun = Instant::now();
    let mut request = get(url);
    request.deadline = SHORT;
    let failure = peers.send(request).await.unwrap_err();
    assert_eq!(failure, Failure::Timeout, "{what}");
    assert!(!failure.is_lasting());
    assert!(
        (SHORT..SHORT + GRACE).contains(&begun.elapsed()),
        "{what}: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn s_78_whatever_never_ends_is_given_up() {
    let drip = |head: &str, again: &str| {
        Script::Repeat(head.into(), again.into(), Duration::from_millis(100))
    };
    for (what, script) in [
        ("never reads", Script::Deaf),
        ("never answers", Script::Stall(Vec::new())),
        (
            "half a head",
            Script::Stall(b"HTTP/1.1 200 OK\r\nX-A: ".to_vec()),
        ),
        ("a head by drops", drip("HTTP/1.1 200 OK\r\n", "X-A: b\r\n")),
        (
            "always nearly there",
            drip("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        (
            "no body",
            Script::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()),
        ),
        (
            "a body by drops",
            drip("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "x"),
        ),
        (
            "chunks by drops",
            drip(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "1\r\nx\r\n",
            ),
        ),
        (
            "no end",
            Script::Stall(b"HTTP/1.1 200 OK\r\n\r\nok".to_vec()),
        ),
    ] {
        let peer = Peer::new(script).await;
        gives_up(&open(), &at(peer.address, "/"), what).await;
    }
}

#[tokio::test]
async fn s_78_tls_that_never_finishes_is_given_up() {
    let peer = Peer::new(Script::Deaf).await;
    let url = Url::parse(&format!("https://peer.hub.test:{}/", peer.address.port())).unwrap();
    gives_up(&open(), &url, "no TLS").await;
    assert_eq!(peer.accepted().await, 1);
}

#[tokio::test]
async fn s_78_a_name_nobody_answers_for_is_given_up() {
    let url = Url::parse("http://peer.hub.test/").unwrap();
    gives_up(
        &client(Relaxed::FOR_TESTS, Arc::new(Silent)),
        &url,
        "no name",
    )
    .await;
}

#[tokio::test]
async fn s_78_a_connection_that_hangs_is_given_up() {
    // With its queue full a listener answers nobody.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(wire) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(wire.unwrap());
    }
    gives_up(&open(), &at(address, "/"), "no connection").await;
}

#[tokio::test]
async fn s_78_other_peers_do_not_wait_meanwhile() {
    let slow = Peer::new(Script::Deaf).await;
    let quick = Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let peers = Arc::new(client(Relaxed::FOR_TESTS, Scripted::always(HERE)));
    let stuck: Vec<_> = (0..32)
        .map(|_| {
            let (peers, url) = (Arc::clone(&peers), at(slow.address, "/"));
            tokio::spawn(async move {
                let mut request = get(&url);
                request.deadline = SHORT * 4;
                peers.send(request).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..5 {
        assert_eq!(
            peers.send(get(&at(quick.address, "/"))).await.unwrap().body,
            b"ok"
        );
    }
    assert!(stuck.iter().all(|one| !one.is_finished()));
    for one in stuck {
        assert_eq!(one.await.unwrap(), Err(Failure::Timeout));
    }
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let address = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let failure = open().send(get(&at(address, "/"))).await.unwrap_err();
    assert_eq!(
        (failure.reason(), failure.is_lasting()),
        ("unreachable", false)
    );
}
