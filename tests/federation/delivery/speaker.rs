//! Somebody local who has something to say, without any domain around: rows for the actor and its followers, and
//! `publish` as a library on the database whose deliveries the real binary sends.

use std::sync::Arc;

use made_open::base::Caller;
use made_open::base::config::{self, Flags};
use made_open::base::hub::Hub as Place;
use made_open::db::Db;
use made_open::domains::vault::keys::ring;
use made_open::fed::outbox::{self, Outgoing, Published};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::hubs::Hub;
use crate::support::peer::{PUBLIC, Peer};

/// A local actor.
pub struct Speaker {
    pub db: Db,
    pub id: Uuid,
    pub uri: String,
}

impl Speaker {
    /// An actor of a hub.
    pub async fn of(hub: &Hub) -> Self {
        let flags = Flags {
            data_dir: Some(hub.hub.data_dir.clone()),
            database_url: Some(hub.hub.database.url()),
            public_url: Some(hub.public.clone()),
            ..Flags::default()
        };
        let config = config::load(&flags).unwrap();
        let place = Arc::new(Place::default());
        place.set_public_url(hub.public.parse().unwrap());
        place.set_keyring(Arc::new(ring(&config)));
        let db = Db::of(place, &hub.hub.database.url(), 4).unwrap();
        let id = Uuid::now_v7();
        let uri = format!("{}/ap/actors/{id}", hub.public);
        let admin = hub.hub.database.admin().await;
        admin
            .execute(
                "insert into ap_actors (id, uri, type, preferred_username, host, inbox_url, followers_url, kind, row_id) \
                 values ($1::text::uuid, $2, 'Person', 'speaker' || right($1, 8), $3, $2 || '/inbox', $2 || '/followers', 'user', hub.uuid_v7())",
                &[&id.to_string(), &uri, &hub.host],
            )
            .await
            .unwrap();
        Self { db, id, uri }
    }

    /// Its followers, as it addresses them.
    pub fn followers(&self) -> String {
        format!("{}/followers", self.uri)
    }

    /// Somebody at a peer follows it, and has a shared inbox there; the follower's address.
    pub async fn followed_by(&self, hub: &Hub, peer: &Peer, name: &str) -> String {
        let uri = self.knows(hub, peer, name).await;
        let admin = hub.hub.database.admin().await;
        admin
            .execute(
                "insert into follows (local_actor_id, actor_id, direction, state, accepted_at) \
                 select $1::text::uuid, id, 'in', 'accepted', now() from ap_actors where uri = $2",
                &[&self.id.to_string(), &uri],
            )
            .await
            .unwrap();
        uri
    }

    /// Somebody at a peer is known; the address.
    pub async fn knows(&self, hub: &Hub, peer: &Peer, name: &str) -> String {
        let uri = format!("{}/users/{name}", peer.origin());
        let admin = hub.hub.database.admin().await;
        admin
            .execute(
                "insert into ap_actors (uri, preferred_username, host, inbox_url, shared_inbox_url) \
                 values ($1, $2, $3, $1 || '/inbox', $4)",
                &[&uri, &name, &peer.host, &format!("{}/inbox", peer.origin())],
            )
            .await
            .unwrap();
        uri
    }

    /// Say something.
    pub async fn says(&self, outgoing: Outgoing) -> Published {
        self.db
            .write(&Caller::Hub, async |tx| {
                outbox::publish(tx, outgoing.clone()).await
            })
            .await
            .unwrap()
    }

    /// A public note to all followers, or what becomes of one.
    pub async fn posts(&self, kind: &str, note: &str, content: &str) -> Published {
        self.says(self.post(kind, note, content)).await
    }

    /// What `posts` says.
    pub fn post(&self, kind: &str, note: &str, content: &str) -> Outgoing {
        let object: Value = json!({
            "id": note, "type": "Note", "attributedTo": self.uri, "content": content,
            "to": [PUBLIC], "cc": [self.followers()],
        });
        Outgoing {
            actor: self.id,
            activity: json!({ "type": kind, "object": object }),
            to: vec![PUBLIC.to_owned()],
            cc: vec![self.followers()],
            about: Some(note.to_owned()),
            ..Outgoing::default()
        }
    }

    /// An address for a note.
    pub fn note(&self, name: &str) -> String {
        format!("{}/notes/{name}", self.uri)
    }
}
