//! Answering what somebody declared: an offer of an exchange, and a counter to one.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::Uuid as SqlUuid;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bargain::{self, Bargain};
use super::state::Side;
use super::subject::{self, Named, Subject};
use super::{Kept, Party, keep, locked, money, party, refused, shown, wire};
use crate::base::amount::Amount;
use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors::speaker;
use crate::domains::social::blocks;
use crate::domains::social::limits::{self, Deed};
use crate::fed::actors::{self, Local};

/// How long an offer stands if nothing else is said, and at most.
const USUAL: TimeDelta = TimeDelta::days(7);
const LONGEST: TimeDelta = TimeDelta::days(90);

/// Longest words beside an offer.
pub const LONGEST_WORDS: usize = 5_000;

/// What is answered, and with what.
#[derive(Deserialize)]
pub struct Propose {
    listing: Option<String>,
    declaration: Option<String>,
    /// An own declaration or listing that it is matched with.
    need: Option<String>,
    quantity: Option<Text>,
    price: Option<Text>,
    terms: Option<String>,
    expires: Option<DateTime<Utc>>,
    #[serde(rename = "as")]
    speaks_as: Option<Uuid>,
}

/// An amount as text or as a number without loss.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Text(String),
    Number(serde_json::Number),
}

impl Text {
    /// The amount, or a refusal.
    pub fn amount(&self) -> Result<Amount> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        };
        text.parse().map_err(|_| refused("wrong_quantity"))
    }

    /// The same of what may not be there.
    pub fn read(given: Option<&Self>) -> Result<Option<Amount>> {
        given.map(Self::amount).transpose()
    }
}

/// Answer what somebody declared.
pub async fn propose(tx: &mut Tx, input: Propose) -> Result<Value> {
    let (kind, named) = match (&input.listing, &input.declaration) {
        (Some(listing), None) => ("listings", listing),
        (None, Some(declaration)) => ("declarations", declaration),
        _ => {
            return Err(Error::invalid(
                "exchange.one_subject",
                "Name a listing or a declaration, and not both.",
            ));
        }
    };
    let me = speaker(tx, input.speaks_as).await?;
    let subject = subject::find(tx, Named::Seen(kind, named))
        .await?
        .ok_or_else(|| {
            Error::missing(
                "exchange.no_subject",
                "There is no such listing or declaration.",
            )
        })?;
    let own = match &input.need {
        Some(named) => Some(own_side(tx, named, &me, &subject).await?),
        None => None,
    };
    let terms = &subject.terms;
    let (quantity, price) = (
        Text::read(input.quantity.as_ref())?,
        Text::read(input.price.as_ref())?,
    );
    let bargain = bargain::usual(terms, &subject.uri, quantity, price).map_err(refused)?;
    bargain::fits(terms, &subject.uri, &bargain, false).map_err(refused)?;

    let ask = Ask {
        row: None,
        bargain,
        words: input.terms,
        expires: until(input.expires)?,
        counters: None,
        context: None,
    };
    ask_for(tx, &me, &subject, own.as_ref(), ask).await
}

/// Until when an offer stands.
pub fn until(given: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    let now = clock::now();
    match given {
        None => Ok(now + USUAL),
        Some(end) if end > now && end <= now + LONGEST => Ok(end),
        Some(_) => Err(Error::invalid(
            "exchange.expires",
            "An offer stands for at most 90 days from now.",
        )),
    }
}

/// What the one who asks has declared himself, of the other kind.
pub async fn own_side(tx: &mut Tx, named: &str, me: &Local, to: &Subject) -> Result<Subject> {
    let mut found = subject::find(tx, Named::Seen("declarations", named)).await?;
    if found.is_none() {
        found = subject::find(tx, Named::Seen("listings", named)).await?;
    }
    let own = found
        .filter(|own| own.actor == me.id)
        .ok_or_else(|| Error::missing("exchange.no_need", "You have declared no such thing."))?;
    if own.offers() == to.offers() {
        return Err(Error::invalid(
            "exchange.no_pair",
            "An exchange pairs an offer with a need.",
        ));
    }
    match own.is_open {
        true => Ok(own),
        false => Err(refused("not_active")),
    }
}

/// What is to be said in an offer.
pub struct Ask {
    /// The row of it, if there is one already.
    pub row: Option<Uuid>,
    pub bargain: Bargain,
    pub words: Option<String>,
    pub expires: DateTime<Utc>,
    /// The offer that it comes in place of.
    pub counters: Option<String>,
    pub context: Option<String>,
}

