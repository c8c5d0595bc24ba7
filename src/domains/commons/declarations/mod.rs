//! Declarations: what people offer, need or would do. Own ones go out when their rows change, others' come in as rows, and
//! both are answered alike.

pub mod expire;
pub mod hear;
pub mod publish;
pub mod show;
pub mod wire;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Jsonb, Nullable};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::amount::Amount;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::domains::market::terms::{
    ANY_RECIPROCITY, Intent, Purpose, Quantity, TIME_CREDIT, Terms, currency_uri,
};

/// A row of `declarations`.
#[derive(Clone, Debug, Deserialize)]
pub struct Declaration {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub origin_actor_id: Option<Uuid>,
    pub author_actor_id: Option<Uuid>,
    pub decl_type: String,
    pub category: Option<String>,
    pub title: String,
    pub description: Option<String>,
    pub exchange_type: Option<String>,
    pub location_pref: Option<String>,
    pub status: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub skills: Vec<String>,
    pub tags: Vec<String>,
    pub availability: Option<String>,
    /// As text: no float stands between the row and the amount.
    pub quantity: Option<String>,
    pub unit: Option<String>,
    pub price_amount: Option<String>,
    pub price_currency: Option<String>,
    pub language: Option<String>,
    /// The address of the DAO whose limit of credit applies.
    pub community: Option<String>,
    pub url: Option<String>,
    pub published_at: DateTime<Utc>,
    pub version: i64,
    pub sent_at: Option<DateTime<Utc>>,
    pub federated_ap_id: Option<String>,
    /// As it was received, of those from elsewhere.
    pub raw: Option<Value>,
}

impl Declaration {
    /// When it was as it is now: the version of a changed one is the time of the change.
    pub fn as_of(&self) -> DateTime<Utc> {
        crate::fed::actors::as_of(self.version, self.published_at)
    }

    /// Whether it may be answered.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.status == "active" && self.expires_at.is_none_or(|end| end > now)
    }

    /// Under which terms; those of another server's as it said them.
    pub fn terms(&self) -> Result<Terms, &'static str> {
        match &self.raw {
            Some(raw) => Terms::read(raw),
            None => self.own_terms(),
        }
    }

    fn own_terms(&self) -> Result<Terms, &'static str> {
        let amount = |text: &Option<String>| match text {
            Some(text) => text
                .parse::<Amount>()
                .map(Some)
                .map_err(|_| "wrong_quantity"),
            None => Ok(None),
        };
        let mode = self.exchange_type.as_deref().unwrap_or("gift");
        let value = amount(&self.quantity)?;
        let unit = self.unit.clone().unwrap_or_else(|| {
            match mode {
                "time_banking" => "hour",
                _ => "one",
            }
            .to_owned()
        });
        let is_service = unit == "hour" || self.decl_type == "willing_to_do";
        let category = self
            .category
            .as_deref()
            .filter(|category| category.starts_with("http"));
        let price = match mode {
            "time_banking" => amount(&self.price_amount)?.or(value.filter(|_| unit == "hour")),
            _ => amount(&self.price_amount)?,
        };
        let asked = |conforms_to: String, unit: &str, value: Option<Amount>| Intent {
            action: "transfer".to_owned(),
            conforms_to: Some(conforms_to),
            quantity: Some(Quantity {
                unit: unit.to_owned(),
                value,
            }),
            available: None,
            minimum: None,
        };
        let reciprocal = match mode {
            "gift" => None,
            "time_banking" => Some(asked(TIME_CREDIT.to_owned(), "hour", price)),
            "monetary" => {
                let currency = self.price_currency.as_deref().unwrap_or("EUR");
                let uri = currency_uri(currency);
                Some(asked(uri, "one", price))
            }
            _ => Some(asked(ANY_RECIPROCITY.to_owned(), "one", None)),
        };
        let is_fixed = value.is_some()
            && match mode {
                "time_banking" | "monetary" => price.is_some(),
                _ => true,
            };
        Ok(Terms {
            purpose: match self.decl_type.as_str() {
                "need" => Purpose::Request,
                _ => Purpose::Offer,
            },
            unit_based: is_fixed.then_some(false),
            primary: Intent {
                action: match is_service {
                    true => "deliverService",
                    false => "transfer",
                }
                .to_owned(),
                conforms_to: category.map(str::to_owned),
                quantity: Some(Quantity { unit, value }),
                available: None,
                minimum: None,
            },
            reciprocal,
        })
    }
}

const ROW: &str = "select to_jsonb(d) - 'content_html' || jsonb_build_object('quantity', trim_scale(d.quantity)::text, \
     'price_amount', trim_scale(d.price_amount)::text, 'community', (select a.uri from public.ap_actors a \
     where a.kind = 'dao' and a.row_id = d.community_dao_id)) from public.declarations d where ";

/// A declaration by its row, whoever asks.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Declaration>> {
    let mut select = Statement::new(ROW);
    select.sql("d.id = ").bind(Bind::Uuid(id));
    tx.as_hub(async |tx| one(tx, select.clone()).await).await
}

/// A declaration by its address, whoever asks.
pub async fn by_uri(tx: &mut Tx, uri: &str) -> Result<Option<Declaration>> {
    let mut select = Statement::new(ROW);
    select.sql("d.federated_ap_id = ").text(uri);
    tx.as_hub(async |tx| one(tx, select.clone()).await).await
}

/// A declaration that the caller may read, by its address or its id.
pub async fn seen(tx: &mut Tx, named: &str) -> Result<Option<Declaration>> {
    let mut ask = Statement::<Nullable<diesel::sql_types::Uuid>>::new(
        "select d.id from public.declarations d where ",
    );
    match named.parse::<Uuid>() {
        Ok(id) => ask.sql("d.id = ").bind(Bind::Uuid(id)),
        Err(_) => ask.sql("d.federated_ap_id = ").text(named),
    };
    let ids: Vec<Option<Uuid>> = tx.load(ask).await?;
    match ids.into_iter().flatten().next() {
        Some(id) => by_id(tx, id).await,
        None => Ok(None),
    }
}

async fn one(tx: &mut Tx, select: Statement<Nullable<Jsonb>>) -> Result<Option<Declaration>> {
    let rows: Vec<Option<Value>> = tx.load(select).await?;
    rows.into_iter()
        .flatten()
        .next()
        .map(|row| serde_json::from_value(row).map_err(Error::broken))
        .transpose()
}
