//! PostgreSQL: connections, transactions that enter as their caller, the schema and its replaceable half.
//! Knows nothing of HTTP or of what any table means.

pub mod audit;
pub mod bootstrap;
pub mod check;
pub mod embedded;
pub mod error;
pub mod look;
pub mod migrate;
pub mod once;
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
            pool: pool::open(url, size, pool::OF_REQUESTS)?,
            hub,
        })
    }

    /// The same database over connections for what came from elsewhere.
    pub fn for_applying(&self, url: &str, size: usize) -> anyhow::Result<Self> {
        Ok(Self {
            pool: pool::open(url, size, pool::OF_APPLYING)?,
            hub: self.hub.clone(),
        })
    }

    /// The same database over connections for jobs, whose statements may take longer.
    pub fn for_jobs(&self, url: &str, size: usize) -> anyhow::Result<Self> {
        Ok(Self {
            pool: pool::open(url, size, pool::OF_JOBS)?,
            hub: self.hub.clone(),
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
        work: impl AsyncFnMut(&mut Tx) -> Result<T>,
    ) -> Result<T> {
        self.transact(caller, once::asked(), work).await
    }

    async fn transact<T>(
        &self,
        caller: &Caller,
        once: Option<Arc<once::Once>>,
        mut work: impl AsyncFnMut(&mut Tx) -> Result<T>,
    ) -> Result<T> {
        let mut tries = 1;
        loop {
            let mut tx = Tx::begin(self, caller).await?;
            let worked = match &once {
                Some(once) => match once.take(&mut tx).await {
                    Ok(()) => work(&mut tx).await,
                    Err(refusal) => Err(refusal),
                },
                None => work(&mut tx).await,
            };
            let done = match (worked, &once) {
                (Ok(done), None) => tx.commit().await.map(|()| done),
                // Made true together with its answer, once the door has said it.
                (Ok(done), Some(once)) => once.hold(tx).await.map(|()| done),
                (Err(error), _) => {
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
        self.transact(caller, None, work).await
    }

    /// How many connections are lent, how many there may be, and how many requests wait for one.
    pub fn pool_use(&self) -> (usize, usize, usize) {
        let now = self.pool.status();
        (
            now.size.saturating_sub(now.available),
            now.max_size,
            now.waiting,
        )
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
