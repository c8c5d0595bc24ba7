//! S-77, S-79: however long, endless, lying or compressed an answer is, no more is read than was asked for.

use std::time::Duration;

use super::peers::{Peer, Script};
use super::{at, get, open, post};
use crate::net::http::{Failure, Refused};

const MIB: usize = 1024 * 1024;

/// What lies in buffers between a peer and us when we stop reading.
const BUFFERS: usize = 32 * MIB;

fn endless(head: &str, again: Vec<u8>) -> Script {
    Script::Repeat(head.into(), again, Duration::ZERO)
}

fn chunk() -> Vec<u8> {
    [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat()
}

#[tokio::test]
async fn s_77_long_and_endless_answers_stop_at_the_limit() {
    let said_long = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
    for script in [
        endless(said_long, vec![b'x'; 0x4000]),
        endless(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunk(),
        ),
        endless(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            vec![b'x'; 0x4000],
        ),
        endless(
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
            vec![b'x'; 0x4000],
        ),
    ] {
        let peer = Peer::new(script).await;
        let failure = open().send(get(&at(peer.address, "/"))).await.unwrap_err();
        assert!(
            matches!(failure, Failure::TooLarge | Failure::Broken(_)),
            "{failure:?}"
        );
        assert!(peer.said() < BUFFERS, "{}", peer.said());
    }
    // What is announced is not even waited for.
    let peer = Peer::new(Script::Stall(said_long.into())).await;
    let failure = open().send(get(&at(peer.address, "/"))).await.unwrap_err();
    assert_eq!(
        (failure.reason(), failure.is_lasting()),
        ("too_large", true)
    );
}

#[tokio::test]
async fn s_77_the_limit_itself_is_not_too_long() {
    for (length, fits) in [(0, true), (MIB, true), (MIB + 1, false)] {
        let body = "x".repeat(length);
        let counted = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            match length {
                0 => String::new(),
                _ => format!("{length:x}\r\n{body}\r\n"),
            }
        );
        for answer in [counted, chunked] {
            let peer = Peer::saying(answer).await;
            match open().send(get(&at(peer.address, "/"))).await {
                Ok(reply) => assert!(fits && reply.body.len() == length && !reply.is_cut),
                Err(failure) => assert!(!fits && failure == Failure::TooLarge, "{failure:?}"),
            }
        }
    }
}

#[tokio::test]
async fn s_77_lengths_that_lie_get_nothing_past_us() {
    // More than said: the rest is not part of it.
    let peer =
        Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nevil")
            .await;
    assert_eq!(
        open().send(get(&at(peer.address, "/"))).await.unwrap().body,
        b"ok"
    );
    for answer in [
        // Less than said.
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nok",
        // Two lengths, or none that can be read.
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok",
        "not http at all\r\n\r\n",
        "",
    ] {
        let peer = Peer::saying(answer).await;
        let failure = open().send(get(&at(peer.address, "/"))).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Broken(_)),
            "{answer:?}: {failure:?}"
        );
        assert!(!failure.to_string().contains("hub.test"), "{failure}");
    }
}

#[tokio::test]
async fn s_77_a_head_that_never_ends_is_cut_off() {
    let peer = Peer::new(endless(
        "HTTP/1.1 200 OK\r\n",
        b"X-More: and more of it\r\n".repeat(100),
    ))
    .await;
    let failure = open().send(get(&at(peer.address, "/"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Broken(_)), "{failure:?}");
    assert!(peer.said() < BUFFERS, "{}", peer.said());
}

#[tokio::test]
async fn s_77_an_answer_that_counts_by_its_status_is_cut() {
    let endless_202 = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
    let peer = Peer::new(endless(endless_202, chunk())).await;
    let reply = open().send(post(&at(peer.address, "/"))).await.unwrap();
    assert_eq!(
        (reply.status, reply.body.len(), reply.is_cut),
        (202, 64 * 1024, true)
    );
    assert!(peer.said() < BUFFERS, "{}", peer.said());

    // Gone is gone, however long it is said.
    let peer = Peer::new(endless(
        "HTTP/1.1 410 Gone\r\nContent-Length: 104857600\r\n\r\n",
        chunk(),
    ))
    .await;
    let reply = open().send(get(&at(peer.address, "/"))).await.unwrap();
    assert_eq!(
        (reply.status, reply.body.len(), reply.is_cut),
        (410, 64 * 1024, true)
    );

    // A peer that breaks off or stalls after its yes has still said yes.
    for script in [
        Script::Say(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nok".to_vec()),
        Script::Stall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nok".to_vec()),
    ] {
        let peer = Peer::new(script).await;
        let url = at(peer.address, "/");
        let mut request = post(&url);
        request.deadline = Duration::from_secs(2);
        let reply = open().send(request).await.unwrap();
        assert_eq!(
            (reply.status, &*reply.body, reply.is_cut),
            (202, b"ok".as_slice(), true)
        );
    }

    let peer = Peer::saying("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok").await;
    let url = at(peer.address, "/");
    let mut request = post(&url);
    request.max_bytes = 1;
    let reply = open().send(request).await.unwrap();
    assert_eq!((&*reply.body, reply.is_cut), (b"o".as_slice(), true));
}

#[tokio::test]
async fn s_79_nothing_is_ever_unpacked() {
    // Ten bytes that would unpack to nothing; a thousand times more would be read just as little.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for coding in [
        "gzip",
        "x-gzip",
        "br",
        "deflate",
        "zstd",
        "gzip, identity",
        "GZIP",
        "nonsense",
        "",
    ] {
        let head = format!("Content-Encoding: {coding}\r\nContent-Length: 10\r\n\r\n");
        let answer =
            |status: &str| [format!("HTTP/1.1 {status}\r\n{head}").as_bytes(), &packed].concat();
        let peer = Peer::saying(answer("200 OK")).await;
        let url = at(peer.address, "/");
        let failure = open().send(get(&url)).await.unwrap_err();
        assert_eq!(failure, Failure::Refused(Refused::Encoded), "{coding}");
        assert!(!peer.heads()[0].to_lowercase().contains("accept-encoding"));

        // Its status counts where the body does not.
        let peer = Peer::saying(answer("202 Accepted")).await;
        let reply = open().send(post(&at(peer.address, "/"))).await.unwrap();
        assert_eq!(
            (reply.status, reply.body.len(), reply.is_cut),
            (202, 0, true),
            "{coding}"
        );
    }
    let peer = Peer::saying(
        "HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(
        open().send(get(&at(peer.address, "/"))).await.unwrap().body,
        b"ok"
    );
}
