//! From a name to the addresses that are dialled: looked up once, all of them judged, and no other ones used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverOpts};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Relaxed;
use super::addresses::is_public;
use super::refusal::{Failure, Refused};

/// The most addresses of one kind that are tried for one name.
const MOST: usize = 4;

/// How long one question to one name server may take, of which there are two.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer is believed at most, whatever it says itself.
const BELIEVED: Duration = Duration::from_secs(300);

/// From what age on a resolver that can't reach anybody is made anew: the machine may have moved.
const WORN: Duration = Duration::from_secs(30);

/// An answer on its way.
pub(super) type LookingUp<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Failure>> + Send + 'a>>;

/// Who knows the addresses of names.
pub(super) trait Names: Send + Sync + 'static {
    /// All addresses of a host, judged by nobody.
    fn look_up<'a>(&'a self, host: &'a str) -> LookingUp<'a>;
}

/// What stands between the client and whoever knows the addresses.
pub(super) struct Judged {
    names: Arc<dyn Names>,
    relaxed: Relaxed,
}

impl Judged {
    pub(super) fn new(names: Arc<dyn Names>, relaxed: Relaxed) -> Self {
        Self { names, relaxed }
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, relaxed) = (Arc::clone(&self.names), self.relaxed);
        Box::pin(async move {
            let addresses = judge(names.look_up(name.as_str()).await?, relaxed)?;
            let addresses = addresses.into_iter().map(|one| SocketAddr::new(one, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Whether this address may be dialled.
pub(super) fn may_dial(address: IpAddr, relaxed: Relaxed) -> bool {
    is_public(address) || (relaxed.loopback && address.is_loopback())
}

/// A single address that is not allowed refuses the whole answer: whoever mixes them means us no good.
fn judge(addresses: Vec<IpAddr>, relaxed: Relaxed) -> Result<Vec<IpAddr>, Failure> {
    if addresses.is_empty() {
        return Err(Failure::Resolve { is_nxdomain: false });
    }
    if !addresses.iter().all(|one| may_dial(*one, relaxed)) {
        return Err(Refused::BlockedAddress.into());
    }
    let (old, new): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    Ok(old
        .into_iter()
        .take(MOST)
        .chain(new.into_iter().take(MOST))
        .collect())
}

/// The name servers of this machine.
#[derive(Default)]
pub(super) struct Dns(Mutex<Option<(Instant, Arc<TokioResolver>)>>);

impl Dns {
    /// Made when it is needed first: a machine without a network still has a hub.
    fn resolver(&self) -> Result<Arc<TokioResolver>, Failure> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, resolver)) = &*kept {
            return Ok(Arc::clone(resolver));
        }
        let unusable = |error| {
            tracing::error!(event = "no_name_servers", cause = %error);
            Failure::Resolve { is_nxdomain: false }
        };
        let mut builder = TokioResolver::builder_tokio().map_err(unusable)?;
        arrange(builder.options_mut());
        let resolver = Arc::new(builder.build().map_err(unusable)?);
        *kept = Some((Instant::now(), Arc::clone(&resolver)));
        Ok(resolver)
    }

    fn forget_if_worn(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|(made, _)| made.elapsed() > WORN) {
            *kept = None;
        }
    }
}

fn arrange(options: &mut ResolverOpts) {
    // Both kinds, so that both are judged.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = PATIENCE;
    options.positive_max_ttl = Some(BELIEVED);
    options.negative_max_ttl = Some(BELIEVED);
}

#[cfg(test)]
impl Dns {
    /// A name server of a test.
    pub(super) fn at(server: SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        use hickory_resolver::net::runtime::TokioRuntimeProvider;

        let mut wire = ConnectionConfig::udp();
        wire.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![wire]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        arrange(builder.options_mut());
        let resolver = Arc::new(builder.build().unwrap());
        Self(Mutex::new(Some((Instant::now(), resolver))))
    }
}

impl Names for Dns {
    fn look_up<'a>(&'a self, host: &'a str) -> LookingUp<'a> {
        Box::pin(async move {
            // With a dot at the end no search list of this machine makes another name of it.
            match self.resolver()?.lookup_ip(format!("{host}.")).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(error) => {
                    if !error.is_no_records_found() {
                        self.forget_if_worn();
                    }
                    let is_nxdomain = error.is_nx_domain();
                    Err(Failure::Resolve { is_nxdomain })
                }
            }
        })
    }
}

/// Names that a test has given out, then those of this machine.
pub(super) struct Told {
    pub(super) names: Vec<(String, IpAddr)>,
    pub(super) others: Dns,
}

impl Names for Told {
    fn look_up<'a>(&'a self, host: &'a str) -> LookingUp<'a> {
        let told: Vec<IpAddr> = self
            .names
            .iter()
            .filter(|(name, _)| name == host)
            .map(|(_, address)| *address)
            .collect();
        if !told.is_empty() {
            return Box::pin(std::future::ready(Ok(told)));
        }
        if host == "localhost" {
            let here = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Box::pin(std::future::ready(Ok(here)));
        }
        self.others.look_up(host)
    }
}
