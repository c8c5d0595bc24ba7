//! Who may quote an own post: everybody what is public, and nobody the rest. A permit stands at an address of its own, where
//! servers look before they show a quote (R18).

use diesel::sql_types::{Jsonb, Nullable, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Post, show};
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::domains::social::blocks;
use crate::domains::social::wire::private;
use crate::fed::actors::{self, Local};
use crate::fed::{outbox, vocab};
use crate::node::incoming::{Applied, Incoming, Shown};

/// Somebody asks to quote a post of ours.
pub async fn on_quote_asked(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    let Some(uri) = heard
        .object_uri
        .clone()
        .or_else(|| vocab::id(&heard.object).map(str::to_owned))
    else {
        return Ok(Applied::Ignored("no_object"));
    };
    let Some(quote) = heard
        .activity
        .get("instrument")
        .and_then(vocab::id)
        .filter(|uri| uri.len() <= 2_000)
    else {
        return Ok(Applied::Refused("no_instrument"));
    };
    let found = tx.as_hub(async |tx| super::seen(tx, &uri).await).await?;
    let Some((post, owner)) = found.and_then(|post| post.owner_id.map(|owner| (post, owner)))
    else {
        return Ok(Applied::NotMine);
    };
    let (Some(me), Some(other)) = (
        people::author(tx, owner, post.author_actor_id).await?,
        people::by_id(tx, heard.author.id).await?,
    ) else {
        return Ok(Applied::Ignored("gone"));
    };

    let is_his = crate::fed::trust::same_origin(quote, &heard.author.uri);
    let may = post.is_public() && is_his && !blocks::is_between(tx, me.id, other.id).await?;
    let answer = match may {
        true => {
            let permit = permit(tx, post.id, heard.author.id, quote).await?;
            let base = actors::base(tx)?;
            json!({ "type": "Accept", "object": heard.uri, "result": format!("{base}/ap/quotes/{permit}") })
        }
        false => json!({ "type": "Reject", "object": heard.uri }),
    };
    outbox::publish(tx, private(&me, &other, answer)).await?;
    Ok(Applied::Done)
}

async fn permit(tx: &mut Tx, post: Uuid, actor: Uuid, quote: &str) -> Result<Uuid> {
    let mut insert = Statement::<SqlUuid>::new(
        "insert into hub.quote_permits (post_id, actor_id, quote_uri) values (",
    );
    insert
        .bind(Bind::Uuid(post))
        .sql(", ")
        .bind(Bind::Uuid(actor))
        .sql(", ")
        .text(quote)
        .sql(") on conflict (post_id, quote_uri) do update set actor_id = excluded.actor_id returning id");
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(insert.clone()).await).await?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("no permit was written")))
}

/// A permit at its address.
pub async fn show(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let mut select = Statement::<Nullable<Jsonb>>::new(
        "select jsonb_build_object('post', q.post_id, 'quote', q.quote_uri, 'at', q.created_at) from hub.quote_permits q where q.id = ",
    );
    select.bind(Bind::Uuid(id));
    let rows: Vec<Option<Value>> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some(permit) = rows.into_iter().flatten().next() else {
        return Ok(None);
    };
    let text = |name: &str| {
        permit
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let Some((post, author)) = quoted(tx, &text("post")).await? else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let object = json!({
        "@context": context(),
        "type": "QuoteAuthorization",
        "id": format!("{base}/ap/quotes/{id}"),
        "attributedTo": author.uri,
        "interactingObject": text("quote"),
        "interactionTarget": post.federated_ap_id,
    });
    let at = text("at").parse().unwrap_or(post.published_at);
    let object = show::proven(tx, object, &author, at).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: true,
    }))
}

/// The post of a permit, while everybody may read it.
async fn quoted(tx: &mut Tx, post: &str) -> Result<Option<(Post, Local)>> {
    let post = super::seen(tx, post).await?.filter(Post::is_public);
    let Some((post, owner)) = post.and_then(|post| post.owner_id.map(|owner| (post, owner))) else {
        return Ok(None);
    };
    let author = people::author(tx, owner, post.author_actor_id).await?;
    Ok(author.map(|author| (post, author)))
}

/// The words of a permit beside ours (FEP-044f).
fn context() -> Value {
    let mut context = vocab::context().clone();
    if let Some(entries) = context.as_array_mut() {
        entries.push(json!({
            "QuoteAuthorization": "https://w3id.org/fep/044f#QuoteAuthorization",
            "interactingObject": { "@id": "gts:interactingObject", "@type": "@id" },
            "interactionTarget": { "@id": "gts:interactionTarget", "@type": "@id" },
        }));
    }
    context
}
