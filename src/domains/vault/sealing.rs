//! What clients write in clear is sealed before it is stored: one table of kinds and columns, plugged in before generic
//! writes. The column then holds the vault id. When a row goes, or names another secret, `50_vault.sql` forgets the old.
//!
//! A vault id that a client writes links nothing unless the secret is his own and was kept for that very column; whatever
//! else he writes is sealed as it stands.

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::base::secret::Secret;
use crate::base::{Caller, Error, Result};
use crate::db::vault::{self, New};
use crate::db::{Bind, Db, Statement, Tx};
use crate::kinds::ask::Rows;
use crate::kinds::plan::Verb;
use crate::kinds::verbs::{Hook, Later};

/// How much of a value is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// All of it: the column holds the vault id.
    Whole,
    /// What looks like a secret anywhere in it: `{"vault_id": …}` stands in its place.
    Within,
}

/// The secret columns of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    pub kind: &'static str,
    pub owner: &'static str,
    pub columns: &'static [(&'static str, Manner)],
}

/// Every column that is sealed.
pub const SEALED: [Sealed; 5] = [
    Sealed {
        kind: "key_store",
        owner: "user_id",
        columns: &[("api_key", Manner::Whole)],
    },
    Sealed {
        kind: "user_calendar_tokens",
        owner: "user_id",
        columns: &[
            ("access_token", Manner::Whole),
            ("refresh_token", Manner::Whole),
        ],
    },
    Sealed {
        kind: "user_integration_credentials",
        owner: "user_id",
        columns: &[("connection_metadata", Manner::Within)],
    },
    Sealed {
        kind: "channels",
        owner: "owner_id",
        columns: &[("config", Manner::Within)],
    },
    Sealed {
        kind: "datastores",
        owner: "created_by_user_id",
        columns: &[("config", Manner::Within)],
    },
];

/// The socket's entries for [`SEALED`].
pub const HOOKS: &[Hook] = &[
    hook::<0>(),
    hook::<1>(),
    hook::<2>(),
    hook::<3>(),
    hook::<4>(),
];

/// The most secrets in one value.
const MOST: usize = 100;

/// The setting that says that nothing lies in clear since before columns were sealed.
const CAUGHT_UP: &str = "vault_sealed";

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated while the hub is compiled"
)]
const fn hook<const AT: usize>() -> Hook {
    Hook {
        kind: SEALED[AT].kind,
        before: Some(before::<AT>),
        after: None,
    }
}

fn before<const AT: usize>(tx: &mut Tx, _: Verb, rows: Rows) -> Later<'_, Rows> {
    Box::pin(async move {
        match SEALED.get(AT) {
            Some(sealed) => seal(tx, sealed, rows).await,
            None => Ok(rows),
        }
    })
}

async fn seal(tx: &mut Tx, sealed: &Sealed, mut rows: Rows) -> Result<Rows> {
    let is_touched = |row: &Map<String, Value>| {
        let mut columns = sealed.columns.iter();
        columns.any(|(column, _)| row.get(*column).is_some_and(|value| !value.is_null()))
    };
    if !rows.iter().any(is_touched) {
        return Ok(rows);
    }
    let person = tx.person().await?;
    // With the hub's rights once, not anew for each secret.
    tx.as_hub(async |tx| {
        for row in &mut rows {
            seal_row(tx, sealed, person, row).await?;
        }
        Ok(())
    })
    .await?;
    Ok(rows)
}

async fn seal_row(
    tx: &mut Tx,
    sealed: &Sealed,
    person: Option<Uuid>,
    row: &mut Map<String, Value>,
) -> Result<()> {
    let named = row.get(sealed.owner).and_then(Value::as_str);
    let owner = named.and_then(|id| id.parse().ok()).or(person);
    for (column, manner) in sealed.columns {
        if let Some(value) = row.get_mut(*column) {
            let purpose = format!("{}.{column}", sealed.kind);
            match manner {
                Manner::Whole => whole(tx, owner, &purpose, value).await?,
                Manner::Within => within(tx, owner, &purpose, value).await?,
            }
        }
    }
    Ok(())
}

/// Seal what lies in clear since before columns were sealed. Done once; how many rows it changed.
pub async fn catch_up(db: &Db) -> Result<u64> {
    let is_done = Statement::<Bool>::new(format!(
        "select exists (select from hub.settings where name = '{CAUGHT_UP}')"
    ));
    let is_done: Vec<bool> = db
        .read(&Caller::Hub, async |tx| tx.load(is_done.clone()).await)
        .await?;
    if is_done == [true] {
        return Ok(0);
    }
    let mut changed = 0;
    for sealed in &SEALED {
        let mut after = Uuid::nil();
        loop {
            let (last, sealed_rows) = db
                .write(&Caller::Hub, async |tx| seal_after(tx, sealed, after).await)
                .await?;
            changed += sealed_rows;
            let Some(last) = last else { break };
            after = last;
        }
    }
    let note = Statement::new(format!(
        "insert into hub.settings (name, value) values ('{CAUGHT_UP}', 'true') on conflict (name) do nothing"
    ));
    db.write(&Caller::Hub, async |tx| tx.run(note.clone()).await)
        .await?;
    Ok(changed)
}

