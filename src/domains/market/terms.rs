//! Terms of FEP-0837 both ways: what is given, what is asked for it.

use serde_json::{Map, Value, json};

use crate::base::amount::Amount;
use crate::fed::vocab;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose { Offer, Request }
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity { pub unit: String, pub value: Option<Amount> }
#[derive(Clone, Debug, PartialEq)]
pub struct Intent { pub action: String, pub conforms_to: Option<String>, pub quantity: Option<Quantity>, pub available: Option<Amount>, pub minimum: Option<Amount> }
#[derive(Clone, Debug, PartialEq)]
pub struct Terms { pub purpose: Purpose, pub unit_based: Option<bool>, pub primary: Intent, pub reciprocal: Option<Intent> }

fn q(unit: &str, value: Option<Amount>) -> Value {
    match value { Some(v) => json!({"hasUnit": unit, "hasNumericalValue": v.to_string()}), None => json!({"hasUnit": unit}) }
}
impl Intent {
    fn wire(&self, id: String) -> Value {
        let mut m = Map::new();
        m.insert("type".into(), json!("Intent"));
        m.insert("id".into(), json!(id));
        m.insert("action".into(), json!(self.action));
        if let Some(c) = &self.conforms_to { m.insert("resourceConformsTo".into(), json!(c)); }
        let unit = self.quantity.as_ref().map_or("one", |q| q.unit.as_str()).to_owned();
        m.insert("resourceQuantity".into(), q(&unit, self.quantity.as_ref().and_then(|q| q.value)));
        if let Some(a) = self.available { m.insert("availableQuantity".into(), q(&unit, Some(a))); }
        if let Some(a) = self.minimum { m.insert("minimumQuantity".into(), q(&unit, Some(a))); }
        Value::Object(m)
    }
    fn read(v: &Value) -> Result<Self, &'static str> {
        let am = |n: &str| -> Result<Option<Quantity>, &'static str> {
            let Some(o) = v.get(n) else { return Ok(None) };
            let unit = o.get("hasUnit").and_then(Value::as_str).ok_or("wrong_unit")?.to_owned();
            let value = match o.get("hasNumericalValue") { None => None, Some(Value::String(t)) => Some(t.parse().map_err(|_| "wrong_quantity")?), Some(_) => return Err("wrong_quantity") };
            Ok(Some(Quantity { unit, value }))
        };
        Ok(Self { action: v.get("action").and_then(Value::as_str).unwrap_or("transfer").to_owned(),
            conforms_to: v.get("resourceConformsTo").and_then(vocab::id).map(str::to_owned),
            quantity: am("resourceQuantity")?, available: am("availableQuantity")?.and_then(|q| q.value), minimum: am("minimumQuantity")?.and_then(|q| q.value) })
    }
}
impl Terms {
    pub fn to_wire(&self, uri: &str) -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("purpose".into(), json!(match self.purpose { Purpose::Offer => "offer", Purpose::Request => "request" }));
        if let Some(u) = self.unit_based { m.insert("unitBased".into(), json!(u)); }
        m.insert("publishes".into(), self.primary.wire(format!("{uri}#primary")));
        if let Some(r) = &self.reciprocal { m.insert("reciprocal".into(), r.wire(format!("{uri}#reciprocal"))); }
        m
    }
    pub fn read(v: &Value) -> Result<Self, &'static str> {
        Ok(Self { purpose: match v.get("purpose").and_then(Value::as_str) { Some("offer") => Purpose::Offer, Some("request") => Purpose::Request, _ => return Err("no_purpose") },
            unit_based: v.get("unitBased").and_then(Value::as_bool),
            primary: Intent::read(v.get("publishes").ok_or("no_intent")?)?,
            reciprocal: v.get("reciprocal").map(Intent::read).transpose()? })
    }
}
pub fn currency_uri(code: &str) -> String { if code == "EUR" { "https://www.wikidata.org/wiki/Q4916".to_owned() } else { format!("https://w3id.org/made-open/hub/v1#currency-{code}") } }
pub fn unit_of(uri: &str) -> Option<String> { match uri { "https://www.wikidata.org/wiki/Q4916" => Some("EUR".into()), "https://w3id.org/made-open/hub/v1#TimeCredit" => Some("TIME".into()), _ => uri.strip_prefix("https://w3id.org/made-open/hub/v1#currency-").map(str::to_owned) } }
