//! Which addresses a peer may have: those of the public internet, and none that lead back inside.
//! Pure lists (RFC 6890 and IANA's registries of special addresses); who looks names up is beside this file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// Nobody's server on the public internet is in one of these.
const CLOSED_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // shared behind a provider's NAT
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // a cloud's own door to its machines
    v4(169, 254, 0, 0, 16),   // link-local, where clouds keep metadata
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 31, 196, 0, 24),  // AS112
    v4(192, 52, 193, 0, 24),  // multicast relays
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(192, 175, 48, 0, 24),  // AS112
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, broadcast
];

/// All that IPv6 has given out for the internet. What carries an IPv4 address inside (mapped, compatible, NAT64), local
/// and multicast addresses lie outside of it.
const GIVEN_OUT_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Parts of it that are no servers' either.
const CLOSED_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 0, 23),         // protocol assignments: Teredo, benchmarks, ORCHID
    v6(0x2001, 0xdb8, 0, 32),     // documentation
    v6(0x2002, 0, 0, 16),         // 6to4
    v6(0x2620, 0x4f, 0x8000, 48), // AS112
    v6(0x3ffe, 0, 0, 16),         // an experiment that is over
    v6(0x3fff, 0, 0, 20),         // documentation
];

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GIVEN_OUT_V6.contains(&address)
                && !CLOSED_V6.iter().any(|net| net.contains(&address))
                && !is_isatap(address)
        }
    }
}

/// Whether the lower half wraps an IPv4 address for a tunnel (RFC 5214).
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn are(addresses: &str, public: bool) {
        for address in addresses.split_whitespace() {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn s_63_private_addresses_are_closed() {
        are(
            "127.0.0.1 127.0.0.0 127.255.255.255 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 \
             192.168.255.255 169.254.0.0 169.254.169.254 169.254.255.255 ::1 fc00:: fd00:ec2::254 \
             fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80:: fe80::1 febf:ffff::1",
            false,
        );
    }

    #[test]
    fn s_64_reserved_v4_addresses_are_closed() {
        are(
            "0.0.0.0 0.1.2.3 0.255.255.255 255.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 192.0.0.0 \
             192.0.0.8 192.0.0.192 192.0.0.255 198.18.0.0 198.19.255.255 240.0.0.0 254.1.2.3 224.0.0.0 224.0.0.251 \
             239.255.255.255 192.0.2.1 198.51.100.1 203.0.113.1 168.63.129.16 192.88.99.1",
            false,
        );
    }

    #[test]
    fn s_65_only_what_ipv6_has_given_out_is_open() {
        are(
            ":: ::1 ::7f00:1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 \
             64:ff9b:1:: 64:ff9b:1:a00::1 100::1 100:0:0:1::1 2001:: 2001:0:7f00:1::1 2001:2::1 2001:10::1 2001:20::1 \
             2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 \
             fec0:: feff::1 ff02::1 ff0e::1 1fff:ffff::1 2a01:4f8::5efe:7f00:1 2a01:4f8::200:5efe:10.0.0.1",
            false,
        );
    }

    #[test]
    fn their_neighbours_are_public() {
        are(
            "1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 \
             169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 \
             198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15 2000::1 2001:200::1 2001:db7:ffff::1 2001:db9::1 \
             2001:4860:4860::8888 2003::1 2606:4700::1111 2a01:4f8::1 3ffd::1 3fff:1000::1",
            true,
        );
    }
}
