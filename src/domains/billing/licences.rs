//! Licences: a module of an organization is usable while one of its licences that is not over includes it. The same
//! condition guards writes in the database (`hub.may_use_module`).

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::base::Result;
use crate::db::{Statement, Tx};

/// A module that may be used.
#[derive(Serialize)]
pub struct Usable {
    pub id: Uuid,
    pub module_name: String,
    pub description: Option<String>,
    /// Null: for ever.
    pub until: Option<DateTime<Utc>>,
}

/// Nothing is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The modules that the caller may use now, by name.
pub async fn usable(tx: &mut Tx, _: Nothing) -> Result<Vec<Usable>> {
    type Row = (SqlUuid, Text, Nullable<Text>, Nullable<Timestamptz>);
    let select = Statement::<Row>::new(
        "select m.id, m.module_name, m.description, \
         case when bool_or(l.expiration_date is null) then null else max(l.expiration_date) end \
         from public.org_modules m \
         join public.license_modules lm on lm.tenant_id = m.organization_id and lm.module_id = m.id \
         join public.licenses l on l.organization_id = lm.tenant_id and l.id = lm.license_id \
         where m.organization_id = auth.tenant_id() and (l.expiration_date is null or l.expiration_date > now()) \
         group by m.id, m.module_name, m.description order by m.module_name",
    );
    type Found = (Uuid, String, Option<String>, Option<DateTime<Utc>>);
    let rows: Vec<Found> = tx.load(select).await?;
    Ok(rows
        .into_iter()
        .map(|(id, module_name, description, until)| Usable {
            id,
            module_name,
            description,
            until,
        })
        .collect())
}
