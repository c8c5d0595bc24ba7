//! From a caller to the settings that row policies read. All of them end with the transaction.

use diesel::sql_types::{Nullable, Text};

use super::Db;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use crate::base::caller::{Behalf, Remote};
use crate::base::{Caller, Error, Result, door};

/// What the statement that enters answers with; only whether there is a row matters.
pub type Entered = (
    Setting,
    Setting,
    Setting,
    Setting,
    Setting,
    Setting,
    Setting,
);
type Setting = Option<String>;
type Settings = (
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
);

/// The statement that enters. For a session it gives no row when the session is over: the connection then stays
/// a login that may do nothing, so what follows in the same flight fails.
pub fn enter(caller: &Caller) -> Statement<Settings> {
    let session = match caller {
        Caller::Anonymous => return constant("anon"),
        // On behalf of somebody: the hub enters as itself first, since it alone may look accounts up.
        Caller::Hub | Caller::For(_) => return constant("service_role"),
        Caller::Remote(remote) => return actor(remote),
        Caller::Session(session) => *session,
    };
    let mut statement = Statement::new(
        "select set_config('request.jwt.claims', c::text, true), \
         set_config('request.jwt.claim.sub', coalesce(c->>'sub', ''), true), \
         set_config('request.jwt.claim.role', c->>'role', true), \
         set_config('request.jwt.claim.tenant_id', coalesce(c->>'tenant_id', ''), true), \
         set_config('request.jwt.claim.user_role', coalesce(c->>'user_role', ''), true), \
         set_config('request.door', ",
    );
    statement
        .text(door::current())
        .sql(", true), set_config('role', c->>'role', true) from hub.session_claims(")
        .bind(Bind::Uuid(session))
        .sql(") c where c is not null");
    statement
}

/// The second step of a caller on behalf of an account: the hub hands its rights in and takes the account's. No row
/// for an account that is banned, deleted or gone.
pub fn on_behalf(behalf: &Behalf) -> Statement<Settings> {
    let (correlation, depth) = match &behalf.cause {
        Some(cause) => (cause.correlation.clone(), cause.depth.to_string()),
        None => (String::new(), String::new()),
    };
    let mut statement = Statement::new(
        "select set_config('request.jwt.claims', jsonb_build_object('sub', c.id, 'role', 'authenticated', \
         'user_role', c.user_role, 'tenant_id', c.tenant_id)::text, true) || set_config('hub.correlation', ",
    );
    statement
        .text(correlation)
        .sql(", true) || set_config('hub.depth', ")
        .text(depth)
        .sql(
            ", true), set_config('request.jwt.claim.sub', c.id::text, true), \
             set_config('request.jwt.claim.role', 'authenticated', true), \
             set_config('request.jwt.claim.tenant_id', coalesce(c.tenant_id::text, ''), true), \
             set_config('request.jwt.claim.user_role', coalesce(c.user_role, ''), true), \
             current_setting('request.door'), set_config('role', 'authenticated', true) \
             from (select u.id, p.role as user_role, p.organization_id as tenant_id from public.users u \
             left join public.user_profile p on p.user_id = u.id where u.id = ",
        )
        .bind(Bind::Uuid(behalf.account))
        .sql(" and u.deleted_at is null and (u.banned_until is null or u.banned_until <= now()) offset 0) c");
    statement
}

fn constant(role: &str) -> Statement<Settings> {
    let mut statement = Statement::new(format!(
        "select set_config('request.jwt.claims', '{{\"role\":\"{role}\"}}', true), \
         set_config('request.jwt.claim.sub', '', true), set_config('request.jwt.claim.role', '{role}', true), \
         set_config('request.jwt.claim.tenant_id', '', true), set_config('request.jwt.claim.user_role', '', true), \
         set_config('request.door', "
    ));
    statement
        .text(door::current())
        .sql(format!(", true), set_config('role', '{role}', true)"));
    statement
}

/// An actor of another server: no account, but his address in the claims, for the policies that know actors.
fn actor(remote: &Remote) -> Statement<Settings> {
    let mut statement = Statement::new(
        "select set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'user_role', 'remote', \
         'actor', ",
    );
    statement
        .text(&remote.uri)
        .sql("::text, 'actor_id', ")
        .bind(Bind::Uuid(remote.id))
        .sql(
            ")::text, true), set_config('request.jwt.claim.sub', '', true), \
             set_config('request.jwt.claim.role', 'authenticated', true), \
             set_config('request.jwt.claim.tenant_id', '', true), \
             set_config('request.jwt.claim.user_role', 'remote', true), set_config('request.door', ",
        )
        .text(door::current())
        .sql(", true), set_config('role', 'authenticated', true)");
    statement
}

/// Refuse when nothing was entered.
pub fn check(caller: &Caller, entered: &[Entered]) -> Result<()> {
    match caller {
        Caller::Session(_) if entered.is_empty() => Err(over()),
        Caller::For(_) if entered.is_empty() => Err(no_account()),
        _ => Ok(()),
    }
}

/// Whether a caller who was refused for lack of rights can enter at all.
pub async fn still_valid(db: &Db, caller: &Caller) -> Result<()> {
    if matches!(caller, Caller::Session(_)) {
        Tx::begin(db, caller).await?.roll_back().await?;
    }
    Ok(())
}

fn no_account() -> Error {
    Error::forbidden(
        "account.not_active",
        "This account is banned, deleted or not there.",
    )
}

fn over() -> Error {
    Error::sign_in("PGRST301", "This session is over; sign in again.")
}
