//! What becomes of agreements adds up to a reputation; the hub signs it as a credential that its subject takes elsewhere,
//! and takes such credentials of other hubs after it has verified them (R38).

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Integer, Jsonb, Nullable, Text};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::{Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::domains::social::actors as people;
use crate::fed::actors;
use crate::fed::vouch::{self, Vouched};
use crate::fed::{keys, proof, vocab};
use crate::node::incoming::Shown;

const CREDENTIALS: &str = "https://www.w3.org/ns/credentials/v2";

/// How an agreement ended for one party.
#[derive(Clone, Debug)]
pub struct Fact<'a> {
    pub user: Uuid,
    /// The other party's actor.
    pub counterparty: &'a str,
    /// `marketplace`, `resource_sharing` and so on.
    pub domain: &'a str,
    pub agreement: &'a str,
    /// Kept; otherwise called off by this party.
    pub is_fulfilled: bool,
}

/// Note how an agreement ended; the same agreement once.
pub async fn note(tx: &mut Tx, fact: &Fact<'_>) -> Result<()> {
    let mut note = Statement::<Nullable<Text>>::new("select hub.note_reputation(");
    note.bind(Bind::Uuid(fact.user))
        .sql(", ")
        .text(fact.counterparty)
        .sql(", ")
        .text(fact.domain)
        .sql(", ")
        .text(fact.agreement)
        .sql(format!(", {})::text", fact.is_fulfilled));
    tx.as_hub(async |tx| tx.load::<_, Option<String>>(note.clone()).await.map(drop))
        .await
}

/// Which reputation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    domain: String,
}

/// Sign what the caller's reputation in a domain is now.
pub async fn issue(tx: &mut Tx, input: Issue) -> Result<Value> {
    let user = person(tx).await?;
    let mut select = Statement::<(Text, Integer)>::new(
        "select to_char(s.score, 'FM990.00'), coalesce(s.vc_count, 0) from public.reputation_scores s where s.owner_id = ",
    );
    select
        .bind(Bind::Uuid(user))
        .sql(" and s.domain = ")
        .text(&input.domain);
    let scores: Vec<(String, i32)> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    let Some((score, receipts)) = scores.into_iter().next() else {
        return Err(Error::missing(
            "reputation.none",
            "There is nothing to say about that yet.",
        ));
    };
    let subject = people::own(tx, user).await?;
    let subject = subject
        .filter(|actor| !actor.is_gone() && actor.suspended_at.is_none())
        .ok_or_else(|| {
            Error::conflict(
                "reputation.not_shown",
                "Only who shows himself to others has a credential.",
            )
        })?;

    let hub = actors::node(tx).await?;
    let base = actors::base(tx)?;
    let (id, at) = (Uuid::now_v7(), clock::now());
    let uri = format!("{base}/ap/credentials/{id}");
    let mut credential = json!({
        "@context": [CREDENTIALS, { "mo": format!("{}#", vocab::HUB), "ReputationCredential": "mo:ReputationCredential" }],
        "id": uri,
        "type": ["VerifiableCredential", "ReputationCredential"],
        "issuer": hub.uri,
        "validFrom": actors::time(at),
        "credentialSubject": {
            "id": subject.uri, "mo:reputationDomain": input.domain, "mo:score": score, "mo:receipts": receipts,
        },
    });
    let signer = keys::signer(tx, hub.id).await?;
    proof::prove(&mut credential, &signer.ed25519_id, &signer.ed25519, at)?;

    let read = Read {
        uri: &uri,
        issuer: &hub.uri,
        subject: &subject.uri,
        domain: &input.domain,
        score: &score,
        receipts: receipts.into(),
        at,
    };
    keep(tx, id, user, &read, false, &credential).await?;
    Ok(credential)
}

/// A credential of another hub.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    credential: Value,
}

/// Take a credential that another hub signed. It counts for the caller if it is about an account he was known as before.
pub async fn import(tx: &mut Tx, input: Import) -> Result<Value> {
    let user = person(tx).await?;
    let read = Read::of(&input.credential)?;
    let base = actors::base(tx)?;
    if read.issuer.starts_with(&format!("{base}/")) {
        return Err(invalid(
            "reputation.own",
            "This hub knows what it says itself.",
        ));
    }
    if read.at > clock::now() + chrono::TimeDelta::minutes(5) {
        return Err(invalid(
            "reputation.not_yet",
            "The credential is not valid yet.",
        ));
    }
    // Only a hub's own actor speaks for it, and for nobody of another hub.
    let is_issuer = issues(tx, read.issuer).await?;
    if !is_issuer
        || !crate::fed::trust::same_origin(read.uri, read.issuer)
        || !crate::fed::trust::same_origin(read.subject, read.issuer)
    {
        return Err(invalid(
            "reputation.issuer",
            "The issuer is no hub that may speak of this actor.",
        ));
    }
    match vouch::vouched(tx, &input.credential, read.issuer).await? {
        Vouched::Yes(_) => {}
        Vouched::NoProof => {
            return Err(invalid(
                "reputation.no_proof",
                "The credential carries no proof.",
            ));
        }
        Vouched::UnknownKey => {
            return Err(invalid(
                "reputation.unknown_key",
                "The issuer does not show the key that signed it.",
            ));
        }
        Vouched::No(_) => {
            return Err(invalid(
                "reputation.forged",
                "The proof is not the issuer's, or not of this credential.",
            ));
        }
    }

    let is_own = is_own(tx, user, read.subject).await?;
    let id = Uuid::now_v7();
    keep(tx, id, user, &read, is_own, &input.credential).await?;
    if is_own {
        let mut settle = Statement::<Nullable<Text>>::new("select hub.settle_reputation(");
        settle
            .bind(Bind::Uuid(user))
            .sql(", ")
            .text(read.domain)
            .sql(")::text");
        tx.as_hub(async |tx| tx.load::<_, Option<String>>(settle.clone()).await.map(drop))
            .await?;
    }
    Ok(json!({
        "subject": read.subject, "issuer": read.issuer, "domain": read.domain, "score": read.score, "receipts": read.receipts,
        "counts": is_own,
    }))
}

