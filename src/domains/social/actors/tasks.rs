//! What is done about actors by jobs: making those that should be there, and destroying the keys of those that are gone.

use diesel::sql_types::{Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::settle;
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx, vault};
use crate::jobs::{self, Order};
use crate::node::Node;
use crate::node::work::{Attempt, Job};

/// Make actors of what was public before the hub federated.
#[derive(Serialize, Deserialize)]
pub struct CatchUp {}

impl Job for CatchUp {
    const KEY: &'static str = "social.catch_up";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let mut last = Uuid::nil();
        loop {
            let mut missing = Statement::<(Text, SqlUuid)>::new(
                "select * from (select 'user' as kind, u.id from public.users u left join public.profiles p on p.id = u.id \
                 where u.deleted_at is null and coalesce(p.is_public, true) and (u.banned_until is null or u.banned_until <= now()) \
                 union all select 'channel', c.id from public.chat_channels c where c.visibility = 'public' \
                 union all select 'dao', d.id from public.daos d where coalesce(d.is_public, true) and d.origin_actor_id is null) m \
                 where not exists (select from public.ap_actors a where a.kind = m.kind and a.row_id = m.id) and m.id > ",
            );
            missing
                .bind(Bind::Uuid(last))
                .sql(" order by m.id limit 100");
            let rows: Vec<(String, Uuid)> = Tx::once(&node.db, &Caller::Hub, missing).await?;
            let Some((_, end)) = rows.last() else {
                return Ok(());
            };
            last = *end;
            for (kind, row) in &rows {
                node.db
                    .write(&Caller::Hub, async |tx| {
                        settle(tx, kind, *row, false, None).await.map(drop)
                    })
                    .await?;
            }
        }
    }
}

/// Whoever is public and no actor yet becomes one soon.
pub async fn at_start(node: &Node) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            jobs::enqueue(tx, &CatchUp {}, Order::default())
                .await
                .map(drop)
        })
        .await
}

/// Destroy the keys of actors that are gone, once everybody heard of it or was given up.
#[derive(Serialize, Deserialize)]
pub struct ShredKeys {}

impl Job for ShredKeys {
    const KEY: &'static str = "social.shred_keys";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| {
                let over = Statement::<(SqlUuid, SqlUuid)>::new(
                    "select k.id, k.secret_id from public.ap_keys k join public.ap_actors a on a.id = k.actor_id \
                     where a.kind is not null and a.deleted_at < now() - interval '1 hour' and k.secret_id is not null \
                     and not exists (select from public.ap_deliveries d join public.ap_activities x on x.id = d.activity_id \
                     where x.actor_id = a.id and d.state = 'waiting') limit 1000",
                );
                let rows: Vec<(Uuid, Uuid)> = tx.load(over).await?;
                let (keys, secrets): (Vec<Uuid>, Vec<Uuid>) = rows.into_iter().unzip();
                vault::forget(tx, &secrets).await?;
                let mut delete = Statement::new("delete from public.ap_keys where id = any (");
                delete
                    .bind(Bind::Texts(keys.iter().map(|id| Some(id.to_string())).collect()))
                    .sql("::uuid[])");
                tx.run(delete).await.map(drop)
            })
            .await
    }
}
