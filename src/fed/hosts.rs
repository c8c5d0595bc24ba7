//! What is known of other servers: whether they are there, how they like to be spoken to, what waits for them.
//! The deliverer writes most of it down; here is what others ask and say.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use diesel::sql_types::{Jsonb, Text};
use moka::sync::Cache;
use serde_json::Value;

use crate::base::{Caller, Result};
use crate::db::{Bind, Db, Statement, Tx};
use crate::fed::signature::Scheme;

/// Of whom was heard lately; it need not be said again so soon.
static HEARD: LazyLock<Cache<(usize, String, Scheme), ()>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(10_000)
        .time_to_live(Duration::from_secs(60))
        .build()
});

/// A server was heard from: a request of its own was verified. If it was given up for a while, it is tried at once.
/// Whoever signs by RFC 9421 reads it too, so that is how it is written to unless something was learned of it before.
/// At most one statement a minute for each server, so it may be called for every request.
pub async fn heard_from(db: &Db, host: &str, scheme: Scheme) -> Result<()> {
    let key = (Arc::as_ptr(db.hub()) as usize, host.to_owned(), scheme);
    if HEARD.contains_key(&key) {
        return Ok(());
    }
    HEARD.insert(key, ());
    let mut revive = Statement::<Text>::new("with back as (");
    match scheme {
        Scheme::Cavage => revive
            .sql("update public.ap_hosts set retry_at = null where retry_at is not null and host = ")
            .text(host),
        Scheme::Rfc9421 => revive
            .sql("insert into public.ap_hosts as h (host, sig_scheme, learned_at) values (")
            .text(host)
            .sql(
                ", 'rfc9421', now()) on conflict (host) do update set retry_at = null, \
                 learned_at = case h.sig_scheme when 'unknown' then now() else h.learned_at end, \
                 sig_scheme = case h.sig_scheme when 'unknown' then 'rfc9421' else h.sig_scheme end \
                 where h.sig_scheme = 'unknown' or h.retry_at is not null",
            ),
    };
    revive.sql(" returning host) select pg_notify('hub_deliveries', '')::text from back");
    let _: Vec<String> = Tx::once(db, &Caller::Hub, revive).await?;
    Ok(())
}

/// Servers as operators see them: those for which something waits or that do not answer, worst first. One of them, if named.
pub async fn status(tx: &mut Tx, host: Option<&str>, most: i64) -> Result<Vec<Value>> {
    let mut select = Statement::<Jsonb>::new(
        "with queue as (select host, count(*) as waiting, min(created_at) as oldest from public.ap_deliveries \
           where state = 'waiting' group by host), \
         dead as (select host, count(*) as dead from public.ap_deliveries where state = 'dead' group by host) \
         select jsonb_build_object('host', host, 'state', case when h.is_paused then 'paused' when h.retry_at > now() \
           then 'away' when h.failures > 0 then 'shaky' else 'there' end, 'waiting', coalesce(queue.waiting, 0), \
           'oldest', queue.oldest, 'dead', coalesce(dead.dead, 0), 'failures', coalesce(h.failures, 0), \
           'unavailable_since', h.unavailable_since, 'retry_at', h.retry_at, 'last_ok_at', h.last_ok_at, \
           'signatures', coalesce(h.sig_scheme, 'unknown'), 'policy', (hub.host_policy(host)).policy) \
         from public.ap_hosts h full join queue using (host) full join dead using (host) where (",
    );
    select
        .bind(Bind::Text(host.map(str::to_lowercase)))
        .sql(
            "::text is null and (queue.waiting > 0 or dead.dead > 0 or h.failures > 0)) or host = ",
        )
        .bind(Bind::Text(host.map(str::to_lowercase)))
        .sql(" order by coalesce(queue.waiting, 0) desc, coalesce(dead.dead, 0) desc, host limit ")
        .bind(Bind::Int(most));
    tx.as_hub(async |tx| tx.load(select.clone()).await).await
}