/// Make an offer. What the caller may see is read by now; the rest is done with the hub's rights, taken once.
pub async fn ask_for(
    tx: &mut Tx,
    me: &Local,
    subject: &Subject,
    own: Option<&Subject>,
    ask: Ask,
) -> Result<Value> {
    tx.as_hub(async |tx| asked(tx, me, subject, own, ask).await)
        .await
}

async fn asked(
    tx: &mut Tx,
    me: &Local,
    subject: &Subject,
    own: Option<&Subject>,
    ask: Ask,
) -> Result<Value> {
    if subject.actor == me.id {
        return Err(refused("own_listing"));
    }
    if !subject.is_open {
        return Err(refused("not_active"));
    }
    if ask
        .words
        .as_ref()
        .is_some_and(|words| words.len() > LONGEST_WORDS)
    {
        return Err(Error::invalid(
            "exchange.too_long",
            "The terms are too long.",
        ));
    }
    if blocks::is_between(tx, me.id, subject.actor).await? {
        return Err(Error::forbidden(
            "exchange.blocked",
            "One of you has blocked the other.",
        ));
    }
    limits::take_or_refuse(tx, Deed::Offer, me.id)?;
    let proposer = party(tx, subject.actor).await?;
    let (offer_link, need_link) = links(subject, own.map(|own| own.uri.as_str()));
    if let (Some(offer), Some(need)) = (&offer_link, &need_link)
        && pending(tx, offer, need, subject.actor, me.id)
            .await?
            .is_some()
    {
        return Err(Error::conflict(
            "exchange.answer_theirs",
            "They have made you an offer for the same: answer it.",
        ));
    }

    let id = ask.row.unwrap_or_else(Uuid::now_v7);
    let base = actors::base(tx)?;
    let context = ask
        .context
        .unwrap_or_else(|| format!("{base}/ap/contexts/{id}"));
    let activity = wire::offer(&wire::Offered {
        bargain: ask.bargain.to_wire(&subject.terms),
        offer_link: offer_link.as_deref(),
        need_link: need_link.as_deref(),
        expires: ask.expires,
        terms: ask.words.as_deref(),
        community: subject.community.as_deref(),
        context: &context,
        counters: ask.counters.as_deref(),
        title: "An offer",
    });
    let said = wire::say(tx, me, &proposer, &context, activity).await?;
    let offer = wire::words_of(tx, &said).await?;
    let kept = Kept {
        exchange_id: id,
        proposer_id: proposer.id,
        asker_id: me.id,
        subject_kind: subject.kind.to_owned(),
        subject_id: subject.id,
        subject_uri: subject.uri.clone(),
        offer_link,
        need_link,
        context,
        terms: remembered(subject, &ask.bargain),
        payer: payer(subject).map(str::to_owned),
        community: subject.community.clone(),
        offer_uri: said.uri,
        offer,
        offered_at: clock::now(),
        counters: ask.counters,
        counter: None,
        accept_uri: None,
        agreement_uri: None,
        agreement: None,
        agreement_now: None,
        agreement_version: 0,
        is_reserved: false,
        is_bound: false,
        is_held: false,
        is_booked: false,
    };
    let asker = party(tx, me.id).await?;
    let own_row = own.map(|own| (own.kind, own.id));
    put(
        tx,
        &kept,
        subject,
        own_row,
        (&proposer, &asker),
        ask.words.as_deref(),
        ask.expires,
    )
    .await?;
    let mut deal = locked(tx, id)
        .await?
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the exchange is not there")))?;
    money::bind(tx, &mut deal, Side::Asker).await?;
    super::tell(tx, &deal, "proposed").await?;
    Ok(shown(&deal))
}

/// Which offer and which need it pairs, where there are both.
pub fn links(subject: &Subject, own: Option<&str>) -> (Option<String>, Option<String>) {
    let (its, own) = (Some(subject.uri.clone()), own.map(str::to_owned));
    match subject.offers() {
        true => (its, own),
        false => (own, its),
    }
}

/// Who pays hours: the receiver of what is given (R24).
pub fn payer(subject: &Subject) -> Option<&'static str> {
    bargain::is_time(&subject.terms).then(|| match subject.offers() {
        true => "asker",
        false => "proposer",
    })
}

/// What must be known of the terms later, whatever becomes of what was declared.
pub fn remembered(subject: &Subject, bargain: &Bargain) -> Value {
    json!({
        "bargain": bargain.to_wire(&subject.terms),
        "proposer_gives": subject.offers(),
        "action": subject.terms.primary.action,
        "digits": bargain::price_digits(&subject.terms),
        "is_time": bargain::is_time(&subject.terms),
    })
}

