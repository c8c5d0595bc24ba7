//! Accounts in the hands of the operator and of programs with the service key: list, make, change, ban, remove.
//! Who may is decided by the caller's row, which the transaction enters with; nothing here asks a token.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::accounts::{self, Account, New};
use super::{deletion, factors, passwords, refusal, sessions};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// The most accounts on one page, and how many when nobody says.
const LONGEST_PAGE: u32 = 1000;
const PAGE: u32 = 50;

/// For ever, as far as people are concerned.
const FOREVER: i64 = 100 * 365 * 24 * 3600;

/// What the operator says of an account; what is not said stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub email: Option<String>,
    pub password: Option<String>,
    pub is_confirmed: Option<bool>,
    /// Merged into what is there; null removes.
    pub user_metadata: Option<Map<String, Value>>,
    pub app_metadata: Option<Map<String, Value>>,
    pub ban: Option<Ban>,
}

/// How long an account stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ban {
    Lifted,
    /// So many seconds from now.
    For(i64),
}

impl Ban {
    /// For good.
    pub const FOREVER: Self = Self::For(FOREVER);

    /// `none`, or a duration as Go writes it: `24h`, `1h30m`, `45s`.
    pub fn read(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::Lifted);
        }
        let wrong = || {
            refusal(
                400,
                "validation_failed",
                "invalid format for ban duration: a number with h, m or s, such as 24h, or none",
            )
        };
        let mut seconds: i64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = rest.split_at(digits);
            let number: i64 = number.parse().map_err(|_| wrong())?;
            let factor = match unit.chars().next() {
                Some('h') => 3600,
                Some('m') => 60,
                Some('s') => 1,
                _ => return Err(wrong()),
            };
            seconds = number
                .checked_mul(factor)
                .and_then(|part| part.checked_add(seconds))
                .ok_or_else(wrong)?;
            rest = unit.get(1..).unwrap_or_default();
        }
        if seconds < 1 {
            return Err(wrong());
        }
        Ok(Self::For(seconds.min(FOREVER)))
    }
}

/// One page of accounts, oldest first, closed ones left out; and how many there are.
pub async fn list(
    node: &Node,
    caller: &Caller,
    page: Option<u32>,
    per_page: Option<u32>,
) -> Result<(Vec<Account>, i64)> {
    let (page, size) = page_of(page, per_page);
    node.db
        .read(caller, async |tx| {
            let count = Statement::<BigInt>::new(
                "select count(*) from public.users u where u.deleted_at is null",
            );
            let total = tx.load(count).await?.into_iter().next().unwrap_or(0);
            let mut from = Statement::new(
                "(select * from public.users where deleted_at is null order by created_at, id limit ",
            );
            from.bind(Bind::Int(size.into()))
                .sql(" offset ")
                .bind(Bind::Int(i64::from(size) * i64::from(page - 1)))
                .sql(") u");
            Ok((accounts::list(tx, from).await?, total))
        })
        .await
}

/// Page and size as they are taken.
pub fn page_of(page: Option<u32>, per_page: Option<u32>) -> (u32, u32) {
    let page = page.unwrap_or(1).clamp(1, 1_000_000);
    (
        page,
        per_page
            .filter(|size| *size > 0)
            .unwrap_or(PAGE)
            .min(LONGEST_PAGE),
    )
}

/// One account.
pub async fn show(node: &Node, caller: &Caller, id: Uuid) -> Result<Account> {
    node.db.read(caller, async |tx| find(tx, id).await).await
}

