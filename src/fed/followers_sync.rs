//! Who of this hub follows an actor, compared with what the actor's server believes (FEP-8fcf, receiving): a digest comes with
//! what is sent to followers; where it is another than ours, the list is asked for. What follows from it is the domain's.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::remote::fetch::{self, Wanted};
use super::remote::{FETCHES, Unreached};
use super::{policy, trust, vocab};
use crate::net::http::Budget;
use crate::node::Node;

/// No list has more pages that are read, and no more items (S-81).
const PAGES: usize = 10;
const ITEMS: usize = 1000;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The followers' collection that it is about.
    pub collection: String,
    /// Where the part of it that lives here is listed.
    pub url: String,
    /// Of that part, in lower case.
    pub digest: String,
}

/// Read `Collection-Synchronization`. None for what it should not be; it is only a hint.
pub fn read(header: &str) -> Option<Told> {
    let mut told = Told {
        collection: String::new(),
        url: String::new(),
        digest: String::new(),
    };
    for part in header.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        match name.trim() {
            "collectionId" => value.clone_into(&mut told.collection),
            "url" => value.clone_into(&mut told.url),
            "digest" => told.digest = value.to_ascii_lowercase(),
            _ => {}
        }
    }
    let is_digest = told.digest.len() == 64 && told.digest.bytes().all(|b| b.is_ascii_hexdigit());
    // Whoever answers for the collection answers for its list.
    let is_one_server = trust::same_origin(&told.collection, &told.url);
    (is_digest && is_one_server).then_some(told)
}

/// The digest of a set of ids: the SHA-256 of each, all put together by exclusive or.
pub fn digest_of<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut whole = [0_u8; 32];
    for id in ids {
        for (byte, other) in whole
            .iter_mut()
            .zip(digest(&SHA256, id.as_bytes()).as_ref())
        {
            *byte ^= other;
        }
    }
    whole.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The list: which of this hub's actors the other server counts as followers. Asked for by the hub's own actor.
pub async fn listed(node: &Node, url: &str) -> Result<BTreeSet<String>, Unreached> {
    let signer = fetch::signer(node, None).await;
    let budget = Budget::new(FETCHES);
    let mut ids = BTreeSet::new();
    let mut at = Some(url.to_owned());
    for _ in 0..PAGES {
        let Some(here) = at.take() else {
            return Ok(ids);
        };
        let fetched =
            fetch::document(node, &here, Wanted::Activity, signer.as_deref(), &budget).await?;
        if !trust::same_origin(fetched.url.as_str(), url) {
            return Err(Unreached::Refused("list_elsewhere"));
        }
        let page = fetched.document.value();
        let is_list = vocab::kind(page).is_some_and(|kind| {
            matches!(
                kind,
                "Collection" | "OrderedCollection" | "CollectionPage" | "OrderedCollectionPage"
            )
        });
        if !is_list {
            return Err(Unreached::Refused("not_a_list"));
        }
        for name in ["items", "orderedItems"] {
            let items = page.get(name).unwrap_or(&Value::Null);
            ids.extend(vocab::ids(items).into_iter().map(str::to_owned));
        }
        if ids.len() > ITEMS {
            return Err(Unreached::Refused("list_too_long"));
        }
        at = ["first", "next"]
            .into_iter()
            .find_map(|name| page.get(name))
            .and_then(vocab::id)
            .filter(|next| trust::same_origin(next, url))
            .map(str::to_owned);
    }
    // A list that does not end says nothing about who is missing in it.
    Err(Unreached::Refused("list_too_long"))
}

/// Of the ids in a list those of this hub.
pub fn ours(node: &Node, ids: BTreeSet<String>) -> BTreeSet<String> {
    ids.into_iter()
        .filter(|id| policy::is_ours(node, id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_the_proposal_is_reproduced() {
        // From the text of FEP-8fcf.
        let ids = [
            "https://testing.example.org/users/1",
            "https://testing.example.org/users/2",
        ];
        let whole = digest_of(ids);
        assert_eq!(
            whole,
            "c33f48cd341ef046a206b8a72ec97af65079f9a3a9b90eef79c5920dce45c61f"
        );
        assert_eq!(digest_of([ids[1], ids[0]]), whole);
        assert_eq!(digest_of([]), "0".repeat(64));
        // What is in it twice is not in it.
        assert_eq!(digest_of([ids[0], ids[1], ids[0]]), digest_of([ids[1]]));
    }

    #[test]
    fn only_what_one_server_says_of_its_own_is_a_hint() {
        let zero = "0".repeat(64);
        let good = format!(
            r#"collectionId="https://a.example/u/1/followers", url="https://a.example/u/1/followers_synchronization", digest="{zero}""#
        );
        let told = read(&good).unwrap();
        assert_eq!(told.url, "https://a.example/u/1/followers_synchronization");
        for bad in [
            good.replace(
                "https://a.example/u/1/followers_",
                "https://b.example/u/1/followers_",
            ),
            good.replace(&zero, "xyz"),
            good.replace("digest", "digset"),
            "collectionId".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
