//! What an address must look like before anybody is asked about it. A text is judged as it was written, too: parsers
//! mend much, and what one mends another reads as something else.

use url::{Host, Url};

use super::Relaxed;
use super::refusal::Refused;

/// The longest address that is asked.
const LONGEST: usize = 2048;

/// The longest name of a host (RFC 1035).
const LONGEST_HOST: usize = 253;

/// The longest part of a name.
const LONGEST_LABEL: usize = 63;

/// Last parts of names that the public internet does not have (RFC 6761, 6762, 7686, 8375, 9476).
const INSIDE: &[&str] = &[
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "onion",
    "invalid",
    "alt",
];

/// Whether this may be asked, as far as the address alone tells.
pub(super) fn check(url: &Url, relaxed: Relaxed) -> Result<(), Refused> {
    let is_spoken = match url.scheme() {
        "https" => true,
        "http" => relaxed.http,
        _ => false,
    };
    if !is_spoken {
        return Err(Refused::BadScheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Userinfo);
    }
    if url.as_str().len() > LONGEST {
        return Err(Refused::BadUrl);
    }
    match url.host() {
        Some(Host::Domain(name)) => name_is_public(name, relaxed)?,
        Some(Host::Ipv4(address)) if relaxed.loopback && address.is_loopback() => {}
        Some(Host::Ipv6(address)) if relaxed.loopback && address.is_loopback() => {}
        Some(_) => return Err(Refused::IpLiteral),
        None => return Err(Refused::BadUrl),
    }
    if url.port().is_some() && !relaxed.port {
        return Err(Refused::BadPort);
    }
    Ok(())
}