/// Make an account. Without a password nobody can sign in with one.
pub async fn add(node: &Node, caller: &Caller, changes: Changes) -> Result<Account> {
    let email = accounts::address(changes.email.as_deref().unwrap_or_default())?;
    let password = match &changes.password {
        Some(password) => {
            passwords::check(password, &email)?;
            Some(passwords::hash(password).await?)
        }
        None => None,
    };
    let data = accounts::described(merged(&Value::Null, changes.user_metadata.clone()))?;
    let name = data
        .get("full_name")
        .or_else(|| data.get("name"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let new = New {
        id: Uuid::now_v7(),
        email: &email,
        password: password.as_deref(),
        name: name.as_deref(),
        handle: None,
        data,
        is_confirmed: changes.is_confirmed == Some(true),
        is_approved: true,
        role: None,
    };
    node.db
        .write(caller, async |tx| {
            let account = accounts::make(tx, &new).await?.ok_or_else(taken)?;
            let more = Changes {
                app_metadata: changes.app_metadata.clone(),
                ban: changes.ban,
                ..Changes::default()
            };
            write(tx, &account, &more, None).await?;
            find(tx, account.id).await
        })
        .await
}

/// Change an account. A new password or address ends its sessions.
pub async fn change(node: &Node, caller: &Caller, id: Uuid, changes: Changes) -> Result<Account> {
    let changes = Changes {
        email: changes
            .email
            .as_deref()
            .map(accounts::address)
            .transpose()?,
        ..changes
    };
    let hash = match &changes.password {
        Some(password) => {
            let before = node.db.read(caller, async |tx| find(tx, id).await).await?;
            let email = changes.email.as_ref().unwrap_or(&before.email);
            passwords::check(password, email)?;
            Some(passwords::hash(password).await?)
        }
        None => None,
    };
    let changed = node
        .db
        .write(caller, async |tx| {
            let account = find(tx, id).await?;
            write(tx, &account, &changes, hash.as_deref()).await?;
            find(tx, id).await
        })
        .await;
    match changed {
        Err(error) if error.is("23505") => Err(taken()),
        changed => changed,
    }
}

/// Remove an account at once, or only close it.
pub async fn remove(node: &Node, caller: &Caller, id: Uuid, only_close: bool) -> Result<()> {
    node.db
        .write(caller, async |tx| {
            if only_close {
                return deletion::close(tx, id).await;
            }
            if deletion::erase(tx, id).await? {
                Ok(())
            } else {
                Err(unknown())
            }
        })
        .await?;
    if !only_close {
        super::gone::remember(node).await?;
    }
    Ok(())
}

/// End all sessions of an account.
pub async fn log_out(node: &Node, caller: &Caller, id: Uuid) -> Result<()> {
    node.db
        .write(caller, async |tx| {
            find(tx, id).await?;
            end_all(tx, id).await
        })
        .await
}

/// Take a second factor away from an account whose holder lost it.
pub async fn remove_factor(node: &Node, caller: &Caller, id: Uuid, factor: Uuid) -> Result<Value> {
    node.db
        .write(caller, async |tx| {
            find(tx, id).await?;
            factors::withdraw(tx, id, factor).await
        })
        .await
}

/// An account as the operator's list has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
    pub role: Option<String>,
    pub tenant: Option<String>,
    pub is_confirmed: bool,
    pub is_banned: bool,
    pub has_factor: bool,
    pub closed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// Every account, closed ones too, for the command line.
pub async fn everybody(node: &Node) -> Result<Vec<Listed>> {
    let select = Statement::<Text>::new(
        "select json_build_object('id', u.id, 'email', coalesce(u.email, ''), 'name', u.name, 'role', p.role, \
         'tenant', t.name, 'is_confirmed', u.email_confirmed_at is not null, \
         'is_banned', coalesce(u.banned_until > now(), false), \
         'has_factor', exists (select from hub.factors f where f.user_id = u.id and f.verified_at is not null), \
         'closed_at', u.deleted_at, 'created_at', u.created_at, 'last_sign_in_at', u.last_sign_in_at)::text \
         from public.users u left join public.user_profile p on p.user_id = u.id \
         left join public.tenants t on t.id = p.organization_id order by u.created_at, u.id",
    );
    let rows: Vec<String> = node
        .db
        .read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await?;
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(Error::broken))
        .collect()
}

/// The account with this address, for the command line.
pub async fn by_address(node: &Node, email: &str) -> Result<Account> {
    let email = accounts::address(email)?;
    node.db
        .read(&Caller::Hub, async |tx| {
            accounts::by_email(tx, &email).await?.ok_or_else(|| {
                Error::missing("user_not_found", "There is no account with this address.")
            })
        })
        .await
}

/// Until when an account is banned.
pub fn banned_until(account: &Account) -> Option<DateTime<Utc>> {
    account
        .banned_until
        .as_deref()
        .filter(|_| account.is_banned)
        .and_then(|time| time.parse().ok())
}

async fn write(tx: &mut Tx, before: &Account, changes: &Changes, hash: Option<&str>) -> Result<()> {
    let mut set = Statement::new("update public.users set updated_at = now()");
    let mut ends = false;
    if let Some(email) = changes
        .email
        .as_ref()
        .filter(|email| **email != before.email)
    {
        set.sql(", email = ").text(email.clone());
        ends = true;
    }
    if let Some(hash) = hash {
        set.sql(", encrypted_password = ").text(hash);
        ends = true;
    }
    if changes.is_confirmed == Some(true) {
        set.sql(", email_confirmed_at = coalesce(email_confirmed_at, now())");
    }
    if let Some(data) = &changes.user_metadata {
        let data = accounts::described(merged(&before.user_metadata, Some(data.clone())))?;
        set.sql(", raw_user_meta_data = ")
            .text(data.to_string())
            .sql("::jsonb");
    }
    if let Some(data) = &changes.app_metadata {
        let data = accounts::described(merged(&before.app_metadata, Some(data.clone())))?;
        set.sql(", raw_app_meta_data = ")
            .text(data.to_string())
            .sql("::jsonb");
    }
    match changes.ban {
        // Its sessions end by trigger, whoever bans.
        Some(Ban::For(seconds)) => {
            set.sql(", banned_until = now() + make_interval(secs => ")
                .bind(Bind::Int(seconds))
                .sql(")");
        }
        Some(Ban::Lifted) => {
            set.sql(", banned_until = null");
        }
        None => {}
    }
    set.sql(" where id = ").bind(Bind::Uuid(before.id));
    tx.run(set).await?;
    if ends {
        end_all(tx, before.id).await?;
    }
    Ok(())
}

async fn end_all(tx: &mut Tx, account: Uuid) -> Result<()> {
    sessions::delete(tx, account, Uuid::nil(), sessions::Scope::Global).await
}

async fn find(tx: &mut Tx, id: Uuid) -> Result<Account> {
    accounts::by_id(tx, id).await?.ok_or_else(unknown)
}

fn merged(before: &Value, change: Option<Map<String, Value>>) -> Map<String, Value> {
    let mut data = before.as_object().cloned().unwrap_or_default();
    for (name, value) in change.unwrap_or_default() {
        if value.is_null() {
            data.shift_remove(&name);
        } else {
            data.insert(name, value);
        }
    }
    data
}

fn taken() -> Error {
    refusal(
        422,
        "email_exists",
        "A user with this email address has already been registered",
    )
}

fn unknown() -> Error {
    Error::missing("user_not_found", "User not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, seconds) in [
            ("24h", 86_400),
            ("1h30m", 5_400),
            ("45s", 45),
            ("876000h", FOREVER),
        ] {
            assert_eq!(Ban::read(text).unwrap(), Ban::For(seconds), "{text}");
        }
        assert_eq!(Ban::read("none").unwrap(), Ban::Lifted);
        for wrong in [
            "",
            "0h",
            "-1h",
            "h",
            "24",
            "1.5h",
            "24h ",
            "1d",
            "99999999999999999999h",
            "9223372036854775807h",
            "1ħ",
            "∞",
        ] {
            assert!(Ban::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_have_bounds() {
        assert_eq!(page_of(None, None), (1, 50));
        assert_eq!(page_of(Some(0), Some(0)), (1, 50));
        assert_eq!(page_of(Some(u32::MAX), Some(u32::MAX)), (1_000_000, 1000));
    }
}
