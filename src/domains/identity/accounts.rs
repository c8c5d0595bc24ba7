//! Accounts: how one comes to be (by sign-up, by the operator, by the first link), which ones may sign in.
//! Nothing here tells a stranger whether an address has an account (S-100), unless the answer cannot be kept from him.

use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::links::{self, Purpose};
use super::{passwords, refusal};
use crate::base::config::{Config, Signup};
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Db, Statement, Tx};

/// The longest address, and the longest description of themselves that people may send: it travels in every token.
const LONGEST_EMAIL: usize = 254;
const LONGEST_METADATA: usize = 4096;

/// The tenant that the first start makes.
const HOME: &str = "home";

/// An account as doors show it to its holder. Times are as the database writes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    pub id: Uuid,
    pub email: String,
    pub phone: Option<String>,
    #[serde(default)]
    pub(super) encrypted_password: Option<String>,
    pub app_metadata: Value,
    pub user_metadata: Value,
    pub is_anonymous: bool,
    pub is_banned: bool,
    pub email_confirmed_at: Option<String>,
    pub confirmation_sent_at: Option<String>,
    pub invited_at: Option<String>,
    pub last_sign_in_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// What an account may do in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in every tenant.
    Developer,
    /// Everything in the own tenant.
    Admin,
    /// The own rows.
    User,
}

/// Somebody who wants an account.
#[derive(Clone, Debug, Default)]
pub struct SignUp {
    pub email: String,
    pub password: String,
    /// What he tells of himself; `full_name` becomes his profile's, `invitation` is used up.
    pub data: Map<String, Value>,
}

/// What became of a sign-up.
#[derive(Debug)]
pub enum SignedUp {
    /// The account stands and its holder is in.
    In(Box<Account>),
    /// Nothing more to do here: a mail or the operator decides. Or there was such an account all along.
    Waiting(Box<Account>),
}

/// An account to be made.
struct New<'a> {
    id: Uuid,
    email: &'a str,
    /// The hash.
    password: &'a str,
    name: Option<&'a str>,
    handle: Option<&'a str>,
    data: Value,
    is_confirmed: bool,
    is_approved: bool,
    /// None: developer for the first one, user for the others.
    role: Option<Role>,
}

impl Account {
    /// As GoTrue shows a user.
    pub fn shown(&self) -> Value {
        let is_verified = self.email_confirmed_at.is_some();
        json!({
            "id": self.id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email,
            "email_confirmed_at": self.email_confirmed_at,
            "phone": self.phone.as_deref().unwrap_or_default(),
            "confirmation_sent_at": self.confirmation_sent_at,
            "confirmed_at": self.email_confirmed_at,
            "invited_at": self.invited_at,
            "last_sign_in_at": self.last_sign_in_at,
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": [{
                "identity_id": self.id,
                "id": self.id,
                "user_id": self.id,
                "identity_data": {
                    "email": self.email, "email_verified": is_verified, "phone_verified": false, "sub": self.id,
                },
                "provider": "email",
                "email": self.email,
                "last_sign_in_at": self.last_sign_in_at.as_ref().unwrap_or(&self.created_at),
                "created_at": self.created_at,
                "updated_at": self.updated_at,
            }],
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "is_anonymous": self.is_anonymous,
        })
    }

    /// Whether its holder may sign in; why not, said only to whom knows the password.
    pub fn may_sign_in(&self) -> Result<()> {
        if self.is_banned {
            return Err(refusal(400, "user_banned", "User is banned"));
        }
        if self.email_confirmed_at.is_none() {
            return Err(refusal(400, "email_not_confirmed", "Email not confirmed"));
        }
        if self.app_metadata.get("approved") == Some(&Value::Bool(false)) {
            return Err(refusal(
                403,
                "user_not_approved",
                "This account waits for the operator's approval.",
            ));
        }
        Ok(())
    }
}

