//! Closing an account, opening it again while there is time, and removing what it leaves: its rows go, what belongs to
//! others too stays without its name. What was removed once stays removed, also after an old backup came back.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::passwords::{self, Verdict};
use super::{attempts, factors, refusal, sessions};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Order};
use crate::node::Node;
use crate::node::work::{Attempt, Job};

/// How long a closed account can be opened again.
const GRACE: &str = "7 days";

/// How long a second factor counts as just shown, in seconds.
const FRESH: i64 = 900;

/// What is handed to others before the rows go. `{account}` is whose account goes.
const HANDED_OVER: &[&str] = &[
    // A community goes on under the member who is next; only one without members goes with its founder.
    "update public.daos d set owner_id = n.user_id from (select distinct on (m.dao_id) m.dao_id, m.user_id \
     from public.dao_members m where m.user_id is not null and m.user_id <> {account} and m.role <> 'guest' \
     and m.user_id not in (select c.user_id from hub.closed_accounts c) \
     order by m.dao_id, array_position('{owner,admin,member}'::text[], m.role), m.joined_at, m.id) n \
     where d.id = n.dao_id and d.owner_id = {account}",
    "update public.dao_members m set role = 'owner' from public.daos d where d.id = m.dao_id and d.owner_id = m.user_id \
     and m.role <> 'owner' and exists (select from public.dao_members x where x.dao_id = d.id and x.user_id = {account})",
    "update public.workspaces w set owner_user_id = n.user_id from (select distinct on (m.workspace_id) m.workspace_id, \
     m.user_id from public.workspace_members m where m.user_id is not null and m.user_id <> {account} \
     and m.user_id not in (select c.user_id from hub.closed_accounts c) \
     order by m.workspace_id, array_position('{owner,admin,member}'::text[], m.role), m.joined_at, m.id) n \
     where w.id = n.workspace_id and w.owner_user_id = {account}",
    "update public.workspace_members m set role = 'owner' from public.workspaces w where w.id = m.workspace_id \
     and w.owner_user_id = m.user_id and m.role <> 'owner' \
     and exists (select from public.workspace_members x where x.workspace_id = w.id and x.user_id = {account})",
    "update public.onto_projects p set created_by = n.user_id from (select distinct on (m.project_id) m.project_id, \
     a.user_id from public.onto_project_members m join public.onto_actors a on a.id = m.actor_id \
     where a.user_id is not null and a.user_id <> {account} and m.role_key <> 'viewer' \
     and a.user_id not in (select c.user_id from hub.closed_accounts c) \
     order by m.project_id, array_position('{owner,member}'::text[], m.role_key), m.created_at, m.id) n \
     where p.id = n.project_id and p.created_by = {account}",
    "update public.onto_project_members m set role_key = 'owner' from public.onto_actors a, public.onto_projects p \
     where a.id = m.actor_id and p.id = m.project_id and p.created_by = a.user_id and m.role_key <> 'owner' \
     and exists (select from public.onto_project_members x join public.onto_actors y on y.id = x.actor_id \
     where x.project_id = p.id and y.user_id = {account})",
    // A room that loses its only owner gets another one.
    "update public.channel_members m set role = 'owner' from (select distinct on (o.channel_id) o.id \
     from public.channel_members o join public.channel_members mine on mine.channel_id = o.channel_id \
     and mine.member_user_id = {account} and mine.role = 'owner' \
     where o.member_user_id <> {account} and o.left_at is null and o.role in ('owner', 'admin', 'member') \
     and o.member_user_id not in (select c.user_id from hub.closed_accounts c) \
     order by o.channel_id, array_position('{owner,admin,member}'::text[], o.role), o.joined_at, o.id) n \
     where m.id = n.id and m.role <> 'owner'",
    // What two agreed on stays the other's.
    "update public.exchanges e set owner_id = case when e.offer_user_id = {account} then e.need_user_id \
     else e.offer_user_id end where e.owner_id = {account} and e.offer_user_id is not null and e.need_user_id is not null",
    // A ballot counts on without whoever cast it; the signed one names him.
    "update public.votes v set ballot = null, rationale = null where v.user_id = {account} \
     and num_nonnulls(v.ballot, v.rationale) > 0",
    "update public.ap_actors a set name = null, summary = null, icon_url = null, \
     deleted_at = coalesce(a.deleted_at, now()) where a.user_id = {account}",
    "delete from public.beta_members b where b.user_id = {account} \
     or lower(b.email) = (select lower(u.email) from public.users u where u.id = {account})",
    "delete from public.beta_signups b \
     where lower(b.email) = (select lower(u.email) from public.users u where u.id = {account})",
    // All rows of the account go with it by their foreign keys: the vault's, jobs, embeddings, factors among them.
    "delete from public.users u where u.id = {account}",
    "insert into hub.deletions (id_hash) values (sha256(convert_to({account}::text, 'UTF8'))) on conflict do nothing",
];

