//! Who stands at the other end: the address that counts, and the id of his request. What a proxy says is believed only
//! where the settings name that proxy.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpRequest, web};

use crate::base::config::Network;
use crate::node::Node;

/// The name of a request, in its answer and in every log line about it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const FORWARDED_FOR: &str = "x-forwarded-for";

/// No id of a proxy is longer.
const LONGEST_ID: usize = 128;

/// The address of whoever asks.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    let trusted = request
        .app_data::<web::Data<Node>>()
        .map_or(&[][..], |node| &node.config.trusted_proxies);
    address_among(request.peer_addr(), request.headers(), trusted)
}

/// From the right, the first address that is no proxy of ours; what stands left of it anybody may have written.
pub fn address_among(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<IpAddr> {
    let mut found = peer?.ip().to_canonical();
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    if !is_ours(found) {
        return Some(found);
    }
    let said: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in said.into_iter().rev() {
        let Some(address) = read(hop.trim()) else {
            break;
        };
        found = address;
        if !is_ours(address) {
            break;
        }
    }
    Some(found)
}

/// An address, with or without a port.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .parse()
        .ok()
        .or_else(|| hop.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    bare.map(|address: IpAddr| address.to_canonical())
}

/// Whether the request says that it came by way of somebody else.
pub fn was_forwarded(headers: &HeaderMap) -> bool {
    [
        FORWARDED_FOR,
        "forwarded",
        "x-real-ip",
        "x-forwarded-host",
        "via",
    ]
    .iter()
    .any(|name| headers.contains_key(*name))
}

/// The id that a proxy of ours gave the request, else a new one.
pub fn request_id(request: &HttpRequest) -> String {
    let is_ours = |address: IpAddr| {
        request
            .app_data::<web::Data<Node>>()
            .is_some_and(|node| node.config.trusted_proxies.iter().any(|n| n.holds(address)))
    };
    request
        .peer_addr()
        .filter(|peer| is_ours(peer.ip()))
        .and_then(|_| request.headers().get(REQUEST_ID)?.to_str().ok())
        .filter(|id| is_id(id))
        .map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, said: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(
                HeaderName::from_static(FORWARDED_FOR),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let peer: SocketAddr = peer.parse().unwrap();
        address_among(Some(peer), &headers, &trusted)
            .unwrap()
            .to_string()
    }

    #[test]
    fn only_a_proxy_of_ours_says_who_asks() {
        let ours = &["10.0.0.0/8", "::1"];
        assert_eq!(seen("1.2.3.4:5", &["6.6.6.6"], ours), "1.2.3.4");
        assert_eq!(seen("10.0.0.1:5", &[], ours), "10.0.0.1");
        assert_eq!(seen("10.0.0.1:5", &["6.6.6.6"], ours), "6.6.6.6");
        // What the asker wrote himself stands left of what the proxy added.
        assert_eq!(seen("10.0.0.1:5", &["9.9.9.9, 6.6.6.6"], ours), "6.6.6.6");
        assert_eq!(seen("10.0.0.1:5", &["9.9.9.9", "6.6.6.6"], ours), "6.6.6.6");
        assert_eq!(seen("10.0.0.1:5", &["6.6.6.6, 10.0.0.2"], ours), "6.6.6.6");
        assert_eq!(seen("10.0.0.1:5", &["6.6.6.6, nonsense"], ours), "10.0.0.1");
        assert_eq!(seen("[::1]:5", &["[2001:db8::1]:80"], ours), "2001:db8::1");
        assert_eq!(
            seen("[::ffff:10.0.0.1]:5", &["6.6.6.6:99"], ours),
            "6.6.6.6"
        );
    }

    #[test]
    fn an_id_is_short_and_plain() {
        assert!(is_id("018f-abc_1.2"));
        for text in ["", "a b", "a\"b", "é", "a;b", &"x".repeat(129)] {
            assert!(!is_id(text), "{text}");
        }
    }
}
