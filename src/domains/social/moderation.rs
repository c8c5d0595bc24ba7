//! What operators hold of other servers: rules for domains, with what follows from them for the rows that are here. The
//! rule counts at once, wherever something comes in, goes out or is read; rows follow by a job that may be run again and
//! again.

pub mod lists;
mod settle;

use diesel::sql_types::{Bool, Jsonb, Nullable, Text};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::settle::{Expire, Settle, settle_later, settle_mode};

use crate::base::{Error, Result, clock};
use crate::db::audit::{self, Note};
use crate::db::{Bind, Statement, Tx};
use crate::fed::{policy, trust};

/// What may be held of a domain.
pub const POLICIES: &[&str] = &["allow", "limit", "reject_media", "reject_reports", "block"];

/// What is to be held of a domain.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    pub domain: String,
    pub policy: String,
    pub comment: Option<String>,
    pub private_comment: Option<String>,
    pub expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Hold something of a domain and its sub-domains, in place of what was held before.
pub async fn set_policy(tx: &mut Tx, input: SetPolicy) -> Result<Value> {
    operators_only(tx).await?;
    let domain = read_domain(&input.domain)?;
    if !POLICIES.contains(&input.policy.as_str()) {
        let expected = format!("policy is one of {}.", POLICIES.join(", "));
        return Err(Error::invalid("hosts.policy", expected));
    }
    if input.expires_at.is_some_and(|at| at <= clock::now()) {
        return Err(Error::invalid(
            "hosts.expired",
            "expires_at lies in the past.",
        ));
    }
    if covers_us(tx, &domain) {
        return Err(Error::conflict(
            "hosts.own",
            "This hub itself belongs to that domain.",
        ));
    }

    let row = tx.as_hub(async |tx| put(tx, &domain, &input).await).await?;

    note(tx, "write", &row, &input.policy).await?;
    settle_later(tx, Settle::domain(&domain)).await?;
    Ok(row)
}

async fn put(tx: &mut Tx, domain: &str, input: &SetPolicy) -> Result<Value> {
    let mut put = Statement::<Jsonb>::new(
        "insert into public.ap_domains as d (domain, policy, comment, private_comment, expires_at) values (",
    );
    put.text(domain)
        .sql(", ")
        .text(&input.policy)
        .sql(", ")
        .bind(Bind::Text(cut(input.comment.as_deref())))
        .sql(", ")
        .bind(Bind::Text(cut(input.private_comment.as_deref())))
        .sql(", ")
        .bind(Bind::Text(input.expires_at.map(|at| at.to_rfc3339())))
        .sql(
            "::timestamptz) on conflict (domain) do update set policy = excluded.policy, expires_at = excluded.expires_at, \
             comment = coalesce(excluded.comment, d.comment), \
             private_comment = coalesce(excluded.private_comment, d.private_comment) returning to_jsonb(d)",
        );
    first(tx.load(put).await?)
}

/// Which domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    pub domain: String,
}

/// Hold nothing of a domain any more; what was hidden comes back.
pub async fn clear_policy(tx: &mut Tx, input: Which) -> Result<Value> {
    operators_only(tx).await?;
    let domain = read_domain(&input.domain)?;
    let gone: Vec<Value> = tx
        .as_hub(async |tx| {
            let mut delete =
                Statement::<Jsonb>::new("delete from public.ap_domains d where d.domain = ");
            delete.text(&domain).sql(" returning to_jsonb(d)");
            tx.load(delete).await
        })
        .await?;
    let Some(row) = gone.into_iter().next() else {
        return Err(Error::missing(
            "hosts.no_rule",
            format!("There is no rule for {domain}."),
        ));
    };

    note(tx, "delete", &row, "none").await?;
    settle_later(tx, Settle::domain(&domain)).await?;
    Ok(json!({ "domain": domain, "cleared": true }))
}

/// Nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Every rule, by domain.
pub async fn list(tx: &mut Tx, _: Nothing) -> Result<Value> {
    operators_only(tx).await?;
    tx.as_hub(async |tx| rules(tx).await)
        .await
        .map(Value::Array)
}

/// The rows of rules.
pub async fn rules(tx: &mut Tx) -> Result<Vec<Value>> {
    tx.load(Statement::<Jsonb>::new(
        "select to_jsonb(d) from public.ap_domains d order by d.domain",
    ))
    .await
}

/// What a rule for a domain would touch: for whoever asks before he does it.
pub async fn touches(tx: &mut Tx, domain: &str) -> Result<Value> {
    let mut count = Statement::<Jsonb>::new("with hosts as (select h from hub.hosts_below(");
    count.text(domain).sql(
        ") h) select jsonb_build_object('hosts', (select count(*) from hosts), \
         'follows', (select count(*) from public.follows f join public.ap_actors a on a.id = f.actor_id \
           where a.kind is null and a.host in (select h from hosts)), \
         'deliveries', (select count(*) from public.ap_deliveries d where d.state = 'waiting' and d.host in (select h from hosts)), \
         'posts', (select count(*) from public.posts p join public.ap_actors a on a.id = p.origin_actor_id \
           where a.host in (select h from hosts)))",
    );
    first(tx.load(count).await?)
}

/// Refuse everybody but the hub itself, services and developers.
pub async fn operators_only(tx: &mut Tx) -> Result<()> {
    let may: Vec<bool> = tx
        .load(Statement::<Bool>::new(
            "select current_setting('role') = 'service_role' or coalesce(auth.app_role() = 'developer', false)",
        ))
        .await?;
    match may == [true] {
        true => Ok(()),
        false => Err(Error::forbidden("42501", "Only a developer moderates.")),
    }
}

fn read_domain(text: &str) -> Result<String> {
    policy::domain_of(text).ok_or_else(|| {
        Error::invalid(
            "hosts.domain",
            "domain is the name of a server, such as example.org.",
        )
    })
}

/// Whether a rule for this domain would be about the hub itself.
fn covers_us(tx: &Tx, domain: &str) -> bool {
    let own = tx.hub().public_url().map(trust::host_key);
    let handles = tx.hub().handle_domain().map(str::to_owned);
    own.into_iter().chain(handles).any(|own| {
        let name = own.rsplit_once(':').map_or(own.as_str(), |(name, _)| name);
        own == domain || name == domain || name.ends_with(&format!(".{domain}"))
    })
}

async fn note(tx: &mut Tx, action: &str, row: &Value, held: &str) -> Result<()> {
    let id = row.get("id").and_then(Value::as_str);
    let done = Note {
        action,
        resource: "ap_domains",
        id: id.and_then(|id| id.parse().ok()),
        owner: None,
        metadata: json!({ "domain": row.get("domain"), "policy": held }),
    };
    audit::note(tx, done).await
}

/// The rule that holds for a server, if any.
pub async fn held(tx: &mut Tx, host: &str) -> Result<Option<String>> {
    let host = host.to_owned();
    let held: Vec<Option<String>> = tx
        .as_hub(async |tx| {
            let mut ask = Statement::<Nullable<Text>>::new("select (hub.host_policy(");
            ask.text(host).sql(")).policy");
            tx.load(ask).await
        })
        .await?;
    Ok(held.into_iter().flatten().next())
}

fn cut(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    (!text.is_empty()).then(|| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(1000)
            .collect()
    })
}

fn first(rows: Vec<Value>) -> Result<Value> {
    rows.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("no row came back")))
}