/// A credential that this hub issued, at its address.
pub async fn show(tx: &mut Tx, id: Uuid) -> Result<Option<Shown>> {
    let base = actors::base(tx)?;
    let mut select = Statement::<Jsonb>::new(
        "select c.document from public.reputation_credentials c where c.id = ",
    );
    select
        .bind(Bind::Uuid(id))
        .sql(" and c.uri = ")
        .text(format!("{base}/ap/credentials/{id}"));
    let rows: Vec<Value> = tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
    Ok(rows.into_iter().next().map(|object| Shown::Object {
        object,
        is_public: true,
    }))
}

/// What a credential says.
struct Read<'a> {
    uri: &'a str,
    issuer: &'a str,
    subject: &'a str,
    domain: &'a str,
    score: &'a str,
    receipts: i64,
    at: DateTime<Utc>,
}

impl<'a> Read<'a> {
    fn of(credential: &'a Value) -> Result<Self> {
        let malformed = || {
            invalid(
                "reputation.malformed",
                "That is no credential about reputation.",
            )
        };
        let text = |value: &'a Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| text.len() <= 2_000)
                .ok_or_else(malformed)
        };
        let types = credential
            .get("type")
            .map(vocab::strings)
            .unwrap_or_default();
        if !["VerifiableCredential", "ReputationCredential"]
            .iter()
            .all(|kind| types.contains(kind))
        {
            return Err(malformed());
        }
        let about = credential.get("credentialSubject").ok_or_else(malformed)?;
        let score = text(about, "mo:score")?;
        let amount: crate::base::Amount = score.parse().map_err(|_| malformed())?;
        let receipts = about
            .get("mo:receipts")
            .and_then(Value::as_i64)
            .filter(|count| (0..=i64::from(i32::MAX)).contains(count));
        if amount > crate::base::Amount::whole(100) || !amount.fits_scale(2) {
            return Err(malformed());
        }
        Ok(Self {
            uri: text(credential, "id")?,
            issuer: text(credential, "issuer")?,
            subject: text(about, "id")?,
            domain: text(about, "mo:reputationDomain")
                .ok()
                .filter(|domain| (1..=100).contains(&domain.len()))
                .ok_or_else(malformed)?,
            score,
            receipts: receipts.ok_or_else(malformed)?,
            at: text(credential, "validFrom")?
                .parse()
                .map_err(|_| malformed())?,
        })
    }
}

async fn keep(
    tx: &mut Tx,
    id: Uuid,
    user: Uuid,
    read: &Read<'_>,
    is_own: bool,
    document: &Value,
) -> Result<()> {
    let mut insert = Statement::<()>::new(
        "insert into public.reputation_credentials (id, owner_id, uri, issuer, subject, domain, score, receipts, is_own, issued_at, document) values (",
    );
    insert.bind(Bind::Uuid(id)).sql(", ").bind(Bind::Uuid(user));
    for text in [read.uri, read.issuer, read.subject, read.domain] {
        insert.sql(", ").text(text);
    }
    insert
        .sql(", ")
        .text(read.score)
        .sql("::numeric, ")
        .bind(Bind::Int(read.receipts))
        .sql(format!(", {is_own}, "))
        .bind(Bind::Time(read.at))
        .sql(", ")
        .text(document.to_string())
        .sql(
            "::jsonb) on conflict (owner_id, uri) do update set is_own = excluded.is_own, score = excluded.score, \
             receipts = excluded.receipts, issued_at = excluded.issued_at, document = excluded.document",
        );
    tx.as_hub(async |tx| tx.run(insert.clone()).await.map(drop))
        .await
}

/// Whether this is the actor of another hub itself.
async fn issues(tx: &mut Tx, issuer: &str) -> Result<bool> {
    let mut ask = Statement::<Bool>::new(
        "select exists (select from public.ap_actors a where a.kind is null and a.type = 'Application' and a.deleted_at is null \
         and a.suspended_at is null and a.uri = ",
    );
    ask.text(issuer).sql(")");
    yes(tx, ask).await
}

/// Whether the caller says that he was this actor before.
async fn is_own(tx: &mut Tx, user: Uuid, subject: &str) -> Result<bool> {
    let mut ask = Statement::<Bool>::new(
        "select exists (select from public.ap_actors me, public.ap_actors he where me.kind = 'user' and me.row_id = ",
    );
    ask.bind(Bind::Uuid(user))
        .sql(" and he.uri = ")
        .text(subject)
        // Each has to name the other: nobody takes a stranger's good name for his own.
        .sql(" and he.uri = any (me.also_known_as) and (he.moved_to = me.uri or me.uri = any (he.also_known_as)))");
    yes(tx, ask).await
}

async fn yes(tx: &mut Tx, ask: Statement<Bool>) -> Result<bool> {
    let came: Vec<bool> = tx.as_hub(async |tx| tx.load(ask.clone()).await).await?;
    Ok(came == [true])
}

async fn person(tx: &mut Tx) -> Result<Uuid> {
    tx.person()
        .await?
        .ok_or_else(|| Error::sign_in("PGRST301", "Somebody has to be signed in."))
}

fn invalid(code: &'static str, message: &str) -> Error {
    Error::invalid(code, message)
}
