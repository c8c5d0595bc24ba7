//! Accounts: how one comes to be (by sign-up, by the operator, by the first link), which ones may sign in.
//! Nothing here tells a stranger whether an address has an account (S-100), unless the answer cannot be kept from him.

use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::links::{self, Purpose};
use super::mails::{self, About, SendMail};
use super::passwords::{self, Verdict};
use super::sessions::Origin;
use super::{attempts, refusal};
use crate::base::config::Signup;
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement, Tx};
use crate::node::Node;

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
    #[serde(default)]
    pub banned_until: Option<String>,
    #[serde(default)]
    pub factors: Option<Value>,
    pub email_confirmed_at: Option<String>,
    pub confirmation_sent_at: Option<String>,
    /// The address that it is to get.
    #[serde(default)]
    pub new_email: Option<String>,
    #[serde(default)]
    pub email_change_sent_at: Option<String>,
    #[serde(default)]
    pub recovery_sent_at: Option<String>,
    #[serde(default)]
    pub reauthentication_sent_at: Option<String>,
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

impl Role {
    /// As `user_profile.role` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::User => "user",
        }
    }
}

/// Somebody who wants an account.
#[derive(Clone, Debug, Default)]
pub struct SignUp {
    pub email: String,
    pub password: String,
    /// What he tells of himself; `full_name` becomes his profile's, `invitation` is used up.
    pub data: Map<String, Value>,
    /// Where the link of the letter leads back to.
    pub redirect_to: Option<String>,
    pub code_challenge: Option<String>,
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
pub(super) struct New<'a> {
    pub(super) id: Uuid,
    pub(super) email: &'a str,
    /// The hash; none for who signs in by mail.
    pub(super) password: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) handle: Option<&'a str>,
    pub(super) data: Value,
    pub(super) is_confirmed: bool,
    pub(super) is_approved: bool,
    /// None: developer for the first one, user for the others.
    pub(super) role: Option<Role>,
}

impl New<'_> {
    fn app_metadata(&self) -> Value {
        if self.is_approved {
            json!({ "provider": "email", "providers": ["email"] })
        } else {
            json!({ "provider": "email", "providers": ["email"], "approved": false })
        }
    }

    /// When its address was confirmed, and when it was asked to be.
    fn times(&self) -> &'static str {
        if self.is_confirmed {
            "now() as email_confirmed_at, null::timestamptz as confirmation_sent_at"
        } else {
            "null::timestamptz as email_confirmed_at, now() as confirmation_sent_at"
        }
    }
}

