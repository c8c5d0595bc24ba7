//! S-68, S-69 and what a request carries: hops are the caller's, each judged anew, and nothing is said that need not be.

use super::peers::{Peer, Script, Scripted};
use super::{CLOSED, HERE, at, client, failed, get, open, post};
use crate::net::http::{Budget, Relaxed, Spent};

#[tokio::test]
async fn s_68_a_redirect_is_an_answer_and_leads_nowhere() {
    let inside = Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
    let port = inside.address.port();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://inside.hub.test:{port}/");
        let peer = Peer::saying(format!(
            "HTTP/1.1 {status} Gone away\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        let url = at(peer.address, "/");
        for request in [get(&url), post(&url)] {
            let reply = open().send(request).await.unwrap();
            assert_eq!(
                (reply.status, reply.header("location")),
                (status, Some(&*location))
            );
        }
    }
    assert_eq!(inside.accepted().await, 0);

    // Whoever follows asks again, and a hop has to be as good as a first address.
    let strict = client(Relaxed::NOTHING, Scripted::always(HERE));
    for (location, reason) in [
        ("file:///etc/passwd", "bad_scheme"),
        ("data:application/json,{}", "bad_scheme"),
        ("gopher://peer.example/", "bad_scheme"),
        ("http://peer.example/", "bad_scheme"),
        ("https://peer.example:8443/", "bad_port"),
        ("https://me@peer.example/", "userinfo"),
        ("https://10.0.0.1/", "ip_literal"),
        ("https://localhost/", "bad_host"),
        ("https://peer.example/", "blocked_address"),
    ] {
        let hop = at(inside.address, "/").join(location).unwrap();
        assert_eq!(failed(strict.send(get(&hop)).await), reason, "{location}");
    }
    let names = Scripted::always(HERE);
    let hop = at(inside.address, "/");
    assert_eq!(
        failed(client(CLOSED, names).send(get(&hop)).await),
        "blocked_address"
    );
    assert_eq!(inside.accepted().await, 0);
}

#[tokio::test]
async fn s_69_a_ring_of_redirects_ends_with_the_budget() {
    let peer =
        Peer::saying("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n").await;
    let (peers, budget) = (open(), Budget::new(20));
    let mut url = at(peer.address, "/");
    let ended = loop {
        if let Err(spent) = budget.spend() {
            break spent;
        }
        let reply = peers.send(get(&url)).await.unwrap();
        url = peers.hop(&url, reply.header("location").unwrap()).unwrap();
    };
    assert_eq!(ended, Spent);
    assert_eq!(peer.heads().len(), 20);
}

#[tokio::test]
async fn s_76_userinfo_and_fragments_are_never_sent() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut url = at(peer.address, "/a?b=c#main-key");
    open().send(get(&url)).await.unwrap();
    assert!(
        peer.heads()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"),
        "{:?}",
        peer.heads()
    );

    url.set_username("me").unwrap();
    assert_eq!(failed(open().send(get(&url)).await), "userinfo");
    assert_eq!(peer.accepted().await, 1);
}

#[tokio::test]
async fn a_request_says_who_asks_and_what_was_given_and_no_more() {
    let peer = Peer::new(Script::Keep(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Seen: 1\r\nX-Seen: 2\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ))
    .await;
    let url = at(peer.address, "/inbox");
    let peers = open();
    let given = [
        ("Host", "evil.example"),
        ("Accept-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "100"),
        ("Cookie", "c=d"),
        ("User-Agent", "else"),
        ("Signature", "keyId=\"x\""),
        ("Accept", "application/activity+json"),
    ];
    for _ in 0..2 {
        let mut request = post(&url);
        request.headers = given
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let reply = peers.send(request).await.unwrap();
        let seen: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| name == "x-seen")
            .collect();
        assert_eq!(seen.len(), 2);
    }
    for head in peer.heads() {
        let mut lines: Vec<_> = head
            .split("\r\n\r\n")
            .next()
            .unwrap()
            .split("\r\n")
            .collect();
        lines.sort_unstable();
        let host = format!("host: peer.hub.test:{}", peer.address.port());
        let mut expected = [
            "POST /inbox HTTP/1.1",
            "accept: application/activity+json",
            "content-length: 2",
            &host,
            "signature: keyId=\"x\"",
            "user-agent: made-open/test",
        ];
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }

    let mut request = get(&url);
    request.headers = vec![("x-a".to_owned(), "b\r\nx-c: d".to_owned())];
    assert_eq!(failed(peers.send(request).await), "bad_header");
}
