//! The client against peers that mean no good: names that lie, servers that never end, certificates nobody should trust.
//! The peers listen on this machine; where only the loopback is closed, a socket that sees nobody is the proof.

mod bodies;
mod certificates;
mod dialled;
mod hops;
mod peers;
mod times;
mod trust;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use url::Url;

use super::resolve::Names;
use super::{Bytes, Failure, Method, Peers, Relaxed, Reply, Request};
use peers::Scripted;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Everything a test needs to reach its own listeners, but for the loopback: what leads there is refused.
const CLOSED: Relaxed = Relaxed {
    http: true,
    port: true,
    loopback: false,
};

/// Long enough on a busy machine for what should succeed.
const LONG: Duration = Duration::from_secs(20);

fn client(relaxed: Relaxed, names: Arc<dyn Names>) -> Peers {
    Peers::with(relaxed, names, RootCertStore::empty(), "made-open/test").unwrap()
}

/// A client for which every name is this machine.
fn open() -> Peers {
    client(Relaxed::FOR_TESTS, Scripted::always(HERE))
}

fn at(address: SocketAddr, rest: &str) -> Url {
    Url::parse(&format!("http://peer.hub.test:{}{rest}", address.port())).unwrap()
}

fn get(url: &Url) -> Request<'_> {
    Request {
        method: Method::Get,
        url,
        headers: Vec::new(),
        body: None,
        max_bytes: 1024 * 1024,
        deadline: LONG,
    }
}

fn post(url: &Url) -> Request<'_> {
    Request {
        method: Method::Post,
        body: Some(Bytes::from_static(b"{}")),
        ..get(url)
    }
}

#[track_caller]
fn failed(result: Result<Reply, Failure>) -> &'static str {
    result.unwrap_err().reason()
}