impl Account {
    /// As GoTrue shows a user.
    pub fn shown(&self) -> Value {
        let is_verified = self.email_confirmed_at.is_some();
        let mut shown = json!({
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
        });
        // As in the dialect, what is not under way is not mentioned.
        let under_way = [
            ("new_email", &self.new_email),
            ("email_change_sent_at", &self.email_change_sent_at),
            ("recovery_sent_at", &self.recovery_sent_at),
            ("reauthentication_sent_at", &self.reauthentication_sent_at),
            ("banned_until", &self.banned_until),
        ];
        if let Value::Object(shown) = &mut shown {
            for (name, value) in under_way {
                if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                    shown.insert(name.to_owned(), value.into());
                }
            }
            if let Some(factors) = &self.factors {
                shown.insert("factors".to_owned(), factors.clone());
            }
        }
        shown
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

/// Make an account for whoever asks, as far as the settings allow. Whether the address has an account already, no
/// answer and no statement tells, unless who signs up is in at once.
pub async fn sign_up(node: &Node, wanted: SignUp, from: &Origin) -> Result<SignedUp> {
    let (db, config) = (&node.db, &node.config);
    let SignUp {
        email,
        password,
        mut data,
        redirect_to,
        code_challenge,
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
    let (is_invited, unproven) = db
        .write(&Caller::Hub, async |tx| {
            attempts::may_mail(tx, node, &email, from.address).await?;
            let is_invited = !by_invitation
                || links::works(tx, Purpose::Invitation, &invitation, &email).await?;
            Ok((is_invited, unproven_password(tx, &email).await?))
        })
        .await?;
    if !is_invited {
        return Err(not_invited());
    }
    let is_in = config.autoconfirm && config.signup != Signup::Approval;

    // One computation either way. Two who sign up with one address that nobody proved and with different passwords:
    // then neither password counts, so that nobody prepares an account for another one to confirm.
    let (password, contested) = match unproven {
        None => (Some(passwords::hash(&password).await?), String::new()),
        Some(kept) => match passwords::verify(&password, Some(kept.clone())).await? {
            Verdict::Wrong => (None, kept),
            Verdict::Right | Verdict::RightButWeaklyKept => (Some(kept), String::new()),
        },
    };
    let new = New {
        id: Uuid::now_v7(),
        email: &email,
        password: password.as_deref(),
        name: name.as_deref(),
        handle: None,
        data,
        is_confirmed: config.autoconfirm,
        is_approved: config.signup != Signup::Approval,
        role: None,
    };
    let mail = SendMail {
        redirect_to,
        code_challenge,
        ..SendMail::about(About::Signup, &email)
    };
    db.write(&Caller::Hub, async |tx| {
        let made = make(tx, &new).await?;
        if made.is_none() && is_in {
            return Err(exists("user_already_exists", "User already registered"));
        }
        if by_invitation
            && !links::take(tx, Purpose::Invitation, &invitation, &email, new.id).await?
        {
            return Err(not_invited());
        }
        if is_in {
            return made
                .ok_or_else(gone)
                .map(|made| SignedUp::In(Box::new(made)));
        }
        give_up_password(tx, &email, &contested).await?;
        if !config.autoconfirm {
            mails::enqueue(tx, &mail).await?;
        }
        Ok(SignedUp::Waiting(Box::new(pretend(tx, &new).await?)))
    })
    .await
}

/// The password of an account whose address nobody proved.
async fn unproven_password(tx: &mut Tx, email: &str) -> Result<Option<String>> {
    let mut select = Statement::<Text>::new(
        "select encrypted_password from public.users where deleted_at is null and email_confirmed_at is null \
         and encrypted_password is not null and lower(email) = lower(",
    );
    select.text(email).sql(")");
    Ok(tx.load(select).await?.into_iter().next())
}

/// Keep this password no longer for an account whose address nobody proved.
async fn give_up_password(tx: &mut Tx, email: &str, contested: &str) -> Result<()> {
    let mut update = Statement::new(
        "update public.users set encrypted_password = null where deleted_at is null \
         and email_confirmed_at is null and encrypted_password = ",
    );
    update
        .text(contested)
        .sql(" and lower(email) = lower(")
        .text(email)
        .sql(")");
    tx.run(update).await.map(|_| ())
}

/// Make an account without a password, for somebody who proves his address by mail. None when there is one.
pub(super) async fn admit(
    tx: &mut Tx,
    email: &str,
    data: Value,
    is_approved: bool,
) -> Result<Option<Account>> {
    let name = data
        .get("full_name")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let new = New {
        id: Uuid::now_v7(),
        email,
        password: None,
        name: name.as_deref(),
        handle: None,
        data,
        is_confirmed: false,
        is_approved,
        // The first account is made by who holds its link, not by who asks for a letter.
        role: Some(Role::User),
    };
    make(tx, &new).await
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
    let new = New {
        id: Uuid::now_v7(),
        email: &email,
        password: Some(&password),
        name: Some(name),
        handle: handle.as_deref(),
        data: json!({ "full_name": name }),
        is_confirmed: true,
        is_approved: true,
        role,
    };
    let made = db
        .write(&Caller::Hub, async |tx| {
            let account = make(tx, &new)
                .await?
                .ok_or_else(|| exists("email_exists", TAKEN))?;
            let role = role_of(tx, account.id).await?;
            Ok((account, role))
        })
        .await;
    match made {
        // The address is asked for before, so only the handle is left.
        Err(error) if error.is("23505") => Err(refusal(
            409,
            "handle_exists",
            "Somebody else has this name already.",
        )),
        made => made,
    }
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
    let new = New {
        id: Uuid::now_v7(),
        email: &email,
        password: Some(&password),
        name: None,
        handle: None,
        data: json!({}),
        is_confirmed: true,
        is_approved: true,
        role: Some(Role::Developer),
    };
    db.write(&Caller::Hub, async |tx| {
        // Whoever holds the home tenant is alone with the question which account is the first.
        ensure_home(tx).await?;
        if first_is_made(tx).await?
            || !links::take(tx, Purpose::FirstAccount, token, "", new.id).await?
        {
            return Err(link_is_over());
        }
        make(tx, &new)
            .await?
            .ok_or_else(|| exists("user_already_exists", TAKEN))
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

/// Note that its holder signed in, and keep the password at today's cost if it was rehashed. None, when the account
/// is not any more what it was when the password was compared.
pub(super) async fn signed_in(
    tx: &mut Tx,
    seen: &Account,
    rehashed: Option<&str>,
) -> Result<Option<Account>> {
    let mut update = Statement::new("with u as (update public.users set last_sign_in_at = now()");
    if let Some(hash) = rehashed {
        update.sql(", encrypted_password = ").text(hash);
    }
    update
        .sql(" where deleted_at is null and id = ")
        .bind(Bind::Uuid(seen.id))
        .sql(" and encrypted_password is not distinct from ")
        .bind(Bind::Text(seen.encrypted_password.clone()))
        .sql(" returning *) ");
    let accounts = list_after(tx, update, Statement::new("u")).await?;
    Ok(accounts.into_iter().next())
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
    // The one character that PostgreSQL's text cannot hold.
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

/// Write the rows of an account; none when the address is taken. The statements are the same then.
pub(super) async fn make(tx: &mut Tx, new: &New<'_>) -> Result<Option<Account>> {
    let home = ensure_home(tx).await?;
    let mut insert = Statement::new(
        "insert into public.users (id, aud, role, email, encrypted_password, name, handle, raw_app_meta_data, \
         raw_user_meta_data, email_confirmed_at, confirmation_sent_at) select ",
    );
    insert
        .bind(Bind::Uuid(new.id))
        .sql(", 'authenticated', 'authenticated', ")
        .text(new.email)
        .sql(", ")
        .bind(Bind::Text(new.password.map(str::to_owned)))
        .sql(", ")
        .bind(Bind::Text(new.name.map(str::to_owned)))
        .sql(", ")
        .bind(Bind::Text(new.handle.map(str::to_owned)))
        .sql(", ")
        .text(new.app_metadata().to_string())
        .sql("::jsonb, ")
        .text(new.data.to_string())
        .sql("::jsonb, ")
        .sql(new.times())
        .sql(" on conflict (lower(email)) where deleted_at is null do nothing");
    tx.run(insert).await?;

    let is_first =
        matches!(new.role, None | Some(Role::Developer)) && claim_first(tx, new.id).await?;
    let role = match new.role {
        Some(Role::Developer) => "developer",
        Some(Role::Admin) => "admin",
        None if is_first => "developer",
        Some(Role::User) | None => "user",
    };
    // The profile first: the hub itself names an account by what it shows.
    let mut profile = Statement::new("insert into public.profiles (id, full_name) select u.id, ");
    profile
        .bind(Bind::Text(new.name.map(str::to_owned)))
        .sql(" from public.users u where u.id = ")
        .bind(Bind::Uuid(new.id));
    tx.run(profile).await?;
    let mut place =
        Statement::new("insert into public.user_profile (organization_id, user_id, role) select ");
    place
        .bind(Bind::Uuid(home))
        .sql(", u.id, ")
        .text(role)
        .sql(" from public.users u where u.id = ")
        .bind(Bind::Uuid(new.id));
    tx.run(place).await?;

    by_id(tx, new.id).await
}

/// Be the first account, once in the life of a hub. Whoever asks holds the row of the home tenant.
async fn claim_first(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let mut claim = Statement::new(
        "insert into hub.settings (name, value) select 'first_account', to_jsonb(u.id) from public.users u where u.id = ",
    );
    claim
        .bind(Bind::Uuid(id))
        .sql(" on conflict (name) do nothing");
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
    let mut from = Statement::new("public.users u where u.deleted_at is null and ");
    from.append(which);
    show(tx, from).await
}

/// The first account among these rows, which are named `u`.
async fn show(tx: &mut Tx, from: Statement) -> Result<Option<Account>> {
    Ok(list(tx, from).await?.into_iter().next())
}

/// The accounts among these rows, which are named `u`.
pub(super) async fn list(tx: &mut Tx, from: Statement) -> Result<Vec<Account>> {
    list_after(tx, Statement::default(), from).await
}

/// The same, after what a `with` does first.
async fn list_after(tx: &mut Tx, with: Statement, from: Statement) -> Result<Vec<Account>> {
    let mut select = with.answering::<Text>();
    select.sql(
        "select json_build_object('id', u.id, 'email', coalesce(u.email, ''), 'phone', u.phone, \
         'encrypted_password', u.encrypted_password, \
         'app_metadata', coalesce(u.raw_app_meta_data, '{}'), 'user_metadata', coalesce(u.raw_user_meta_data, '{}'), \
         'is_anonymous', u.is_anonymous, 'is_banned', coalesce(u.banned_until > now(), false), \
         'banned_until', u.banned_until, 'factors', (select json_agg(f.factor order by f.at) from ( \
         select f.created_at as at, json_build_object('id', f.id, 'friendly_name', f.friendly_name, 'factor_type', \
         f.factor_type, 'status', case when f.verified_at is null then 'unverified' else 'verified' end, \
         'created_at', f.created_at, 'updated_at', f.updated_at) as factor from hub.factors f where f.user_id = u.id \
         union all select min(r.created_at), json_build_object('id', r.set_id, 'friendly_name', r.friendly_name, \
         'factor_type', 'recovery_code', 'status', 'verified', 'created_at', min(r.created_at), \
         'updated_at', coalesce(max(r.used_at), min(r.created_at))) from hub.recovery_codes r where r.user_id = u.id \
         group by r.set_id, r.friendly_name) f), \
         'email_confirmed_at', u.email_confirmed_at, 'confirmation_sent_at', u.confirmation_sent_at, \
         'new_email', u.email_change, 'email_change_sent_at', u.email_change_sent_at, \
         'recovery_sent_at', u.recovery_sent_at, 'reauthentication_sent_at', u.reauthentication_sent_at, \
         'invited_at', u.invited_at, 'last_sign_in_at', u.last_sign_in_at, \
         'created_at', u.created_at, 'updated_at', u.updated_at)::text from ",
    );
    select.append(from);
    let rows: Vec<String> = tx.load(select).await?;
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(Error::broken))
        .collect()
}

/// What a sign-up is answered with when the account is somebody's already: the like of a new one, written by the
/// database too, so that not even the order of its keys tells.
async fn pretend(tx: &mut Tx, new: &New<'_>) -> Result<Account> {
    let mut from = Statement::new("(select ");
    from.bind(Bind::Uuid(new.id))
        .sql(" as id, ")
        .text(new.email)
        .sql(" as email, null::text as phone, null::text as encrypted_password, ")
        .text(new.app_metadata().to_string())
        .sql("::jsonb as raw_app_meta_data, ")
        .text(new.data.to_string())
        .sql("::jsonb as raw_user_meta_data, false as is_anonymous, null::timestamptz as banned_until, ")
        .sql(new.times())
        .sql(
            ", null::text as email_change, null::timestamptz as email_change_sent_at, \
             null::timestamptz as recovery_sent_at, null::timestamptz as reauthentication_sent_at, \
             null::timestamptz as invited_at, null::timestamptz as last_sign_in_at, now() as created_at, \
             now() as updated_at) u",
        );
    show(tx, from).await?.ok_or_else(gone)
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

const TAKEN: &str = "An account with this address exists already.";

fn exists(code: &'static str, message: &str) -> Error {
    refusal(422, code, message)
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
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c.d",
            "a\0@b.c",
            "a@b\n.c",
            "a@b..c",
            ".a@b.c",
            "a@-b.c",
            "a\u{202e}@b.c",
            "<a@b.c>",
            "a@b.c,d@e.f",
            &long,
            &longer,
        ] {
            assert!(
                address(wrong).unwrap_err().is("validation_failed"),
                "{wrong}"
            );
        }
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