async fn seal_after(tx: &mut Tx, sealed: &Sealed, after: Uuid) -> Result<(Option<Uuid>, u64)> {
    let (mut shown, mut in_clear) = (Vec::new(), Vec::new());
    for (column, manner) in sealed.columns {
        shown.push(format!("'{column}', t.{column}"));
        in_clear.push(match manner {
            Manner::Whole => format!(
                "(t.{column} is not null and not exists (select from public.vault_secrets v where v.vault_id = t.{column}))"
            ),
            Manner::Within => format!("t.{column} is not null"),
        });
    }
    let mut select = Statement::<(SqlUuid, Text)>::new(format!(
        "select t.id, jsonb_build_object('{0}', t.{0}, {1})::text from public.{2} t where ({3}) and t.id > ",
        sealed.owner,
        shown.join(", "),
        sealed.kind,
        in_clear.join(" or "),
    ));
    select
        .bind(Bind::Uuid(after))
        .sql(" order by t.id limit 200 for update");
    let rows: Vec<(Uuid, String)> = tx.load(select).await?;
    let last = rows.last().map(|(id, _)| *id);

    let mut changed = 0;
    for (id, row) in rows {
        let before: Map<String, Value> = serde_json::from_str(&row).map_err(Error::broken)?;
        let mut now = before.clone();
        // A column that holds a vault id already keeps it.
        for (column, manner) in sealed.columns {
            let held = now.get(*column).and_then(Value::as_str);
            if *manner == Manner::Whole
                && let Some(id) = held.and_then(|id| id.parse().ok())
                && is_own(tx, None, &format!("{}.{column}", sealed.kind), id).await?
            {
                now.remove(*column);
            }
        }
        seal_row(tx, sealed, None, &mut now).await?;
        for (column, value) in &now {
            if before.get(column) == Some(value) {
                continue;
            }
            let mut update =
                Statement::new(format!("update public.{} set {column} = ", sealed.kind));
            match value {
                Value::String(text) => update.text(text.clone()),
                other => update.text(other.to_string()).sql("::jsonb"),
            };
            update.sql(" where id = ").bind(Bind::Uuid(id));
            tx.run(update).await?;
            changed += 1;
        }
    }
    Ok((last, changed))
}

/// Put the vault id in the place of a value.
async fn whole(tx: &mut Tx, owner: Option<Uuid>, purpose: &str, value: &mut Value) -> Result<()> {
    if !value.is_null() {
        *value = json!(keep(tx, owner, purpose, value).await?);
    }
    Ok(())
}

/// Put vault ids in the place of everything secret in a value.
pub async fn within(
    tx: &mut Tx,
    owner: Option<Uuid>,
    purpose: &str,
    value: &mut Value,
) -> Result<()> {
    // A form or a line of CSV brings JSON as text.
    if let Some(read) = value.as_str().and_then(|text| {
        serde_json::from_str::<Value>(text)
            .ok()
            .filter(|read| read.is_object() || read.is_array())
    }) {
        *value = read;
    }
    let mut places = Vec::new();
    secret_places(value, "", false, &mut places);
    if places.len() > MOST {
        let why = format!("One value holds at most {MOST} secrets.");
        return Err(Error::invalid("vault.too_many", why));
    }
    for place in places {
        let Some(found) = value.pointer_mut(&place) else {
            continue;
        };
        if let Some(id) = linked(found)
            && is_own(tx, owner, purpose, id).await?
        {
            continue;
        }
        let id = keep(tx, owner, purpose, found).await?;
        *found = match found {
            Value::String(_) => json!({ "vault_id": id }),
            _ => json!({ "vault_id": id, "is_json": true }),
        };
    }
    Ok(())
}

async fn keep(tx: &mut Tx, owner: Option<Uuid>, purpose: &str, value: &Value) -> Result<Uuid> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let new = New {
        owner,
        purpose,
        ..New::default()
    };
    vault::keep(tx, new, &Secret::new(text)).await
}

/// The secret that a value stands for, where it has that form.
pub fn linked(value: &Value) -> Option<Uuid> {
    let object = value.as_object()?;
    let is_link = object
        .iter()
        .all(|(key, value)| key == "vault_id" || (key == "is_json" && value.is_boolean()));
    let id = object.get("vault_id")?.as_str()?;
    is_link.then(|| id.parse().ok()).flatten()
}

