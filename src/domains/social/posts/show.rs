//! A post at its own address, for whoever may read its row, with a proof of its author; and its replies, likes and shares.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Post, audience, wire};
use crate::base::Result;
use crate::db::{Bind, Tx};
use crate::domains::social::actors as people;
use crate::fed::actors::{self, Local};
use crate::fed::collections;
use crate::fed::{keys, proof, vocab};
use crate::node::incoming::{Part, Shown, Wanted};

/// An own post that the caller may read.
pub async fn post(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let Some((post, author)) = readable(tx, id).await? else {
        return Ok(None);
    };
    let base = actors::base(tx)?;
    let audience = audience::of(tx, &post, &author).await?;
    let object = wire::note(&post, &author.uri, &audience, &base);
    let object = proven(tx, object, &author, post.as_of()).await?;
    Ok(Some(Shown::Object {
        object,
        is_public: post.is_public(),
    }))
}

/// An object that stands alone, with its context and a proof of its author as of its last change, so that the same object is
/// always the same bytes.
pub async fn proven(
    tx: &mut Tx,
    object: Value,
    author: &Local,
    as_of: chrono::DateTime<chrono::Utc>,
) -> Result<Value> {
    let mut alone = json!({ "@context": vocab::context() });
    if let (Some(alone), Value::Object(object)) = (alone.as_object_mut(), object) {
        // One that needs more words brings its own context.
        alone.extend(object);
    }
    let signer = keys::signer(tx, author.id).await?;
    proof::prove(&mut alone, &signer.ed25519_id, &signer.ed25519, as_of)?;
    Ok(alone)
}

/// The row and its author, where the caller reads it and it was said to others.
async fn readable(tx: &mut Tx, id: Uuid) -> Result<Option<(Post, Local)>> {
    let Some(post) = super::seen(tx, &id.to_string()).await? else {
        return Ok(None);
    };
    let Some(owner) = post.owner_id.filter(|_| post.sent_at.is_some()) else {
        return Ok(None);
    };
    let author = people::author(tx, owner, post.author_actor_id)
        .await
        .ok()
        .flatten();
    Ok(author.map(|author| (post, author)))
}

/// A collection of a post.
pub async fn part(tx: &mut Tx, id: Uuid, collection: &str, wanted: Wanted) -> Result<Option<Part>> {
    let from = match collection {
        // Only what everybody may read is told, whoever asks.
        "replies" => {
            "public.posts x where x.visibility in ('public', 'unlisted') and x.hidden_at is null \
             and x.federated_ap_id is not null and x.in_reply_to_id = "
        }
        "likes" => {
            "public.reactions x where x.direction = 'in' and x.type = 'like' and x.object_kind = 'posts' and x.object_id = "
        }
        "shares" => {
            "public.reactions x where x.direction = 'in' and x.type = 'announce' and x.object_kind = 'posts' and x.object_id = "
        }
        _ => return Ok(None),
    };
    let said = match collection {
        "replies" => "x.federated_ap_id",
        // Between two of this hub nothing is sent, so that the actor stands for what he did.
        _ => {
            "coalesce(x.federated_ap_id, (select a.uri from public.ap_actors a where a.id = x.actor_id))"
        }
    };
    collections::listed(tx, from, Some(Bind::Uuid(id)), said, wanted)
        .await
        .map(Some)
}

/// What was said and thought of something else than a post: a listing or a declaration, known by its kind, id and address.
pub async fn about(
    tx: &mut Tx,
    (kind, id, uri): (&'static str, Uuid, &str),
    collection: &str,
    wanted: Wanted,
) -> Result<Option<Part>> {
    const REPLIES: &str = "public.posts x where x.visibility in ('public', 'unlisted') and x.hidden_at is null \
         and x.federated_ap_id is not null and x.in_reply_to_id is null and x.in_reply_to = ";
    let deed = match collection {
        "replies" => {
            let of = Some(Bind::Text(Some(uri.to_owned())));
            return collections::listed(tx, REPLIES, of, "x.federated_ap_id", wanted)
                .await
                .map(Some);
        }
        "likes" => "like",
        "shares" => "announce",
        _ => return Ok(None),
    };
    let from = format!(
        "public.reactions x where x.direction = 'in' and x.type = '{deed}' and x.object_kind = '{kind}' and x.object_id = "
    );
    const SAID: &str = "coalesce(x.federated_ap_id, (select a.uri from public.ap_actors a where a.id = x.actor_id))";
    collections::listed(tx, &from, Some(Bind::Uuid(id)), SAID, wanted)
        .await
        .map(Some)
}