/// The wish to delete one's own account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Not needed where a second factor was shown just now.
    #[serde(default)]
    password: Option<String>,
}

/// Until when a closed account can be opened again.
#[derive(Serialize)]
pub struct Closed {
    pub erase_at: DateTime<Utc>,
}

/// Remove a closed account once its time is over.
#[derive(Serialize, Deserialize)]
pub struct EraseAccount {
    account: Uuid,
}

/// Remove again what was removed before and came back with a backup; and what should have been by now.
#[derive(Serialize, Deserialize)]
pub struct ReapplyDeletions {}

impl Job for EraseAccount {
    const KEY: &'static str = "identity.erase_account";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let is_due = node
            .db
            .write(&Caller::Hub, async |tx| {
                Ok(lock_closed(tx, self.account).await? == Some(true)
                    && erase(tx, self.account).await?)
            })
            .await?;
        if is_due {
            super::gone::remember(node).await?;
        }
        Ok(())
    }
}

impl Job for ReapplyDeletions {
    const KEY: &'static str = "identity.reapply_deletions";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        super::gone::remember(node).await?;
        let again = Statement::<SqlUuid>::new(
            "select u.id from public.users u join hub.deletions d \
             on d.id_hash = sha256(convert_to(u.id::text, 'UTF8')) \
             union select c.user_id from hub.closed_accounts c where c.erase_at <= now()",
        );
        let accounts: Vec<Uuid> = node
            .db
            .read(&Caller::Hub, async |tx| tx.load(again.clone()).await)
            .await?;
        for account in accounts {
            tracing::warn!(event = "account_erased_again", user = %account);
            node.db
                .write(&Caller::Hub, async |tx| erase(tx, account).await)
                .await?;
        }
        super::gone::remember(node).await
    }
}

/// Delete one's own account: closed at once, removed after a week.
pub async fn wish(tx: &mut Tx, wish: Wish) -> Result<Closed> {
    let Caller::Session(session) = *tx.caller() else {
        return Err(Error::sign_in(
            "no_authorization",
            "Sign in to delete your account.",
        ));
    };
    tx.as_hub(async |tx| {
        let account = sessions::holder(tx, session).await?;
        if !is_freshly_proven(tx, session).await? {
            if factors::is_proven(tx, account.id).await? && !factors::is_aal2(tx, session).await? {
                return Err(refusal(
                    403,
                    "insufficient_aal",
                    "Show your second factor first.",
                ));
            }
            let Some(password) = &wish.password else {
                return Err(refusal(
                    403,
                    "reauthentication_needed",
                    "Deleting an account needs its password, or a second factor that was shown just now.",
                ));
            };
            attempts::may_try(&account.email, None)?;
            let kept = account.encrypted_password.clone();
            if passwords::verify(password, kept).await? == Verdict::Wrong {
                return Err(refusal(
                    403,
                    "invalid_credentials",
                    "This is not the password of the account.",
                ));
            }
            attempts::was_right(&account.email, None);
        }

        close(tx, account.id).await?;
        let mut due = Statement::<Timestamptz>::new(
            "update hub.closed_accounts set erase_at = now() + ",
        );
        due.text(GRACE)
            .sql("::text::interval where user_id = ")
            .bind(Bind::Uuid(account.id))
            .sql(" returning erase_at");
        let times: Vec<DateTime<Utc>> = tx.load(due).await?;
        let erase_at = times.into_iter().next().ok_or_else(no_account)?;
        let order = Order {
            at: Some(erase_at),
            ..Order::default()
        };
        let erasure = EraseAccount {
            account: account.id,
        };
        jobs::enqueue(tx, &erasure, order).await?;
        tracing::warn!(event = "account_closed", user = %account.id);
        Ok(Closed { erase_at })
    })
    .await
}

