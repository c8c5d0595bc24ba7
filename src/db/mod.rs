//! PostgreSQL: connections, transactions that enter as their caller, the schema and its replaceable half.
//! Knows nothing of HTTP or of what any table means.

pub mod audit;
pub mod bootstrap;
pub mod check;
pub mod embedded;
pub mod error;
pub mod migrate;
pub mod pool;
pub mod scope;
pub mod settings;
pub mod statement;
mod tap;
pub mod tx;
pub mod vault;

pub use statement::{Bind, Statement};
pub use tx::Tx;

use std::sync::Arc;

use diesel::sql_types::Integer;

use crate::base::{Caller, Hub, Result};
use error::{TRIES, is_collision};

/// The database of the hub.
#[derive(Clone)]
pub struct Db {
    pool: pool::Pool,
    hub: Arc<Hub>,
}

impl Db {
    /// Open a pool of `size` connections; none is made yet.
    pub fn open(url: &str, size: usize) -> anyhow::Result<Self> {
        Self::of(Arc::default(), url, size)
    }

    /// Open a pool whose transactions belong to this hub.
    pub fn of(hub: Arc<Hub>, url: &str, size: usize) -> anyhow::Result<Self> {
        Ok(Self {
            pool: pool::open(url, size)?,
            hub,
        })
    }

    /// The hub this database belongs to.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Do something in one transaction and commit it. What collides with another transaction is done again.
    pub async fn write<T>(
        &self,
        caller: &Caller,
        mut work: impl AsyncFnMut(&mut Tx) -> Result<T>,
    ) -> Result<T> {
        let mut tries = 1;
        loop {
            let mut tx = Tx::begin(self, caller).await?;
            let done = match work(&mut tx).await {
                Ok(done) => tx.commit().await.map(|()| done),
                Err(error) => {
                    tx.roll_back().await?;
                    Err(error)
                }
            };
            match done {
                Err(error) if is_collision(&error) && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// Read in one transaction.
    pub async fn read<T>(
        &self,
        caller: &Caller,
        work: impl AsyncFnMut(&mut Tx) -> Result<T>,
    ) -> Result<T> {
        self.write(caller, work).await
    }

    /// Whether the server answers at all.
    pub async fn answers(&self) -> Result<()> {
        self.read(&Caller::Anonymous, async |tx| {
            tx.load::<Integer, i32>(Statement::new("select 1")).await
        })
        .await
        .map(|_| ())
    }
}
