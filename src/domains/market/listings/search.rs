//! The market as people look through it: ids are found with the database owner's rights, so that indexes serve, and the rows are
//! read as whoever asks.

use chrono::{DateTime, Utc};
use diesel::sql_types::Jsonb;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::base::amount::Amount;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};

/// What is looked for; everything narrows it down.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    words: Option<String>,
    category: Option<String>,
    listing_type: Option<String>,
    tags: Option<Vec<String>>,
    price_min: Option<Value>,
    price_max: Option<Value>,
    currency: Option<String>,
    is_free: Option<bool>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    within_km: Option<f64>,
    /// Where the page before ended: its last row's `published_at` and id.
    before: Option<DateTime<Utc>>,
    before_id: Option<Uuid>,
    limit: Option<i64>,
}

const COLUMNS: &str = "l.id, l.title, l.description, l.listing_type, l.price_amount, l.price_currency, l.price_type, l.tags, l.category, \
     l.condition, l.place_name, l.latitude, l.longitude, l.photos, l.fulfilment, l.quantity - l.reserved as available, l.expires_at, \
     l.published_at, l.url, l.federated_ap_id, l.owner_id, l.origin_actor_id";

/// Public listings that are to be had, newest first.
pub async fn search(tx: &mut Tx, input: Search) -> Result<Value> {
    let number = |given: &Option<f64>, bound: f64, name: &str| match given {
        Some(number) if !number.is_finite() || number.abs() > bound => Err(Error::invalid(
            "listing.search",
            format!("{name} is out of range."),
        )),
        Some(number) => Ok(format!("{number}::double precision")),
        None => Ok("null::double precision".to_owned()),
    };
    let (latitude, longitude) = (
        number(&input.latitude, 90.0, "latitude")?,
        number(&input.longitude, 180.0, "longitude")?,
    );
    let within = number(&input.within_km.or(Some(25.0)), 20_000.0, "within_km")?;
    let price = |given: &Option<Value>| -> Result<Option<String>> {
        let text = match given {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let amount: Amount = text
            .parse()
            .map_err(|_| Error::invalid("listing.search", "A price is a decimal number."))?;
        Ok(Some(amount.to_string()))
    };

    let mut select = Statement::<Jsonb>::new(format!(
        "select coalesce(jsonb_agg(to_jsonb(x)), '[]') from (select {COLUMNS} from unnest(array(select hub.search_listings("
    ));
    for text in [&input.words, &input.category, &input.listing_type] {
        select.bind(Bind::Text(text.clone())).sql(", ");
    }
    match &input.tags {
        Some(tags) => select.bind(Bind::Texts(tags.iter().cloned().map(Some).collect())),
        None => select.sql("null::text[]"),
    };
    for price in [price(&input.price_min)?, price(&input.price_max)?] {
        select.sql(", ").bind(Bind::Text(price)).sql("::numeric");
    }
    select
        .sql(", ")
        .bind(Bind::Text(input.currency))
        .sql(format!(
            ", {}, {latitude}, {longitude}, {within}, ",
            input.is_free.map_or("null::boolean".to_owned(), |free| free.to_string())
        ))
        .bind(Bind::Text(input.before.map(|at| at.to_rfc3339())))
        .sql("::timestamptz, ")
        .bind(Bind::Text(input.before_id.map(|id| id.to_string())))
        .sql("::uuid, ")
        .bind(Bind::Int(input.limit.unwrap_or(50).clamp(1, 200)))
        .sql("::integer))) with ordinality as f (id, place) join public.listings l on l.id = f.id order by f.place) x");
    let found: Vec<Value> = tx.load(select).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}
