//! Deliveries that were given up, and trying them again. Who may: operators all, others those of the actors that are theirs.

use diesel::sql_types::{Jsonb, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};

/// Whether the caller has a delivery's activity to answer for: his own actor spoke, or he runs the hub.
const MAY: &str = "(auth.app_role() = 'developer' or a.kind = 'user' and a.row_id = auth.uid() \
    or a.kind = 'agent' and exists (select from public.agents g where g.id = a.row_id and g.user_id = auth.uid()))";

/// The latest deliveries in one state that the caller has to answer for.
pub async fn list(tx: &mut Tx, state: &str, most: i64) -> Result<Vec<Value>> {
    let mut list = Statement::<Jsonb>::new(
        "select jsonb_build_object('id', d.id, 'activity', s.uri, 'type', s.type, 'object', s.object_uri, \
         'host', d.host, 'inbox', d.inbox_url, 'state', d.state, 'attempts', d.attempts, 'next_at', d.next_at, \
         'last_status', d.last_status, 'last_error', d.last_error, 'ended_at', d.ended_at) \
         from public.ap_deliveries d join public.ap_activities s on s.id = d.activity_id \
         join public.ap_actors a on a.id = s.actor_id where d.state = ",
    );
    list.text(state)
        .sql(may(tx))
        .sql(" order by coalesce(d.ended_at, d.created_at) desc, d.id limit ")
        .bind(Bind::Int(most.clamp(1, 1000)));
    tx.as_hub(async |tx| tx.load(list.clone()).await).await
}

/// Which dead deliveries are meant.
#[derive(Clone, Debug)]
pub enum Which<'a> {
    One(Uuid),
    Host(&'a str),
    All,
}

/// Try a dead delivery again, with all its tries.
pub async fn retry(tx: &mut Tx, id: Uuid) -> Result<()> {
    match revive(tx, &Which::One(id)).await? {
        0 => Err(Error::missing(
            "delivery.not_dead",
            "There is no dead delivery with this id.",
        )),
        _ => Ok(()),
    }
}

/// How many dead deliveries there are that are meant and may be tried again.
pub async fn count(tx: &mut Tx, which: &Which<'_>) -> Result<usize> {
    let mut count = Statement::<SqlUuid>::new("select d.id");
    count.append(dead(tx, which));
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(count.clone()).await).await?;
    Ok(ids.len())
}

/// Try dead deliveries again; how many. Their time of fourteen days begins anew, and so does their host.
pub async fn revive(tx: &mut Tx, which: &Which<'_>) -> Result<usize> {
    let mut revive = Statement::<SqlUuid>::new("with meant as (select d.id");
    revive.append(dead(tx, which)).sql(
        "), back as (update public.ap_deliveries d set state = 'waiting', attempts = 0, next_at = now(), \
         created_at = now(), ended_at = null from meant where d.id = meant.id and d.state = 'dead' \
         returning d.id, d.host, d.inbox_url), \
         hosts as (update public.ap_hosts h set retry_at = null where retry_at is not null \
         and h.host in (select host from back)), \
         inboxes as (delete from public.ap_inboxes where inbox_url in (select inbox_url from back)) \
         select id from back",
    );
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(revive.clone()).await).await?;
    if !ids.is_empty() {
        tx.script("notify hub_deliveries").await?;
    }
    Ok(ids.len())
}

fn dead(tx: &Tx, which: &Which<'_>) -> Statement {
    let mut from = Statement::new(
        " from public.ap_deliveries d join public.ap_activities s on s.id = d.activity_id \
         join public.ap_actors a on a.id = s.actor_id where d.state = 'dead'",
    );
    match which {
        Which::One(id) => from.sql(" and d.id = ").bind(Bind::Uuid(*id)),
        Which::Host(host) => from.sql(" and d.host = ").text(host.to_lowercase()),
        Which::All => &mut from,
    };
    from.sql(may(tx));
    from
}

/// The hub itself, as on its command line, may everything.
fn may(tx: &Tx) -> String {
    match tx.caller() {
        Caller::Hub => String::new(),
        _ => format!(" and {MAY}"),
    }
}