/// Close an account: its sessions end, nothing of it is public. It can be opened again.
pub(super) async fn close(tx: &mut Tx, account: Uuid) -> Result<()> {
    let mut update = Statement::new(
        "update public.users set deleted_at = now() where deleted_at is null and id = ",
    );
    update.bind(Bind::Uuid(account));
    match tx.run(update).await? {
        0 => Err(no_account()),
        _ => Ok(()),
    }
}

/// Open the account again that was closed last with this address.
pub async fn reopen(node: &Node, email: &str) -> Result<Uuid> {
    let email = super::accounts::address(email)?;
    let opened = node
        .db
        .write(&Caller::Hub, async |tx| {
            let mut update = Statement::<SqlUuid>::new(
                "update public.users set deleted_at = null where id = (select u.id from public.users u \
                 join hub.closed_accounts c on c.user_id = u.id where lower(u.email) = ",
            );
            update
                .text(email.clone())
                .sql(" order by c.closed_at desc limit 1) returning id");
            let ids: Vec<Uuid> = tx.load(update).await?;
            ids.into_iter().next().ok_or_else(|| {
                Error::missing(
                    "user_not_found",
                    "There is no closed account with this address, or its time is over.",
                )
            })
        })
        .await;
    match opened {
        Err(error) if error.is("23505") => Err(refusal(
            409,
            "email_exists",
            "Somebody else has an account with this address by now.",
        )),
        opened => opened,
    }
}

/// Remove an account and what is its alone. No, when it is not there.
pub(super) async fn erase(tx: &mut Tx, account: Uuid) -> Result<bool> {
    let mut find = Statement::<SqlUuid>::new("select id from public.users where id = ");
    find.bind(Bind::Uuid(account)).sql(" for update");
    if tx.load::<_, Uuid>(find).await?.is_empty() {
        return Ok(false);
    }
    for step in HANDED_OVER {
        tx.run(about(account, step)).await?;
    }
    tracing::warn!(event = "account_erased", user = %account);
    Ok(true)
}

/// Enqueue what has to be done at each start.
pub async fn at_start(node: &Node) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            jobs::enqueue(tx, &ReapplyDeletions {}, Order::default()).await
        })
        .await
        .map(|_| ())
}

/// Whether a closed account's time is over; nothing when it is open. Held until the transaction ends.
async fn lock_closed(tx: &mut Tx, account: Uuid) -> Result<Option<bool>> {
    let mut select = Statement::<Bool>::new(
        "select coalesce(erase_at <= now(), false) from hub.closed_accounts where user_id = ",
    );
    select.bind(Bind::Uuid(account)).sql(" for update");
    Ok(tx.load(select).await?.into_iter().next())
}

async fn is_freshly_proven(tx: &mut Tx, session: Uuid) -> Result<bool> {
    let mut select = Statement::<Text>::new(
        "select s.aal from hub.sessions s where s.aal = 'aal2' and exists ( \
         select from jsonb_array_elements(s.amr) m where m ->> 'method' in ('totp', 'mfa/recovery_code') \
         and (m ->> 'timestamp')::bigint > extract(epoch from now()) - ",
    );
    select
        .bind(Bind::Int(FRESH))
        .sql(") and s.id = ")
        .bind(Bind::Uuid(session));
    Ok(!tx.load::<_, String>(select).await?.is_empty())
}

/// A statement with the account's id where its text says `{account}`.
fn about(account: Uuid, text: &str) -> Statement {
    let mut parts = text.split("{account}");
    let mut statement = Statement::new(parts.next().unwrap_or_default());
    for part in parts {
        statement.bind(Bind::Uuid(account)).sql(part);
    }
    statement
}

fn no_account() -> Error {
    Error::missing("user_not_found", "User not found")
}
