//! One transaction with its caller. It owns its connection; dropped unfinished, the connection is thrown away
//! with whatever it had begun, so nothing of one caller can reach the next (S-129).

use diesel::pg::Pg;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::{try_join, try_join4};

use super::error::translate;
use super::pool::{Lent, Pool, lend};
use super::scope;
use super::statement::Statement;
use crate::base::{Caller, Result};

/// An open transaction in which the caller's rights hold.
pub struct Tx {
    lent: Option<Lent>,
    caller: Caller,
}

impl Tx {
    /// Begin, and enter as `caller`: two statements in one flight.
    pub async fn begin(pool: &Pool, caller: &Caller) -> Result<Self> {
        Self::begin_on(lend(pool).await?, caller).await
    }

    async fn begin_on(lent: Lent, caller: &Caller) -> Result<Self> {
        let mut tx = Self {
            lent: Some(lent),
            caller: caller.clone(),
        };
        let mut enter = scope::enter(caller);
        enter.about_to_run();
        let shape = enter.is_kept().then(|| enter.shape());
        let connection = tx.connection();
        let begun = {
            let conn = &connection.diesel;
            let (mut first, mut second) = (conn, conn);
            try_join(
                first.batch_execute("BEGIN"),
                enter.load::<scope::Entered>(&mut second),
            )
            .await
        };
        match begun {
            Ok(((), entered)) => {
                connection.warm.extend(shape);
                scope::check(caller, &entered)?;
                Ok(tx)
            }
            Err(error) => Err(tx.said(error)),
        }
    }

    /// Run one statement as `caller` in a transaction of its own. Once the connection knows both statements,
    /// BEGIN, enter, the statement and COMMIT travel in one flight: entering fails closed, so the statement
    /// of a session that is over meets a login without rights.
    pub async fn once<T, U>(
        pool: &Pool,
        caller: &Caller,
        mut statement: Statement<T>,
    ) -> Result<Vec<U>>
    where
        T: 'static + Send,
        Statement<T>: Query + QueryFragment<Pg> + QueryId + Send,
        U: Send + 'static,
        for<'a, 'b> Statement<T>: LoadQuery<'a, &'b AsyncPgConnection, U>,
        for<'a> Statement<T>: LoadQuery<'a, AsyncPgConnection, U>,
    {
        statement.about_to_run();
        let mut enter = scope::enter(caller);
        enter.about_to_run();
        let (main, first) = (statement.shape(), enter.shape());
        let lent = lend(pool).await?;
        if !(lent.warm.contains(&main) && lent.warm.contains(&first)) {
            let mut tx = Self::begin_on(lent, caller).await?;
            let rows = tx.load_prepared(statement).await?;
            tx.commit().await?;
            return Ok(rows);
        }
        // Held as a transaction from here on: when the caller goes away meanwhile, the connection goes too.
        let mut tx = Self {
            lent: Some(lent),
            caller: caller.clone(),
        };
        let flown = {
            let conn = &tx.connection().diesel;
            let (mut a, mut b, mut c, mut d) = (conn, conn, conn, conn);
            let flight = try_join4(
                a.batch_execute("BEGIN"),
                enter.load::<scope::Entered>(&mut b),
                statement.load::<U>(&mut c),
                d.batch_execute("COMMIT"),
            );
            // Each must be sent when it is first polled, or COMMIT would overtake: no budget may hold one back.
            tokio::task::unconstrained(flight).await
        };
        match flown {
            Ok(((), entered, rows, ())) => {
                tx.finished();
                scope::check(caller, &entered)?;
                Ok(rows)
            }
            Err(error) => {
                let error = tx.said(error);
                // The answers that were still under way must not be taken for those of the next request.
                if tx.roll_back_quietly().await.is_ok() {
                    tx.finished();
                }
                if error.is("42501") {
                    scope::still_valid(pool, caller).await?;
                }
                Err(error)
            }
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The connection, for typed queries.
    pub fn conn(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection().diesel
    }

    /// Run a statement and read its rows.
    pub async fn load<T, U>(&mut self, mut statement: Statement<T>) -> Result<Vec<U>>
    where
        T: 'static + Send,
        U: Send + 'static,
        for<'a> Statement<T>: LoadQuery<'a, AsyncPgConnection, U>,
        Statement<T>: QueryFragment<Pg> + QueryId + Send,
    {
        statement.about_to_run();
        self.load_prepared(statement).await
    }

    async fn load_prepared<T, U>(&mut self, statement: Statement<T>) -> Result<Vec<U>>
    where
        T: 'static + Send,
        U: Send + 'static,
        for<'a> Statement<T>: LoadQuery<'a, AsyncPgConnection, U>,
        Statement<T>: QueryFragment<Pg> + QueryId + Send,
    {
        let shape = statement.is_kept().then(|| statement.shape());
        let connection = self.connection();
        match statement.load::<U>(&mut connection.diesel).await {
            Ok(rows) => {
                connection.warm.extend(shape);
                Ok(rows)
            }
            Err(error) => Err(self.said(error)),
        }
    }

    /// Run a statement for its effect; how many rows it touched.
    pub async fn run(&mut self, mut statement: Statement<()>) -> Result<usize> {
        statement.about_to_run();
        match statement.execute(self.conn()).await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.said(error)),
        }
    }

    /// Run text of the hub's own that holds several statements.
    pub async fn script(&mut self, sql: &str) -> Result<()> {
        match self.conn().batch_execute(sql).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.said(error)),
        }
    }

    /// Make it true.
    pub async fn commit(mut self) -> Result<()> {
        match self.conn().batch_execute("COMMIT").await {
            Ok(()) => {
                self.finished();
                Ok(())
            }
            Err(error) => Err(self.said(error)),
        }
    }

    /// Undo it.
    pub async fn roll_back(mut self) -> Result<()> {
        self.roll_back_quietly().await?;
        self.finished();
        Ok(())
    }

    async fn roll_back_quietly(&mut self) -> Result<()> {
        match self.conn().batch_execute("ROLLBACK").await {
            Ok(()) => {
                self.connection().last.take();
                Ok(())
            }
            Err(error) => Err(self.said(error)),
        }
    }

    /// Translate a driver's error with what the connection noted of it.
    #[track_caller]
    pub fn said(&mut self, error: diesel::result::Error) -> crate::base::Error {
        let state = self.connection().last.take();
        translate(error, state)
    }

    fn connection(&mut self) -> &mut Lent {
        self.lent.as_mut().expect("held until finished")
    }

    fn finished(&mut self) {
        self.lent.take();
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            drop(deadpool::managed::Object::take(lent));
        }
    }
}
