//! Where a mailed link may lead back to: the hub itself, or an address of an app that the operator listed. Everything
//! else becomes the hub's own address, so that no link of ours brings people to a stranger.

use url::Url;

use crate::base::{Error, Result};
use crate::node::Node;

/// The longest address that is kept in a link.
const LONGEST: usize = 2000;

/// Where to go back to, when this was asked for.
pub fn allowed(node: &Node, asked: Option<&str>) -> Result<Url> {
    let own = own(node)?;
    Ok(asked
        .filter(|asked| asked.len() <= LONGEST)
        .and_then(|asked| Url::parse(asked).ok())
        .filter(|asked| {
            std::iter::once(&own)
                .chain(&node.config.redirect_urls)
                .any(|listed| is_of(asked, listed))
        })
        .unwrap_or(own))
}

/// The hub's own address.
pub fn own(node: &Node) -> Result<Url> {
    node.db
        .hub()
        .public_url()
        .or(node.config.public_url.as_ref())
        .cloned()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the hub does not know its address")))
}

/// Same scheme, host and port, and nobody's name in front of the host.
fn is_of(asked: &Url, listed: &Url) -> bool {
    asked.scheme() == listed.scheme()
        && asked.host_str() == listed.host_str()
        && asked.port_or_known_default() == listed.port_or_known_default()
        && asked.username().is_empty()
        && asked.password().is_none()
        && asked.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_origin_counts_and_all_of_it() {
        let listed = Url::parse("https://app.example/").unwrap();
        let mobile = Url::parse("garden://open").unwrap();
        for fine in [
            "https://app.example",
            "https://app.example:443/a?b=c#d",
            "https://APP.example/..//x",
        ] {
            assert!(is_of(&Url::parse(fine).unwrap(), &listed), "{fine}");
        }
        assert!(is_of(&Url::parse("garden://open/here").unwrap(), &mobile));
        for wrong in [
            "http://app.example/",
            "https://app.example:8443/",
            "https://app.example.evil.example/",
            "https://evil.example/https://app.example/",
            "https://app.example@evil.example/",
            "https://me:secret@app.example/",
            "https://evil.example\\@app.example/",
            "https://sub.app.example/",
            "javascript://app.example/%0aalert(1)",
            "data:text/html,app.example",
        ] {
            let wrong = Url::parse(wrong).unwrap();
            assert!(!is_of(&wrong, &listed), "{wrong}");
            assert!(!is_of(&wrong, &mobile), "{wrong}");
        }
    }
}
