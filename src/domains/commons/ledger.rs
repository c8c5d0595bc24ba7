//! The books of hours and credits. Who binds himself promises first, against his limit; what was promised is booked once,
//! under the agreement's name, or let go. Money of other kinds changes hands elsewhere and is not kept here.

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::amount::{self, Amount};
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::moderation;

/// Units that are kept in the books.
pub const UNITS: [&str; 2] = ["TIME", "CREDIT"];

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    User(Uuid),
    Dao(Uuid),
    /// Somebody elsewhere: what he has and owes here.
    Actor(Uuid),
}

/// A promise to pay.
#[derive(Clone, Debug)]
pub struct Hold<'a> {
    pub payer: Holder,
    pub unit: &'a str,
    /// The DAO whose limit applies.
    pub community: Option<Uuid>,
    pub amount: Amount,
    /// The address of the offer it is made with.
    pub key: &'a str,
}

/// What is booked.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    pub from: Holder,
    pub to: Holder,
    pub unit: &'a str,
    pub community: Option<Uuid>,
    pub amount: Amount,
    /// The address of the agreement or document: each is booked once.
    pub agreement: &'a str,
    pub memo: Option<String>,
    pub exchange: Option<Uuid>,
    /// The promise that it keeps.
    pub hold: Option<&'a str>,
}

impl Holder {
    fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Dao(_) => "dao",
            Self::Actor(_) => "actor",
        }
    }

    fn id(self) -> Uuid {
        match self {
            Self::User(id) | Self::Dao(id) | Self::Actor(id) => id,
        }
    }
}

/// Promise to pay; the same promise twice is one.
pub async fn reserve(tx: &mut Tx, hold: &Hold<'_>) -> Result<()> {
    check(hold.unit, hold.amount)?;
    let limits = tx.hub().credit_limits();

    let mut reserve = Statement::<Text>::new("select hub.ledger_reserve(");
    reserve
        .text(hold.key)
        .sql(", ")
        .text(hold.payer.kind())
        .sql(", ")
        .bind(Bind::Uuid(hold.payer.id()))
        .sql(", ")
        .text(hold.unit)
        .sql(", ")
        .bind(optional(hold.community))
        .sql("::uuid, ")
        .append(number(hold.amount))
        .sql(", ")
        .append(number(limits.account))
        .sql(", ")
        .append(number(limits.peer))
        .sql(")");
    let came: Vec<String> = tx.as_hub(async |tx| tx.load(reserve.clone()).await).await?;
    match came.first().map(String::as_str) {
        Some("held" | "already") => Ok(()),
        _ => Err(over_limit()),
    }
}

/// Let a promise go; whether there was one.
pub async fn release(tx: &mut Tx, key: &str) -> Result<bool> {
    let mut release = Statement::<Bool>::new("select hub.ledger_release(");
    release.text(key).sql(")");
    yes(tx, release).await
}

/// Book a transfer; false when it was booked before.
pub async fn book(tx: &mut Tx, transfer: &Transfer<'_>) -> Result<bool> {
    check(transfer.unit, transfer.amount)?;
    if transfer.from == transfer.to {
        return Err(Error::invalid("ledger.oneself", "Nobody pays himself."));
    }
    let limits = tx.hub().credit_limits();

    let mut book = Statement::<Bool>::new("select hub.ledger_transfer(");
    for holder in [transfer.from, transfer.to] {
        book.text(holder.kind())
            .sql(", ")
            .bind(Bind::Uuid(holder.id()))
            .sql(", ");
    }
    book.text(transfer.unit)
        .sql(", ")
        .bind(optional(transfer.community))
        .sql("::uuid, ")
        .append(number(transfer.amount))
        .sql(", ")
        .text(transfer.agreement)
        .sql(", ")
        .bind(Bind::Text(transfer.memo.clone()))
        .sql(", ")
        .bind(optional(transfer.exchange))
        .sql("::uuid, ")
        .bind(Bind::Text(transfer.hold.map(str::to_owned)))
        .sql(", ")
        .append(number(limits.account))
        .sql(", ")
        .append(number(limits.peer))
        .sql(")");
    yes(tx, book).await.map_err(|error| match error.told() {
        Some(told) if told.message.contains("ledger_accounts_balance_fits") => over_limit(),
        _ => error,
    })
}

/// Whether so much more may be owed by an actor's hub.
pub async fn may_owe(tx: &mut Tx, actor: Uuid, unit: &str, amount: Amount) -> Result<bool> {
    let limits = tx.hub().credit_limits();
    let mut ask = Statement::<Bool>::new("select hub.ledger_may_owe(");
    ask.bind(Bind::Uuid(actor))
        .sql(", ")
        .text(unit)
        .sql(", ")
        .append(number(amount))
        .sql(", ")
        .append(number(limits.peer))
        .sql(")");
    yes(tx, ask).await
}

/// To whom one gives what one has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Give {
    /// An account or a DAO of this hub.
    to: Uuid,
    amount: String,
    unit: Option<String>,
    memo: Option<String>,
}