/// Make an account for whoever asks, as far as the settings allow.
pub async fn sign_up(db: &Db, config: &Config, wanted: SignUp) -> Result<SignedUp> {
    let SignUp {
        email,
        password,
        mut data,
    } = wanted;
    if config.signup == Signup::Closed {
        return Err(refusal(
            422,
            "signup_disabled",
            "Signups not allowed for this instance",
        ));
    }
    let email = address(&email)?;
    passwords::check(&password, &email)?;
    let invitation = match data.shift_remove("invitation") {
        Some(Value::String(token)) => token,
        _ => String::new(),
    };
    let data = described(data)?;
    let name = data
        .get("full_name")
        .or_else(|| data.get("name"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let by_invitation = config.signup == Signup::Invite;
    if by_invitation
        && !db
            .read(&Caller::Hub, async |tx| {
                links::works(tx, Purpose::Invitation, &invitation, &email).await
            })
            .await?
    {
        return Err(not_invited());
    }
    let is_in = config.autoconfirm && config.signup != Signup::Approval;

    let password = passwords::hash(&password).await?;
    let id = Uuid::now_v7();
    let made = db
        .write(&Caller::Hub, async |tx| {
            let made = make(
                tx,
                New {
                    id,
                    email: &email,
                    password: &password,
                    name: name.as_deref(),
                    handle: None,
                    data: data.clone(),
                    is_confirmed: config.autoconfirm,
                    is_approved: config.signup != Signup::Approval,
                    role: None,
                },
            )
            .await?;
            if by_invitation
                && made.is_some()
                && !links::take(tx, Purpose::Invitation, &invitation, &email, id).await?
            {
                return Err(not_invited());
            }
            Ok(made)
        })
        .await?;

    match made {
        Some(account) if is_in => Ok(SignedUp::In(Box::new(account))),
        Some(account) => Ok(SignedUp::Waiting(Box::new(account))),
        None if is_in => Err(refusal(
            422,
            "user_already_exists",
            "User already registered",
        )),
        None => Ok(SignedUp::Waiting(Box::new(pretended(
            id, &email, data, config,
        )))),
    }
}

/// Make an account as the operator; its address needs no proof.
pub async fn add(
    db: &Db,
    name: &str,
    email: &str,
    password: &str,
    role: Option<Role>,
) -> Result<(Account, Role)> {
    let email = address(email)?;
    let name = name.trim();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(refusal(
            422,
            "validation_failed",
            "A name has 1 to 200 characters and no control characters.",
        ));
    }
    passwords::check(password, &email)?;

    let password = passwords::hash(password).await?;
    let handle = handle_of(name);
    let id = Uuid::now_v7();
    db.write(&Caller::Hub, async |tx| {
        let made = make(
            tx,
            New {
                id,
                email: &email,
                password: &password,
                name: Some(name),
                handle: handle.as_deref(),
                data: json!({ "full_name": name }),
                is_confirmed: true,
                is_approved: true,
                role,
            },
        )
        .await?
        .ok_or_else(|| {
            refusal(
                422,
                "email_exists",
                "An account with this address exists already.",
            )
        })?;
        let role = role_of(tx, made.id).await?;
        Ok((made, role))
    })
    .await
}

/// The secret of the link that makes the first account; none once there is one. Earlier links stop working.
pub async fn first_link(db: &Db) -> Result<Option<String>> {
    db.write(&Caller::Hub, async |tx| {
        ensure_home(tx).await?;
        if first_is_made(tx).await? {
            return Ok(None);
        }
        links::withdraw(tx, Purpose::FirstAccount).await?;
        links::make(tx, Purpose::FirstAccount, None).await.map(Some)
    })
    .await
}

/// Make the first account with the secret of its link. It becomes the hub's developer.
pub async fn first_account(db: &Db, token: &str, email: &str, password: &str) -> Result<Account> {
    // Before anything that costs: who does not hold the link learns nothing and makes us compute nothing.
    let works = async |tx: &mut Tx| links::works(tx, Purpose::FirstAccount, token, "").await;
    if !db.read(&Caller::Hub, works).await? {
        return Err(link_is_over());
    }
    let email = address(email)?;
    passwords::check(password, &email)?;

    let password = passwords::hash(password).await?;
    let id = Uuid::now_v7();
    db.write(&Caller::Hub, async |tx| {
        let home = ensure_home(tx).await?;
        if first_is_made(tx).await?
            || !links::take(tx, Purpose::FirstAccount, token, "", id).await?
        {
            return Err(link_is_over());
        }
        tracing::info!(event = "first_account", tenant = %home);
        make(
            tx,
            New {
                id,
                email: &email,
                password: &password,
                name: None,
                handle: None,
                data: json!({}),
                is_confirmed: true,
                is_approved: true,
                role: Some(Role::Developer),
            },
        )
        .await?
        .ok_or_else(|| {
            refusal(
                422,
                "user_already_exists",
                "An account with this address exists already.",
            )
        })
    })
    .await
}

/// Invite somebody to a hub that is closed to others; what he signs up with as `data.invitation`.
pub async fn invite(db: &Db, email: Option<&str>) -> Result<String> {
    let email = email.map(address).transpose()?;
    db.write(&Caller::Hub, async |tx| {
        links::make(tx, Purpose::Invitation, email.clone()).await
    })
    .await
}

/// Let an account in: the operator vouches for its address and its holder.
pub async fn approve(db: &Db, email: &str) -> Result<Account> {
    let email = address(email)?;
    db.write(&Caller::Hub, async |tx| {
        let account = by_email(tx, &email).await?.ok_or_else(|| {
            Error::missing("user_not_found", "There is no account with this address.")
        })?;
        let mut update = Statement::new(
            "update public.users set raw_app_meta_data = coalesce(raw_app_meta_data, '{}') - 'approved', \
             email_confirmed_at = coalesce(email_confirmed_at, now()) where id = ",
        );
        update.bind(Bind::Uuid(account.id));
        tx.run(update).await?;
        by_id(tx, account.id).await?.ok_or_else(gone)
    })
    .await
}

/// The tenant of whoever signs up; the first who asks makes it, and those who come meanwhile wait for him.
pub async fn ensure_home(tx: &mut Tx) -> Result<Uuid> {
    let mut claim =
        Statement::new("insert into hub.settings (name, value) values ('home_tenant', to_jsonb(");
    claim
        .bind(Bind::Uuid(Uuid::now_v7()))
        .sql("::uuid)) on conflict (name) do nothing");
    let is_new = tx.run(claim).await? == 1;

    let read = Statement::<diesel::sql_types::Uuid>::new(
        "select (value #>> '{}')::uuid from hub.settings where name = 'home_tenant' for update",
    );
    let ids: Vec<Uuid> = tx.load(read).await?;
    let id = ids
        .into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the home tenant has no id")))?;
    if is_new {
        let mut insert = Statement::new("insert into public.tenants (id, name) values (");
        insert.bind(Bind::Uuid(id)).sql(", ").text(HOME).sql(")");
        tx.run(insert).await?;
    }
    Ok(id)
}

/// The account with this address, which must be in normal form.
pub(super) async fn by_email(tx: &mut Tx, email: &str) -> Result<Option<Account>> {
    let mut which = Statement::new("lower(email) = lower(");
    which.text(email).sql(")");
    find(tx, which).await
}

/// The account with this id.
pub(super) async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Account>> {
    let mut which = Statement::new("id = ");
    which.bind(Bind::Uuid(id));
    find(tx, which).await
}

/// Note that its holder signed in, and keep the password at today's cost if it was rehashed.
pub(super) async fn signed_in(tx: &mut Tx, id: Uuid, rehashed: Option<&str>) -> Result<()> {
    let mut update = Statement::new("update public.users set last_sign_in_at = now()");
    if let Some(hash) = rehashed {
        update.sql(", encrypted_password = ").text(hash);
    }
    update.sql(" where id = ").bind(Bind::Uuid(id));
    tx.run(update).await.map(|_| ())
}

/// An address in normal form.
pub(super) fn address(given: &str) -> Result<String> {
    let wrong = || {
        refusal(
            400,
            "validation_failed",
            "Unable to validate email address: invalid format",
        )
    };
    if given.len() > LONGEST_EMAIL {
        return Err(wrong());
    }
    let email = given.trim().to_lowercase();
    let (local, domain) = email.split_once('@').ok_or_else(wrong)?;
    let is_dotted_well =
        |part: &str| !part.is_empty() && part.split('.').all(|piece| !piece.is_empty());
    let is_fine = is_dotted_well(local)
        && local.len() <= 64
        && local
            .chars()
            .all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c))
        && is_dotted_well(domain)
        && domain
            .chars()
            .all(|c| c.is_alphanumeric() || c == '.' || c == '-')
        && !domain.starts_with('-')
        && !domain.ends_with('-')
        && email.len() <= LONGEST_EMAIL;
    if is_fine { Ok(email) } else { Err(wrong()) }
}