/// An offer under way for one pair, from one to another.
pub async fn pending(
    tx: &mut Tx,
    offer: &str,
    need: &str,
    asker: Uuid,
    proposer: Uuid,
) -> Result<Option<Uuid>> {
    let mut select = Statement::<SqlUuid>::new(
        "select d.exchange_id from hub.deals d join public.exchanges e on e.id = d.exchange_id \
         where e.status = 'proposed' and d.need_link = ",
    );
    select
        .text(need)
        .sql(" and d.offer_link = ")
        .text(offer)
        .sql(" and d.asker_id = ")
        .bind(Bind::Uuid(asker))
        .sql(" and d.proposer_id = ")
        .bind(Bind::Uuid(proposer))
        .sql(" limit 1");
    let ids: Vec<Uuid> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(ids.into_iter().next())
}

/// Write the row of an exchange and what stands behind it.
pub async fn put(
    tx: &mut Tx,
    kept: &Kept,
    subject: &Subject,
    own: Option<(&str, Uuid)>,
    (proposer, asker): (&Party, &Party),
    words: Option<&str>,
    expires: DateTime<Utc>,
) -> Result<()> {
    let user = |party: &Party| match party.kind.as_deref() {
        Some("user") => party.row_id,
        _ => None,
    };
    // Behind a DAO or an agent stands whoever speaks for it.
    let account = match tx.person().await? {
        None => user(asker),
        person => person,
    };
    let proposer_user = user(proposer)
        .or(subject.owner)
        .filter(|_| proposer.is_local());
    let asker_user = user(asker).or(account).filter(|_| asker.is_local());
    let (giver, taker) = match subject.offers() {
        true => (proposer_user, asker_user),
        false => (asker_user, proposer_user),
    };
    let owner = asker_user
        .or(proposer_user)
        .ok_or_else(|| Error::broken(anyhow::anyhow!("an exchange of nobody here")))?;
    let away = [proposer, asker]
        .into_iter()
        .find(|party| !party.is_local());
    let link = |kind: &str, offers: bool| {
        let mine = (subject.kind == kind && subject.offers() == offers).then_some(subject.id);
        mine.or_else(|| {
            own.filter(|(own, _)| *own == kind && subject.offers() != offers)
                .map(|(_, id)| id)
        })
    };
    let bargain = kept
        .terms
        .get("bargain")
        .and_then(|it| Bargain::read(it).ok());
    let amount = |it: Option<&bargain::Commitment>| {
        it.and_then(|it| it.value).map(|value| value.to_string())
    };
    let primary = bargain.as_ref().map(|it| &it.primary);
    let reciprocal = bargain.as_ref().and_then(|it| it.reciprocal.as_ref());
    let price_unit = subject
        .terms
        .reciprocal
        .as_ref()
        .and_then(|asked| asked.conforms_to.as_deref())
        .map(|uri| match bargain::is_time(&subject.terms) {
            true => "TIME".to_owned(),
            false => crate::domains::market::terms::unit_of(uri).unwrap_or_else(|| uri.to_owned()),
        });
    let row = json!({
        "id": kept.exchange_id, "owner_id": owner, "offer_user_id": giver, "need_user_id": taker,
        "counterparty_actor_id": away.map(|party| party.id), "exchange_type": subject.mode, "notes": words,
        "offer_decl_id": link("declarations", true), "need_decl_id": link("declarations", false),
        "listing_id": link("listings", true), "quantity": amount(primary), "unit": primary.map(|it| it.unit.clone()),
        "price": amount(reciprocal), "price_unit": price_unit, "expires_at": expires,
    });
    let mut insert = Statement::<()>::new(
        "insert into public.exchanges (id, owner_id, offer_user_id, need_user_id, counterparty_actor_id, exchange_type, notes, \
         offer_decl_id, need_decl_id, listing_id, quantity, unit, price, price_unit, expires_at) \
         select r.id, r.owner_id, r.offer_user_id, r.need_user_id, r.counterparty_actor_id, r.exchange_type, r.notes, \
         r.offer_decl_id, r.need_decl_id, r.listing_id, r.quantity, r.unit, r.price, r.price_unit, r.expires_at \
         from jsonb_populate_record(null::public.exchanges, ",
    );
    // A row that somebody has written himself becomes what was asked.
    insert.text(row.to_string()).sql(
        "::jsonb) r on conflict (id) do update set exchange_type = excluded.exchange_type, notes = excluded.notes, \
         offer_user_id = excluded.offer_user_id, need_user_id = excluded.need_user_id, \
         counterparty_actor_id = excluded.counterparty_actor_id, quantity = excluded.quantity, unit = excluded.unit, \
         price = excluded.price, price_unit = excluded.price_unit, expires_at = excluded.expires_at",
    );
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await?;
    keep(tx, kept).await
}