fn name_is_public(name: &str, relaxed: Relaxed) -> Result<(), Refused> {
    if relaxed.loopback && name == "localhost" {
        return Ok(());
    }
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    // An end without a name is a dot at the end, by which a blocked host would have a second one.
    let is_name = name.len() <= LONGEST_HOST && name.contains('.') && name.split('.').all(is_label);
    let is_inside = INSIDE.iter().any(|end| {
        name.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    if is_name && !is_inside {
        Ok(())
    } else {
        Err(Refused::BadHost)
    }
}

/// Where a redirect leads: an address, or a path on the same host.
pub(super) fn hop(from: &Url, location: &str, relaxed: Relaxed) -> Result<Url, Refused> {
    if !location.starts_with('/') {
        return read(location, relaxed);
    }
    if location.starts_with("//") || !is_clean(location) {
        return Err(Refused::BadUrl);
    }
    let url = from.join(location).map_err(|_| Refused::BadUrl)?;
    check(&url, relaxed)?;
    Ok(url)
}

/// Whether a text holds nothing that a parser would drop or turn into something else.
fn is_clean(text: &str) -> bool {
    let is_clean = |c: char| !c.is_control() && !c.is_whitespace() && c != '\\';
    text.len() <= LONGEST && text.chars().all(is_clean)
}

/// Read an address that somebody else wrote. Only what needs no mending is one.
pub(super) fn read(text: &str, relaxed: Relaxed) -> Result<Url, Refused> {
    if !is_clean(text) {
        return Err(Refused::BadUrl);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let scheme = text.split(':').next().unwrap_or_default();
        return Err(match scheme {
            "http" | "https" => Refused::BadUrl,
            _ if text.contains(':') => Refused::BadScheme,
            _ => Refused::BadUrl,
        });
    };
    if !["http", "https"].contains(&scheme) {
        return Err(Refused::BadScheme);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    if authority.contains('@') {
        return Err(Refused::Userinfo);
    }
    // Where a name would run straight into a query or fragment, readers disagree about its end.
    if authority.is_empty() || !(behind.is_empty() || behind.starts_with('/')) {
        return Err(Refused::BadUrl);
    }
    let url = Url::parse(text).map_err(|_| Refused::BadHost)?;
    check(&url, relaxed)?;

    let host = url.host_str().ok_or(Refused::BadUrl)?;
    let written = authority.to_ascii_lowercase();
    let Some(port) = written.strip_prefix(host) else {
        return Err(Refused::BadHost);
    };
    if !port.is_empty() && !relaxed.port {
        return Err(Refused::BadPort);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Relaxed = Relaxed::NOTHING;

    #[test]
    fn what_peers_really_have_is_read_as_it_is() {
        for text in [
            "https://masto.example/users/a",
            "https://coop.example",
            "https://a-b.c_d.coop.example/ap/x?y=z&a=%40b#main-key",
            "https://xn--bcher-kva.example/@a",
            "https://1.example/",
            "https://coop.example/a@b",
        ] {
            let url = read(text, STRICT).unwrap();
            assert_eq!(
                url.as_str().trim_end_matches('/'),
                text.trim_end_matches('/')
            );
        }
        assert_eq!(
            read("https://COOP.example/A", STRICT).unwrap().as_str(),
            "https://coop.example/A"
        );
    }

    #[test]
    fn s_66_numbers_are_no_names_in_any_notation() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0x7f000001",
            "127.1",
            "1.1.1.1",
            "8.8.8.8.",
            "017700000001",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[2606:4700::1111]",
            "[64:ff9b::7f00:1]",
            "①②⑦.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "0",
        ] {
            for scheme in ["http", "https"] {
                let text = format!("{scheme}://{host}/");
                let read = read(
                    &text,
                    Relaxed {
                        http: true,
                        ..STRICT
                    },
                );
                assert_eq!(read, Err(Refused::IpLiteral), "{text}");
                // Whoever has parsed it already gets no further.
                let url = Url::parse(&text).unwrap();
                assert!(check(&url, STRICT).is_err(), "{text}");
            }
        }
        for host in [
            "256.1.1.1",
            "1.2.3.4.5",
            "0x7g.1",
            "[::1",
            "[fe80::1%25eth0]",
            "1.2.3.08",
        ] {
            let text = format!("https://{host}/");
            assert_eq!(read(&text, STRICT), Err(Refused::BadHost), "{text}");
        }
    }

    #[test]
    fn s_68_only_https_without_a_port_is_asked() {
        for (text, refused) in [
            ("http://coop.example/", Refused::BadScheme),
            ("file:///etc/passwd", Refused::BadScheme),
            ("data:text/plain,x", Refused::BadScheme),
            ("gopher://coop.example/", Refused::BadScheme),
            ("ftp://coop.example/", Refused::BadScheme),
            ("javascript:alert(1)", Refused::BadScheme),
            ("https://coop.example:8443/", Refused::BadPort),
            ("https://coop.example:443/", Refused::BadPort),
            ("https://coop.example:/", Refused::BadPort),
            ("https://coop.example:0/", Refused::BadPort),
            ("https://coop.example:99999/", Refused::BadHost),
            ("//coop.example/", Refused::BadUrl),
            ("/users/a", Refused::BadUrl),
            ("", Refused::BadUrl),
        ] {
            assert_eq!(read(text, STRICT), Err(refused), "{text}");
            if let Ok(url) = Url::parse(text)
                && !text.contains("e:443")
                && !text.contains("e:/")
            {
                assert_eq!(check(&url, STRICT), Err(refused), "{text}");
            }
        }
    }

    #[test]
    fn s_68_a_hop_is_as_good_as_a_first_address() {
        let from = Url::parse("https://coop.example/users/a?b=c").unwrap();
        for (location, url) in [
            ("/users/b", "https://coop.example/users/b"),
            ("/", "https://coop.example/"),
            ("/a/../b", "https://coop.example/b"),
            ("/@evil.example", "https://coop.example/@evil.example"),
            ("https://other.example/x", "https://other.example/x"),
        ] {
            assert_eq!(hop(&from, location, STRICT).unwrap().as_str(), url);
        }
        for (location, refused) in [
            ("//evil.example/", Refused::BadUrl),
            ("/\\evil.example/", Refused::BadUrl),
            ("/\t/evil.example/", Refused::BadUrl),
            ("/a b", Refused::BadUrl),
            ("", Refused::BadUrl),
            ("b", Refused::BadUrl),
            ("http://coop.example/users/a", Refused::BadScheme),
            ("https://coop.example:8443/", Refused::BadPort),
            ("file:///etc/passwd", Refused::BadScheme),
            ("https://127.0.0.1/", Refused::IpLiteral),
        ] {
            assert_eq!(hop(&from, location, STRICT), Err(refused), "{location:?}");
        }
    }

    #[test]
    fn names_without_a_place_on_the_internet_are_refused() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = format!("{}example", "a.".repeat(130));
        for host in [
            "localhost",
            "a.localhost",
            "hub",
            "printer.local",
            "metadata.google.internal",
            "nas.lan",
            "router.home.arpa",
            "x.onion",
            "x.invalid",
            "coop.example.",
            "coop..example",
            ".coop.example",
            "co%6fp.example",
            "bücher.example",
            "ｃoop.example",
            "coop.example,evil.example",
            "coop!.example",
            "coop*.example",
            &long,
            &longer,
        ] {
            let text = format!("https://{host}/");
            assert_eq!(read(&text, STRICT), Err(Refused::BadHost), "{text}");
        }
        assert!(read("https://notlocal.example/", STRICT).is_ok());
        assert!(read("https://mylocalhost.example/", STRICT).is_ok());
    }

    #[test]
    fn s_76_tricks_of_readers_are_refused() {
        for (text, refused) in [
            ("https://good.example@evil.example/", Refused::Userinfo),
            ("https://good.example:x@evil.example/", Refused::Userinfo),
            ("https://@evil.example/", Refused::Userinfo),
            ("https://:@evil.example/", Refused::Userinfo),
            ("https://good.example\r\n.evil.example/", Refused::BadUrl),
            (
                "https://good.example/\r\nHost: evil.example",
                Refused::BadUrl,
            ),
            ("https://good.example/a\tb", Refused::BadUrl),
            ("https://good.exa\tmple/", Refused::BadUrl),
            ("https://good.example\\@evil.example/", Refused::BadUrl),
            ("https:\\\\good.example/", Refused::BadUrl),
            ("https://good.example/a\\..\\b", Refused::BadUrl),
            (" https://good.example/", Refused::BadUrl),
            ("https://good.example/ ", Refused::BadUrl),
            ("https://good.example/\u{a0}", Refused::BadUrl),
            ("https://good.example/\0", Refused::BadUrl),
            ("https://good.example#@evil.example/", Refused::BadUrl),
            ("https://good.example#.evil.example/", Refused::BadUrl),
            ("https://good.example?@evil.example/", Refused::BadUrl),
            ("https:good.example/", Refused::BadUrl),
            ("https:/good.example/", Refused::BadUrl),
            ("https:///good.example/", Refused::BadUrl),
            ("HTTPS://good.example/", Refused::BadScheme),
            ("https://good.example%2f@evil.example/", Refused::Userinfo),
            ("https://good.example%23.evil.example/", Refused::BadHost),
            ("https://good.example%00.evil.example/", Refused::BadHost),
            ("https://good\u{ad}.example/", Refused::BadHost),
            ("https://good.example／evil/", Refused::BadHost),
        ] {
            assert_eq!(read(text, STRICT), Err(refused), "{text:?}");
        }
        let long = format!("https://good.example/{}", "a".repeat(LONGEST));
        assert_eq!(read(&long, STRICT), Err(Refused::BadUrl));
        let parsed = Url::parse("https://good.example@evil.example/").unwrap();
        assert_eq!(check(&parsed, STRICT), Err(Refused::Userinfo));
        assert_eq!(
            check(&Url::parse(&long).unwrap(), STRICT),
            Err(Refused::BadUrl)
        );
    }

    #[test]
    fn tests_get_three_things_and_nothing_else() {
        let relaxed = Relaxed::FOR_TESTS;
        for text in [
            "http://coop.example/",
            "https://coop.example:8443/",
            "http://localhost:3000/ap/x",
            "http://127.0.0.1:3000/",
            "http://[::1]:3000/",
            "http://a.hub.test:3000/",
        ] {
            assert!(read(text, relaxed).is_ok(), "{text}");
        }
        for (text, refused) in [
            ("ftp://coop.example/", Refused::BadScheme),
            ("http://me@localhost:3000/", Refused::Userinfo),
            ("http://10.0.0.1/", Refused::IpLiteral),
            ("http://169.254.169.254/", Refused::IpLiteral),
            ("http://[::ffff:127.0.0.1]/", Refused::IpLiteral),
            ("http://0.0.0.0:3000/", Refused::IpLiteral),
            ("http://8.8.8.8/", Refused::IpLiteral),
            ("http://hub/", Refused::BadHost),
            ("http://printer.local/", Refused::BadHost),
        ] {
            assert_eq!(read(text, relaxed), Err(refused), "{text}");
        }
    }
}