/// What somebody tells of himself, if it can be kept.
pub(super) fn described(data: Map<String, Value>) -> Result<Value> {
    let data = Value::Object(data);
    let text = data.to_string();
    if text.len() > LONGEST_METADATA {
        return Err(refusal(
            422,
            "validation_failed",
            "data holds more than 4096 bytes.",
        ));
    }
    // How JSON writes the one character that PostgreSQL's text cannot hold; a backslash before it makes it harmless.
    if holds_nul(&data) {
        return Err(refusal(
            400,
            "validation_failed",
            "data holds a NUL character.",
        ));
    }
    Ok(data)
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(map) => map
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Write the rows of an account; none when the address is taken.
async fn make(tx: &mut Tx, new: New<'_>) -> Result<Option<Account>> {
    let home = ensure_home(tx).await?;
    let mut app = json!({ "provider": "email", "providers": ["email"] });
    if !new.is_approved {
        app["approved"] = Value::Bool(false);
    }

    let mut insert = Statement::new(
        "insert into public.users (id, aud, role, email, encrypted_password, name, handle, raw_app_meta_data, \
         raw_user_meta_data, email_confirmed_at, confirmation_sent_at) select ",
    );
    insert
        .bind(Bind::Uuid(new.id))
        .sql(", 'authenticated', 'authenticated', ")
        .text(new.email)
        .sql(", ")
        .text(new.password)
        .sql(", ")
        .bind(Bind::Text(new.name.map(str::to_owned)))
        .sql(", ")
        .bind(Bind::Text(new.handle.map(str::to_owned)))
        .sql(", ")
        .text(app.to_string())
        .sql("::text::jsonb, ")
        .text(new.data.to_string())
        .sql(if new.is_confirmed {
            "::text::jsonb, now(), null"
        } else {
            "::text::jsonb, null, now()"
        })
        .sql(" on conflict (lower(email)) where deleted_at is null do nothing");
    if tx.run(insert).await? == 0 {
        return Ok(None);
    }

    let is_first = matches!(new.role, None | Some(Role::Developer)) && claim_first(tx, new.id).await?;
    let role = match new.role {
        Some(Role::Developer) => "developer",
        Some(Role::Admin) => "admin",
        None if is_first => "developer",
        Some(Role::User) | None => "user",
    };
    // The profile first: the hub itself names an account by what it shows.
    let mut profile = Statement::new("insert into public.profiles (id, full_name) values (");
    profile
        .bind(Bind::Uuid(new.id))
        .sql(", ")
        .bind(Bind::Text(new.name.map(str::to_owned)))
        .sql(")");
    tx.run(profile).await?;
    let mut place =
        Statement::new("insert into public.user_profile (organization_id, user_id, role) values (");
    place
        .bind(Bind::Uuid(home))
        .sql(", ")
        .bind(Bind::Uuid(new.id))
        .sql(", ")
        .text(role)
        .sql(")");
    tx.run(place).await?;

    by_id(tx, new.id).await?.ok_or_else(gone).map(Some)
}

/// Be the first account, once in the life of a hub. Whoever asks holds the row of the home tenant.
async fn claim_first(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let mut claim =
        Statement::new("insert into hub.settings (name, value) select 'first_account', to_jsonb(");
    claim
        .bind(Bind::Uuid(id))
        .sql("::uuid) on conflict (name) do nothing");
    Ok(tx.run(claim).await? == 1)
}

async fn first_is_made(tx: &mut Tx) -> Result<bool> {
    let select =
        Statement::<Text>::new("select name from hub.settings where name = 'first_account'");
    Ok(!tx.load::<_, String>(select).await?.is_empty())
}

async fn role_of(tx: &mut Tx, id: Uuid) -> Result<Role> {
    let mut select =
        Statement::<Text>::new("select role from public.user_profile where user_id = ");
    select.bind(Bind::Uuid(id));
    let roles: Vec<String> = tx.load(select).await?;
    Ok(match roles.first().map(String::as_str) {
        Some("developer") => Role::Developer,
        Some("admin") => Role::Admin,
        _ => Role::User,
    })
}

async fn find(tx: &mut Tx, which: Statement) -> Result<Option<Account>> {
    let mut select = Statement::<Text>::new(
        "select json_build_object('id', id, 'email', coalesce(email, ''), 'phone', phone, \
         'encrypted_password', encrypted_password, \
         'app_metadata', coalesce(raw_app_meta_data, '{}'), 'user_metadata', coalesce(raw_user_meta_data, '{}'), \
         'is_anonymous', is_anonymous, 'is_banned', coalesce(banned_until > now(), false), \
         'email_confirmed_at', email_confirmed_at, 'confirmation_sent_at', confirmation_sent_at, \
         'invited_at', invited_at, 'last_sign_in_at', last_sign_in_at, \
         'created_at', created_at, 'updated_at', updated_at)::text \
         from public.users where deleted_at is null and ",
    );
    select.append(which);
    let rows: Vec<String> = tx.load(select).await?;
    rows.first()
        .map(|row| serde_json::from_str(row).map_err(Error::broken))
        .transpose()
}

/// What a sign-up is answered with when the account is somebody's already: the like of a new one, down to the last key.
fn pretended(id: Uuid, email: &str, data: Value, config: &Config) -> Account {
    let now = clock::now()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
        .to_owned();
    let mut app = json!({ "provider": "email", "providers": ["email"] });
    if config.signup == Signup::Approval {
        app["approved"] = Value::Bool(false);
    }
    Account {
        id,
        email: email.to_owned(),
        phone: None,
        encrypted_password: None,
        app_metadata: app,
        user_metadata: data,
        is_anonymous: false,
        is_banned: false,
        email_confirmed_at: config.autoconfirm.then(|| now.clone()),
        confirmation_sent_at: (!config.autoconfirm).then(|| now.clone()),
        invited_at: None,
        last_sign_in_at: None,
        created_at: now.clone(),
        updated_at: now,
    }
}

/// `Ada Lovelace` is mentioned as `ada_lovelace`.
fn handle_of(name: &str) -> Option<String> {
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let handle = words.join("_");
    (!handle.is_empty()).then_some(handle)
}

fn not_invited() -> Error {
    refusal(
        403,
        "invite_not_found",
        "New accounts of this hub need an invitation that was not used yet.",
    )
}

fn link_is_over() -> Error {
    refusal(
        403,
        "first_account.link_is_over",
        "This link was used, is too old, or never was one. Start the hub again for a new one.",
    )
}

#[track_caller]
fn gone() -> Error {
    Error::broken(anyhow::anyhow!("an account vanished while it was made"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_to_one_form() {
        for (given, expected) in [
            ("Anna@Example.ORG", "anna@example.org"),
            (" o'neil+tag@mail.example ", "o'neil+tag@mail.example"),
            ("root@localhost", "root@localhost"),
            ("jürgen@bücher.example", "jürgen@bücher.example"),
        ] {
            assert_eq!(address(given).unwrap(), expected);
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}", "b.".repeat(130));
        for wrong in [
            "", "@", "a", "a@", "@b", "a@b@c", "a b@c.d", "a\0@b.c", "a@b\n.c", "a@b..c", ".a@b.c",
            "a@-b.c", "a\u{202e}@b.c", "<a@b.c>", "a@b.c,d@e.f", &long, &longer,
        ] {
            assert!(address(wrong).unwrap_err().is("validation_failed"), "{wrong}");
        }
    }

    #[test]
    fn a_pretended_account_looks_like_a_new_one() {
        let config = crate::base::config::load(&Default::default()).unwrap();
        let shown = pretended(Uuid::nil(), "a@b.example", json!({ "x": 1 }), &config).shown();
        assert_eq!(shown["identities"][0]["provider"], "email");
        assert_eq!(shown["user_metadata"]["x"], 1);
        assert_eq!(shown["email_confirmed_at"], Value::Null);
        assert!(shown.get("encrypted_password").is_none());
    }

    #[test]
    fn descriptions_fit_a_token_and_a_column() {
        let with = |value: Value| described(Map::from_iter([("a".to_owned(), value)]));
        assert!(with(json!("fine \\u0000")).is_ok());
        assert!(with(json!(["\0"])).is_err());
        assert!(with(json!("x".repeat(5000))).is_err());
    }

    #[test]
    fn names_make_handles() {
        assert_eq!(handle_of("Ada Lovelace").as_deref(), Some("ada_lovelace"));
        assert_eq!(handle_of("bruno").as_deref(), Some("bruno"));
        assert_eq!(handle_of("!!!"), None);
    }
}