/// Give hours or credits to somebody of this hub or to a treasury, without an exchange.
pub async fn give(tx: &mut Tx, input: Give) -> Result<Value> {
    let Some(giver) = tx.person().await? else {
        return Err(Error::sign_in("PGRST301", "Somebody has to be signed in."));
    };
    let unit = input.unit.unwrap_or_else(|| "CREDIT".to_owned());
    let to = local_holder(tx, input.to).await?;
    let id = Uuid::now_v7();
    let transfer = Transfer {
        from: Holder::User(giver),
        to,
        unit: &unit,
        community: None,
        amount: amount_of(&input.amount)?,
        agreement: &format!("urn:uuid:{id}"),
        memo: input.memo,
        exchange: None,
        hold: None,
    };
    book(tx, &transfer).await?;
    Ok(
        json!({ "agreement": transfer.agreement, "amount": transfer.amount.to_string(), "unit": unit }),
    )
}

/// What is brought into being.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// An account or a DAO of this hub.
    to: Uuid,
    amount: String,
    memo: Option<String>,
    /// The same name twice issues once.
    reference: Option<String>,
}

/// Bring credits into being; developers and services only.
pub async fn issue(tx: &mut Tx, input: Issue) -> Result<Value> {
    moderation::operators_only(tx).await?;
    let to = local_holder(tx, input.to).await?;
    let amount = amount_of(&input.amount)?;
    check("CREDIT", amount)?;
    let name = match input.reference {
        Some(reference) => format!("issue:{reference}"),
        None => format!("urn:uuid:{}", Uuid::now_v7()),
    };
    let mut issue = Statement::<Bool>::new("select hub.ledger_issue(");
    issue
        .text(to.kind())
        .sql(", ")
        .bind(Bind::Uuid(to.id()))
        .sql(", 'CREDIT', ")
        .append(number(amount))
        .sql(", ")
        .text(&name)
        .sql(", ")
        .bind(Bind::Text(input.memo))
        .sql(")");
    let is_new = yes(tx, issue).await?;
    Ok(
        json!({ "agreement": name, "amount": amount.to_string(), "is_new": is_new, "at": clock::now() }),
    )
}

async fn local_holder(tx: &mut Tx, id: Uuid) -> Result<Holder> {
    let mut select = Statement::<Text>::new(
        "select 'user' from public.users u where u.deleted_at is null and u.id = ",
    );
    select
        .bind(Bind::Uuid(id))
        .sql(" union all select 'dao' from public.daos d where d.owner_id is not null and d.id = ")
        .bind(Bind::Uuid(id));
    let kinds: Vec<String> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    match kinds.first().map(String::as_str) {
        Some("user") => Ok(Holder::User(id)),
        Some(_) => Ok(Holder::Dao(id)),
        None => Err(Error::missing("ledger.nobody", "to names nobody here.")),
    }
}

fn amount_of(text: &str) -> Result<Amount> {
    text.parse().map_err(|_| {
        Error::invalid(
            "ledger.amount",
            "amount is a decimal number in text, such as \"1.50\".",
        )
    })
}

fn check(unit: &str, amount: Amount) -> Result<()> {
    if !UNITS.contains(&unit) {
        return Err(Error::invalid(
            "ledger.unit",
            "The books keep hours (TIME) and CREDIT.",
        ));
    }
    if amount <= Amount::ZERO || !amount.fits_scale(amount::scale(unit)) {
        return Err(Error::invalid(
            "ledger.amount",
            "An amount is above nothing and has no more digits than its unit.",
        ));
    }
    Ok(())
}

fn over_limit() -> Error {
    Error::conflict(
        "ledger.over_limit",
        "The account may not be overdrawn so far.",
    )
}

/// A number, never text of somebody else's.
fn number(amount: Amount) -> Statement {
    Statement::new(format!(
        "{}.{:04}",
        amount.parts() / 10_000,
        (amount.parts() % 10_000).abs()
    ))
}

fn optional(id: Option<Uuid>) -> Bind {
    Bind::Text(id.map(|id| id.to_string()))
}

async fn yes(tx: &mut Tx, statement: Statement<Bool>) -> Result<bool> {
    let came: Vec<bool> = tx
        .as_hub(async |tx| tx.load(statement.clone()).await)
        .await?;
    Ok(came == [true])
}

/// What the caller has, owes and has promised.
#[derive(Deserialize)]
pub struct Mine {}

/// The caller's accounts.
pub async fn mine(tx: &mut Tx, _: Mine) -> Result<Value> {
    type Row = (SqlUuid, Text, Text, Text);
    let select = Statement::<Row>::new(
        "select a.id, a.unit, trim_scale(a.balance)::text, trim_scale(a.reserved)::text from public.ledger_accounts a \
         where a.owner_id = auth.uid() order by a.unit, a.id",
    );
    let rows: Vec<(Uuid, String, String, String)> = tx.load(select).await?;
    Ok(rows
        .into_iter()
        .map(|(id, unit, balance, reserved)| json!({ "id": id, "unit": unit, "balance": balance, "reserved": reserved }))
        .collect())
}