/// Whether a secret is this owner's and was kept for this purpose. The hub itself may name everybody's.
async fn is_own(tx: &mut Tx, owner: Option<Uuid>, purpose: &str, id: Uuid) -> Result<bool> {
    let mut own =
        Statement::<Bool>::new("select exists (select from public.vault_secrets where id = ");
    own.bind(Bind::Uuid(id))
        .sql(" and purpose = ")
        .text(purpose);
    if let Some(owner) = owner {
        own.sql(" and owner_id = ").bind(Bind::Uuid(owner));
    }
    own.sql(")");
    let own: Vec<bool> = tx.as_hub(async |tx| tx.load(own.clone()).await).await?;
    Ok(own == [true])
}

/// Where in a value secrets stand, as JSON pointers. Whatever calls itself a vault id is looked at too.
fn secret_places(value: &Value, at: &str, is_secret: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(object) if object.contains_key("vault_id") => found.push(at.to_owned()),
        Value::Object(_) | Value::Array(_) if is_secret => found.push(at.to_owned()),
        Value::Object(object) => {
            for (key, value) in object {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                let is_secret = is_secret_name(key, value);
                secret_places(value, &format!("{at}/{escaped}"), is_secret, found);
            }
        }
        Value::Array(list) => {
            for (number, value) in list.iter().enumerate() {
                secret_places(value, &format!("{at}/{number}"), false, found);
            }
        }
        // A text in the place of settings is a connection string or something like it.
        Value::String(text) if is_secret || at.is_empty() || has_password(text) => {
            found.push(at.to_owned());
        }
        Value::Number(_) if is_secret => found.push(at.to_owned()),
        _ => {}
    }
}

/// Whether a key says that its value is secret.
fn is_secret_name(key: &str, value: &Value) -> bool {
    let name: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let counts = [
        "max", "min", "limit", "count", "size", "length", "budget", "expire", "ttl",
    ];
    if value.is_number() && (name.ends_with("tokens") || counts.iter().any(|c| name.contains(c))) {
        return false;
    }
    const PARTS: [&str; 16] = [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "connectionstring",
        "credential",
        "authorization",
        "bearer",
        "cookie",
    ];
    const WHOLE: [&str; 8] = ["key", "pass", "pwd", "pin", "auth", "dsn", "jwt", "sas"];
    PARTS.iter().any(|part| name.contains(part)) || WHOLE.contains(&name.as_str())
}

/// Whether a text is an address with a password in it.
fn has_password(text: &str) -> bool {
    text.contains("://") && url::Url::parse(text.trim()).is_ok_and(|url| url.password().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(value: Value) -> Vec<String> {
        let mut found = Vec::new();
        secret_places(&value, "", false, &mut found);
        found
    }

    #[test]
    fn secrets_are_found_by_name_at_any_depth() {
        let config = json!({
            "api_key": "a", "environment": "eu", "index": { "name": "x", "Client-Secret": "b" },
            "accounts": [{ "user": "u", "password": "c" }, { "password": 7 }],
            "credentials": { "user": "u", "pass": "d" }, "headers": { "X-API-Key": "e" },
            "url": "postgres://u:p@h/d", "home": "https://h/d", "max_tokens": 5, "tokens": null, "a/b": { "token": "f" },
            "use_token": true
        });
        assert_eq!(
            places(config),
            [
                "/api_key",
                "/index/Client-Secret",
                "/accounts/0/password",
                "/accounts/1/password",
                "/credentials",
                "/headers/X-API-Key",
                "/url",
                "/a~1b/token"
            ]
        );
        assert_eq!(places(json!("Server=h;Pwd=x")), [""]);
        assert_eq!(
            places(json!({ "environment": { "vault_id": "x" } })),
            ["/environment"]
        );
        assert!(places(json!(null)).is_empty() && places(json!(3)).is_empty());
    }

    #[test]
    fn only_the_exact_form_is_a_link() {
        let id = Uuid::now_v7();
        assert_eq!(linked(&json!({ "vault_id": id })), Some(id));
        assert_eq!(
            linked(&json!({ "vault_id": id, "is_json": true })),
            Some(id)
        );
        for other in [
            json!({ "vault_id": "x" }),
            json!({ "vault_id": id, "more": 1 }),
            json!({ "vault_id": { "vault_id": id } }),
            json!(id),
        ] {
            assert_eq!(linked(&other), None, "{other}");
        }
    }

    #[test]
    fn each_kind_has_its_hook() {
        let hooked: Vec<&str> = HOOKS.iter().map(|hook| hook.kind).collect();
        let sealed: Vec<&str> = SEALED.iter().map(|sealed| sealed.kind).collect();
        assert_eq!(hooked, sealed);
    }
}
