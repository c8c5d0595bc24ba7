//! The one client for everything that leaves the hub by HTTP: which addresses are asked, how long, how much is read.
//! It follows nothing, decodes nothing, remembers nothing but connections. Who asks what and why is decided elsewhere.

mod addresses;
mod budget;
mod refusal;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
pub use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use budget::{Budget, Spent};
pub use refusal::{Failure, Refused};

use crate::base::config::Config;
use resolve::{Dns, Judged, Names, Told};

/// How long one exchange may take where nobody says otherwise: name, connection, TLS, head and body together.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What is read of an answer that counts by its status: to a POST, or one that is no success.
const SHORT_ANSWER: usize = 64 * 1024;

/// The longest head of an answer over HTTP/2; over HTTP/1 hyper has limits of its own.
const LONGEST_HEAD: u32 = 64 * 1024;

/// Connections to one host that stay open for the next request, and how long.
const KEPT: usize = 4;
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Headers that are this client's own. Who signs a request knows them from its address.
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// One exchange with a peer.
pub struct Request<'a> {
    pub method: Method,
    pub url: &'a Url,
    /// Those that are the client's own, such as `host`, are left out.
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
    /// The most that is read.
    pub max_bytes: usize,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// What a peer answered, a redirect like anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether there was more than was read. A success that was asked for by GET is whole or a failure.
    pub is_cut: bool,
}

impl Reply {
    /// The first value of a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// What is allowed beyond the rule.
#[derive(Clone, Copy, Debug, Default)]
struct Relaxed {
    http: bool,
    port: bool,
    loopback: bool,
}

impl Relaxed {
    const NOTHING: Self = Self {
        http: false,
        port: false,
        loopback: false,
    };
    const FOR_TESTS: Self = Self {
        http: true,
        port: true,
        loopback: true,
    };
}

/// Give every client of the process that names none the cryptography of this one; without it making such a client panics.
pub fn provide() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// The way to peers. It keeps connections, so there is one.
pub struct Peers {
    client: reqwest::Client,
    relaxed: Relaxed,
}

impl Peers {
    /// As the settings say; nothing is connected and no name server asked yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let address = match &config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", config.bind),
        };
        let agent = format!("made-open/{} (+{address})", env!("CARGO_PKG_VERSION"));
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        if !config.allow_private_peers {
            let names = Arc::new(Dns::default());
            return Self::with(Relaxed::NOTHING, names, roots, &agent);
        }
        tracing::warn!(event = "private_peers_allowed");
        let names = Arc::new(Told {
            names: config.test_resolve.clone(),
            others: Dns::default(),
        });
        Self::with(Relaxed::FOR_TESTS, names, roots, &agent)
    }

    fn with(
        relaxed: Relaxed,
        names: Arc<dyn Names>,
        roots: RootCertStore,
        agent: &str,
    ) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        // Whatever other crates switch on in this one: no proxy, cookie, redirect, second try or decoding of its own.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Judged::new(names, relaxed)))
            .https_only(!relaxed.http)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .user_agent(agent)
            .connect_timeout(DEADLINE)
            .pool_max_idle_per_host(KEPT)
            .pool_idle_timeout(KEPT_FOR)
            .http2_max_header_list_size(LONGEST_HEAD)
            .http2_keep_alive_interval(DEADLINE)
            .http2_keep_alive_timeout(DEADLINE)
            .build()
            .context("the HTTP client cannot be made")?;
        Ok(Self { client, relaxed })
    }

    /// Whether an address would be asked, as far as it tells by itself.
    pub fn allows(&self, url: &Url) -> Result<(), Refused> {
        target::check(url, self.relaxed)
    }

    /// Read an address that somebody else wrote: what a parser would have to mend first is none.
    pub fn read(&self, text: &str) -> Result<Url, Refused> {
        target::read(text, self.relaxed)
    }

    /// Where a redirect leads: an address of its own, or a path on the host that answered. It is asked by another `send`.
    pub fn hop(&self, from: &Url, location: &str) -> Result<Url, Refused> {
        target::hop(from, location, self.relaxed)
    }

    /// Send a request and read the answer. The status of an answer to a POST counts from the moment it is there, whatever
    /// becomes of the rest: the peer has acted on it.
    pub async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        self.allows(request.url)?;
        let end = Instant::now() + request.deadline;
        let (method, limit) = (request.method, request.max_bytes);
        let sent = self.client.execute(self.outgoing(request)?);
        let response = timeout_at(end, Box::pin(sent))
            .await
            .map_err(|_| Failure::Timeout)?
            .map_err(|error| Failure::beneath(&error))?;

        // The judged addresses are the only ones that are dialled; should that ever change, nothing comes back.
        let is_judged = |peer: std::net::SocketAddr| resolve::may_dial(peer.ip(), self.relaxed);
        if !response.remote_addr().is_some_and(is_judged) {
            return Err(Refused::BlockedAddress.into());
        }

        let is_wanted = method == Method::Get && response.status().is_success();
        received(response, is_wanted, limit, end).await
    }

    fn outgoing(&self, request: Request<'_>) -> Result<reqwest::Request, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let name: HeaderName = name.parse().map_err(|_| Refused::BadHeader)?;
            if OWN_HEADERS.contains(&name.as_str()) {
                continue;
            }
            let value = HeaderValue::from_str(&value).map_err(|_| Refused::BadHeader)?;
            headers.append(name, value);
        }
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut outgoing = reqwest::Request::new(method, request.url.clone());
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = request.body.map(reqwest::Body::from);
        Ok(outgoing)
    }
}

/// Read an answer: a wanted one as a whole or not at all, of others the beginning.
async fn received(
    mut response: reqwest::Response,
    is_wanted: bool,
    max_bytes: usize,
    end: Instant,
) -> Result<Reply, Failure> {
    let mut reply = Reply {
        status: response.status().as_u16(),
        headers: headers_of(response.headers()),
        body: Vec::new(),
        is_cut: false,
    };
    let is_encoded = response
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let limit = if is_wanted {
        max_bytes
    } else {
        max_bytes.min(SHORT_ANSWER)
    };
    let is_too_long = |length: u64| usize::try_from(length).map_or(true, |length| length > limit);
    if is_wanted && is_encoded {
        return Err(Refused::Encoded.into());
    }
    if is_wanted && response.content_length().is_some_and(is_too_long) {
        return Err(Failure::TooLarge);
    }

    reply.is_cut = is_encoded;
    while !reply.is_cut {
        let chunk = match timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) if is_wanted => return Err(Failure::beneath(&error)),
            Err(_) if is_wanted => return Err(Failure::Timeout),
            Ok(Err(_)) | Err(_) => {
                reply.is_cut = true;
                break;
            }
        };
        let room = limit - reply.body.len();
        reply.is_cut = chunk.len() > room;
        if reply.is_cut && is_wanted {
            return Err(Failure::TooLarge);
        }
        reply.body.extend(chunk.iter().take(room));
    }
    Ok(reply)
}

fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}
