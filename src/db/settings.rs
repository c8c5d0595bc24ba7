//! Values that the hub makes for itself once and keeps in the database, so that every process has the same.

use diesel::sql_types::Text;

use super::{Db, Statement};
use crate::base::secret::{Secret, random_token};
use crate::base::{Caller, Error, Result};

/// A random secret of this name, made by whoever asks first.
pub async fn secret(db: &Db, name: &str) -> Result<Secret> {
    let fresh = random_token();
    let kept: Vec<String> = db
        .write(&Caller::Hub, async |tx| {
            let mut once = Statement::new("insert into hub.settings (name, value) values (");
            once.text(name)
                .sql(", to_jsonb(")
                .text(fresh.clone())
                .sql("::text)) on conflict (name) do nothing");
            tx.run(once).await?;
            let mut read =
                Statement::<Text>::new("select value #>> '{}' from hub.settings where name = ");
            read.text(name);
            tx.load(read).await
        })
        .await?;
    kept.into_iter()
        .next()
        .map(Secret::new)
        .ok_or_else(|| Error::broken(anyhow::anyhow!("the setting {name} is not there")))
}
