//! Two kinds of values that settings hold: how often something may happen, and which addresses belong to a network.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// So many times in so many seconds, written like `600/min`, `10/5min`, `5/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub seconds: u32,
}

/// A network: an address and how many of its bits count, written like `10.0.0.0/8` or `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: u128,
    bits: u32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a rate like 600/min, 10/5min or 5/h, found {text:?}");
        let (count, period) = text.trim().split_once('/').ok_or_else(wrong)?;
        let digits = period.bytes().take_while(u8::is_ascii_digit).count();
        let (many, unit) = period.split_at(digits);
        let many: u32 = if many.is_empty() {
            1
        } else {
            many.parse().map_err(|_| wrong())?
        };
        let unit = match unit {
            "s" => 1,
            "min" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        let rate = Self {
            count: count.parse().map_err(|_| wrong())?,
            seconds: many.checked_mul(unit).ok_or_else(wrong)?,
        };
        if rate.count == 0 || rate.seconds == 0 {
            return Err(wrong());
        }
        Ok(rate)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (many, unit) = match self.seconds {
            seconds if seconds % 86_400 == 0 => (seconds / 86_400, "d"),
            seconds if seconds % 3_600 == 0 => (seconds / 3_600, "h"),
            seconds if seconds % 60 == 0 => (seconds / 60, "min"),
            seconds => (seconds, "s"),
        };
        match many {
            1 => write!(f, "{}/{unit}", self.count),
            many => write!(f, "{}/{many}{unit}", self.count),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Network {
    /// Whether an address lies in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = wide(address);
        let rest = 128 - self.bits;
        rest >= 128 || (address >> rest) == (self.base >> rest)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected an address or a network like 10.0.0.0/8, found {text:?}");
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let own = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => own,
        };
        if bits > own {
            return Err(wrong());
        }
        Ok(Self {
            base: wide(address),
            bits: bits + 128 - own,
        })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Both kinds of addresses as one: an IPv4 address as the IPv6 address that stands for it.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_ipv6_mapped()),
        IpAddr::V6(six) => u128::from(six),
    }
}

/// The network that counts as one peer: an IPv4 address, or the /64 of an IPv6 address.
pub fn of_one_peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let front = u128::from(six) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(front))
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_said_the_same_way() {
        for text in ["600/min", "10/5min", "5/h", "2/d", "30/10s", "6000/min"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        let rate: Rate = "10/5min".parse().unwrap();
        assert_eq!((rate.count, rate.seconds), (10, 300));
        for text in [
            "",
            "10",
            "0/min",
            "10/0min",
            "-1/h",
            "10/year",
            "1/99999999d",
            "x/h",
            "1//h",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.holds(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.9.8.7"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        for text in ["", "10.0.0.0/33", "::/129", "proxy", "10.0.0/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_64_is_one_peer() {
        let peer = |text: &str| of_one_peer(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:1.2.3.4"), peer("1.2.3.4"));
    }
}
