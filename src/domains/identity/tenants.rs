//! Organizations: made and listed by the operator; who belongs to which is a row of `user_profile`.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::accounts::Role;
use super::refusal;
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement};

/// The longest name.
const LONGEST_NAME: usize = 200;

/// An organization with what belongs to it, counted.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: Uuid,
    pub name: String,
    pub people: i64,
    pub created_at: DateTime<Utc>,
}

/// Make an organization; with an account that becomes its first admin, taken out of the one where it was.
pub async fn add(db: &Db, name: &str, admin: Option<&str>) -> Result<Uuid> {
    let name = name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(refusal(
            422,
            "validation_failed",
            "A name has 1 to 200 characters and no control characters.",
        ));
    }
    let admin = admin.map(super::accounts::address).transpose()?;
    let id = Uuid::now_v7();
    db.write(&Caller::Hub, async |tx| {
        let mut insert = Statement::new("insert into public.tenants (id, name) values (");
        insert.bind(Bind::Uuid(id)).sql(", ").text(name).sql(")");
        tx.run(insert).await?;
        let Some(email) = &admin else {
            return Ok(id);
        };
        let mut place = Statement::new("update public.user_profile set organization_id = ");
        place
            .bind(Bind::Uuid(id))
            .sql(", role = case when role = 'developer' then role else ")
            .text(Role::Admin.name())
            .sql(
                " end where user_id = (select u.id from public.users u where u.deleted_at is null \
                 and lower(u.email) = ",
            )
            .text(email.clone())
            .sql(")");
        match tx.run(place).await? {
            0 => Err(Error::missing(
                "user_not_found",
                "There is no account with this address.",
            )),
            _ => Ok(id),
        }
    })
    .await
}

/// All organizations, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Tenant>> {
    let select = Statement::<(SqlUuid, Text, BigInt, Timestamptz)>::new(
        "select t.id, t.name, (select count(*) from public.user_profile p where p.organization_id = t.id), t.created_at \
         from public.tenants t order by t.created_at, t.id",
    );
    type Row = (Uuid, String, i64, DateTime<Utc>);
    let rows: Vec<Row> = db
        .read(&Caller::Hub, async |tx| tx.load(select.clone()).await)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, people, created_at)| Tenant {
            id,
            name,
            people,
            created_at,
        })
        .collect())
}
