//! Listings: what is offered for a price. Own ones go out when their rows change, others' come in as rows, and both are
//! found, shown and answered alike.

pub mod feed;
pub mod hear;
pub mod publish;
pub mod read;
pub mod search;
pub mod show;
pub mod stock;
pub mod tasks;
pub mod wire;

pub use stock::{release, reserve};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Uuid as SqlUuid};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::terms::{Intent, Purpose, Quantity, TIME_CREDIT, Terms, currency_uri};
use crate::base::Result;
use crate::base::amount::Amount;
use crate::db::{Bind, Statement, Tx};

/// What things are that have no address of their own.
const DATA_SET: &str = "https://www.wikidata.org/wiki/Q1172284";
const SERVICE: &str = "https://www.wikidata.org/wiki/Q7406919";
const DIGITAL: &str = "https://www.wikidata.org/wiki/Q1047213";

/// A row of `listings`.
#[derive(Clone, Debug, Deserialize)]
pub struct Listing {
    pub id: Uuid,
    pub owner_id: Option<Uuid>,
    pub origin_actor_id: Option<Uuid>,
    pub author_actor_id: Option<Uuid>,
    pub listing_type: String,
    pub title: String,
    pub description: Option<String>,
    /// As text: no float stands between the row and the amount.
    pub price_amount: Option<String>,
    pub price_currency: Option<String>,
    pub price_type: Option<String>,
    pub tags: Option<Vec<String>>,
    pub location_pref: Option<String>,
    pub visibility: Option<String>,
    pub status: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub category: Option<String>,
    pub language: Option<String>,
    pub photos: Vec<Value>,
    pub place_name: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub place_radius_m: Option<i64>,
    pub condition: Option<String>,
    pub fulfilment: Vec<String>,
    pub quantity: String,
    pub available: String,
    pub minimum: String,
    pub resource_uri: Option<String>,
    pub license: Option<String>,
    pub format: Option<String>,
    pub schema_uri: Option<String>,
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

impl Listing {
    /// When it was as it is now: the version of a changed one is the time of the change.
    pub fn as_of(&self) -> DateTime<Utc> {
        crate::fed::actors::as_of(self.version, self.published_at)
    }

    /// Whether it may be answered.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.status == "active" && self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether everybody may read it.
    pub fn is_public(&self) -> bool {
        matches!(self.visibility.as_deref(), Some("public" | "unlisted"))
    }

    /// Whether it is said to others at all.
    pub fn goes_out(&self) -> bool {
        self.is_public() || self.visibility.as_deref() == Some("followers")
    }

    /// How it is paid.
    pub fn price_kind(&self) -> &str {
        match (&self.price_type, &self.price_amount) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "fixed",
            (None, None) => "negotiable",
        }
    }

    /// Under which terms; those of another server's as it said them.
    pub fn terms(&self) -> Result<Terms, &'static str> {
        match &self.raw {
            Some(raw) => Terms::read(raw),
            None => self.own_terms(),
        }
    }

    fn own_terms(&self) -> Result<Terms, &'static str> {
        let amount = |text: &str| text.parse::<Amount>().map_err(|_| "wrong_quantity");
        let price = self.price_amount.as_deref().map(amount).transpose()?;
        let (quantity, available, minimum) = (
            amount(&self.quantity)?,
            amount(&self.available)?,
            amount(&self.minimum)?,
        );
        let kind = self.price_kind();
        let one = Amount::whole(1);
        let unit = if kind == "hourly" { "hour" } else { "one" };
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
        let currency = currency_uri(self.price_currency.as_deref().unwrap_or("USD"));
        let reciprocal = match kind {
            "free" => None,
            "negotiable" => Some(asked(currency, "one", None)),
            "time_credit" => Some(asked(
                TIME_CREDIT.to_owned(),
                "hour",
                Some(price.ok_or("wrong_quantity")?),
            )),
            _ => Some(asked(currency, "one", Some(price.ok_or("wrong_quantity")?))),
        };
        let unit_based = match kind {
            "negotiable" => None,
            "hourly" => Some(true),
            _ => Some(quantity != one),
        };
        Ok(Terms {
            purpose: Purpose::Offer,
            unit_based,
            primary: Intent {
                action: if self.listing_type == "service" {
                    "deliverService"
                } else {
                    "transfer"
                }
                .to_owned(),
                conforms_to: self.conforms_to(),
                quantity: Some(Quantity {
                    unit: unit.to_owned(),
                    value: Some(one),
                }),
                available: Some(available),
                minimum: Some(minimum),
            },
            reciprocal,
        })
    }

    fn conforms_to(&self) -> Option<String> {
        let is_address =
            |text: &&String| text.starts_with("https://") || text.starts_with("http://");
        let own = self
            .resource_uri
            .as_ref()
            .or(self.category.as_ref())
            .filter(is_address);
        own.cloned().or(match self.listing_type.as_str() {
            "data_product" => Some(DATA_SET.to_owned()),
            "service" => Some(SERVICE.to_owned()),
            "digital" => Some(DIGITAL.to_owned()),
            _ => None,
        })
    }
}

const ROW: &str = "select to_jsonb(l) - 'content_html' || jsonb_build_object('price_amount', trim_scale(l.price_amount)::text, \
     'quantity', trim_scale(l.quantity)::text, 'available', trim_scale(l.quantity - l.reserved)::text, \
     'minimum', trim_scale(l.minimum)::text, 'community', (select a.uri from public.ap_actors a \
     where a.kind = 'dao' and a.row_id = l.community_dao_id)) from public.listings l where ";

/// A listing by its row, whoever asks.
pub async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Listing>> {
    let mut select = Statement::new(ROW);
    select.sql("l.id = ").bind(Bind::Uuid(id));
    tx.hub_one(select).await
}

/// A listing by its address, whoever asks.
pub async fn by_uri(tx: &mut Tx, uri: &str) -> Result<Option<Listing>> {
    let mut select = Statement::new(ROW);
    select.sql("l.federated_ap_id = ").text(uri);
    tx.hub_one(select).await
}

/// A listing that the caller may read, by its address or its id.
pub async fn seen(tx: &mut Tx, named: &str) -> Result<Option<Listing>> {
    let mut ask = Statement::<Nullable<SqlUuid>>::new("select l.id from public.listings l where ");
    match named.parse::<Uuid>() {
        Ok(id) => ask.sql("l.id = ").bind(Bind::Uuid(id)),
        Err(_) => ask.sql("l.federated_ap_id = ").text(named),
    };
    let ids: Vec<Option<Uuid>> = tx.load(ask).await?;
    match ids.into_iter().flatten().next() {
        Some(id) => by_id(tx, id).await,
        None => Ok(None),
    }
}
