//! How others find the hub and its actors: WebFinger, host-meta, NodeInfo. What an actor is stands in `actors`.

use diesel::sql_types::BigInt;
use serde_json::{Value, json};
use url::Url;

use super::actors::{self, Local};
use crate::base::Result;
use crate::db::{Statement, Tx};

/// What a resource is, for WebFinger; none when it is nobody's.
pub async fn webfinger(tx: &mut Tx, resource: &str) -> Result<Option<Value>> {
    let Some(actor) = find(tx, resource).await? else {
        return Ok(None);
    };
    if actor.is_gone() || !actor.is_shown || actor.suspended_at.is_some() {
        return Ok(None);
    }
    let domain = actors::domain(tx)?;
    let base = actors::base(tx)?;
    let page = actor.url.clone().unwrap_or_else(|| base.clone());
    let mut links = vec![
        json!({ "rel": "self", "type": "application/activity+json", "href": actor.uri }),
        json!({ "rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": page }),
    ];
    if actor.kind != "node" {
        links.push(json!({
            "rel": "http://ostatus.org/schema/1.0/subscribe",
            "template": format!("{base}/interact?uri={{uri}}"),
        }));
    }
    Ok(Some(json!({
        "subject": format!("acct:{}", actor.address(&domain)),
        "aliases": [page, actor.uri],
        "links": links,
    })))
}

/// Names end in the handles' domain or the hub's own; addresses are actors', profiles' or the hub's.
async fn find(tx: &mut Tx, resource: &str) -> Result<Option<Local>> {
    let base = actors::base(tx)?;
    let own = Url::parse(&base)
        .map(|url| actors::authority(&url))
        .unwrap_or_default();
    let domain = actors::domain(tx)?;
    if let Some(address) = resource.strip_prefix("acct:") {
        let Some((name, host)) = address.trim_start_matches('@').rsplit_once('@') else {
            return Ok(None);
        };
        let host = host.to_lowercase();
        if host != domain.to_lowercase() && host != own {
            return Ok(None);
        }
        if name.eq_ignore_ascii_case(&own) || name.eq_ignore_ascii_case(&domain) {
            return actors::node(tx).await.map(Some);
        }
        return actors::by_handle(tx, name).await;
    }
    let address = resource.trim_end_matches('/');
    if address == base {
        return actors::node(tx).await.map(Some);
    }
    match address
        .strip_prefix(&base)
        .and_then(|path| path.strip_prefix("/@"))
    {
        Some(handle) => actors::by_handle(tx, handle).await,
        None => actors::by_uri(tx, address).await,
    }
}

/// Where WebFinger is, for those who look there first.
pub fn host_meta(base: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n  \
         <Link rel=\"lrdd\" type=\"application/jrd+json\" template=\"{}/.well-known/webfinger?resource={{uri}}\"/>\n</XRD>\n",
        crate::base::text::escaped(base)
    )
}

/// The same as JSON.
pub fn host_meta_json(base: &str) -> Value {
    json!({ "links": [{
        "rel": "lrdd",
        "type": "application/jrd+json",
        "template": format!("{base}/.well-known/webfinger?resource={{uri}}"),
    }]})
}

/// Where NodeInfo is.
pub fn nodeinfo_links(base: &str) -> Value {
    let link = |version: &str| {
        json!({
            "rel": format!("http://nodeinfo.diaspora.software/ns/schema/{version}"),
            "href": format!("{base}/nodeinfo/{version}"),
        })
    };
    json!({ "links": [
        link("2.1"),
        link("2.0"),
        { "rel": "https://www.w3.org/ns/activitystreams#Application", "href": format!("{base}/ap/actor") },
    ]})
}

/// What the hub says of itself: version 2.0 or 2.1.
pub async fn nodeinfo(tx: &mut Tx, version: &str, opens: bool) -> Result<Value> {
    type Counts = (BigInt, BigInt, BigInt, BigInt);
    let counts: Vec<(i64, i64, i64, i64)> = tx
        .as_hub(async |tx| {
            tx.load(Statement::<Counts>::new(
                "select (select count(*) from public.ap_actors where kind = 'user' and deleted_at is null), \
                 (select count(distinct user_id) from hub.sessions where refreshed_at > now() - interval '180 days' and user_id is not null), \
                 (select count(distinct user_id) from hub.sessions where refreshed_at > now() - interval '30 days' and user_id is not null), \
                 (select count(*) from public.posts where owner_id is not null and visibility in ('public', 'unlisted'))",
            ))
            .await
        })
        .await?;
    let (users, half_year, month, posts) = counts.first().copied().unwrap_or_default();
    let name = actors::domain(tx)?;
    let mut software = json!({ "name": "made-open", "version": env!("CARGO_PKG_VERSION") });
    if let (true, Some(software)) = (version == "2.1", software.as_object_mut()) {
        software.insert("repository".to_owned(), json!("https://w3id.org/made-open"));
        software.insert("homepage".to_owned(), json!(actors::base(tx)?));
    }
    Ok(json!({
        "version": version,
        "software": software,
        "protocols": ["activitypub"],
        "services": { "inbound": [], "outbound": [] },
        "openRegistrations": opens,
        "usage": { "users": { "total": users, "activeHalfyear": half_year, "activeMonth": month }, "localPosts": posts },
        "metadata": { "nodeName": name, "mo:contract": "1", "federation": { "enabled": true } },
    }))
}
