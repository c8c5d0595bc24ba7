//! Why nothing was sent, and why what was sent got no answer: words that logs, jobs and tests share.

use std::error::Error;

/// What is not even tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the name leads to an address that is not on the public internet")]
    BlockedAddress,
    #[error("this is no address the hub would ask")]
    BadUrl,
    #[error("only https is spoken")]
    BadScheme,
    #[error("a port may not be named")]
    BadPort,
    #[error("a user may not be named")]
    Userinfo,
    #[error("a peer has a name, not a number")]
    IpLiteral,
    #[error("this is no name on the public internet")]
    BadHost,
    #[error("a header cannot be sent")]
    BadHeader,
    #[error("the answer is compressed, which nobody asked for")]
    Encoded,
}

impl Refused {
    /// The word for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BlockedAddress => "blocked_address",
            Self::BadUrl => "bad_url",
            Self::BadScheme => "bad_scheme",
            Self::BadPort => "bad_port",
            Self::Userinfo => "userinfo",
            Self::IpLiteral => "ip_literal",
            Self::BadHost => "bad_host",
            Self::BadHeader => "bad_header",
            Self::Encoded => "encoded",
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the name has no address")]
    Resolve { is_nxdomain: bool },
    #[error("no connection")]
    Connect,
    #[error("no trust in the certificate, or no TLS at all")]
    Tls,
    #[error("no answer in time")]
    Timeout,
    #[error("the exchange broke off: {0}")]
    Broken(String),
    #[error("the answer is too long")]
    TooLarge,
}

impl Failure {
    /// The word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.reason(),
            Self::Resolve { is_nxdomain: true } => "no_such_host",
            Self::Resolve { is_nxdomain: false } => "unresolved",
            Self::Connect => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether another try would end the same. Where a name leads may change: a resolver that lies for an hour must not
    /// cost what waits for a peer.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Refused(refused) => *refused != Refused::BlockedAddress,
            Self::TooLarge => true,
            Self::Resolve { .. } | Self::Connect | Self::Tls | Self::Timeout | Self::Broken(_) => {
                false
            }
        }
    }

    /// What lies beneath an error of the client. Nothing of it is shown but its innermost cause: the rest repeats the
    /// address.
    pub(super) fn beneath(error: &reqwest::Error) -> Self {
        let mut innermost = String::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return ours.clone();
            }
            if error.is::<rustls::Error>() {
                return Self::Tls;
            }
            innermost = error.to_string();
            // What is wrapped into an error of input and output is not among its sources.
            let wrapped = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            innermost.truncate(innermost.floor_char_boundary(200));
            Self::Broken(innermost)
        }
    }
}
