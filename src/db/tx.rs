//! One transaction with its caller. It owns its connection; dropped unfinished, the connection is thrown away
//! with whatever it had begun, so nothing of one caller can reach the next (S-129).

use std::sync::Arc;

use diesel::pg::Pg;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::{try_join, try_join4};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Db;
use super::error::translate;
use super::pool::{Lent, lend};
use super::scope;
use super::statement::Statement;
use crate::base::{Caller, Hub, Result};

/// An open transaction in which the caller's rights hold.
pub struct Tx {
    lent: Option<Lent>,
    caller: Caller,
    hub: Arc<Hub>,
}

impl Tx {
    /// Begin, and enter as `caller`: two statements in one flight.
    pub async fn begin(db: &Db, caller: &Caller) -> Result<Self> {
        let lent = lend(&db.pool).await?;
        let Caller::For(behalf) = caller else {
            return Self::begin_on(lent, db, caller).await;
        };
        let mut tx = Self::begin_on(lent, db, &Caller::Hub).await?;
        let entered: Vec<scope::Entered> = Self::load(&mut tx, scope::on_behalf(behalf)).await?;
        scope::check(caller, &entered)?;
        tx.caller = caller.clone();
        Ok(tx)
    }

    async fn begin_on(lent: Lent, db: &Db, caller: &Caller) -> Result<Self> {
        let mut tx = Self::over(lent, db, caller);
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
    pub async fn once<T, U>(db: &Db, caller: &Caller, mut statement: Statement<T>) -> Result<Vec<U>>
    where
        T: 'static + Send,
        Statement<T>: Query + QueryFragment<Pg> + QueryId + Send,
        U: Send + 'static,
        for<'a, 'b> Statement<T>: LoadQuery<'a, &'b AsyncPgConnection, U>,
        for<'a> Statement<T>: LoadQuery<'a, AsyncPgConnection, U>,
    {
        if matches!(caller, Caller::For(_)) {
            let mut tx = Self::begin(db, caller).await?;
            let rows = Self::load(&mut tx, statement).await?;
            tx.commit().await?;
            return Ok(rows);
        }
        statement.about_to_run();
        let mut enter = scope::enter(caller);
        enter.about_to_run();
        let (main, first) = (statement.shape(), enter.shape());
        let lent = lend(&db.pool).await?;
        if !(lent.warm.contains(&main) && lent.warm.contains(&first)) {
            let mut tx = Self::begin_on(lent, db, caller).await?;
            let rows = tx.load_prepared(statement).await?;
            tx.commit().await?;
            return Ok(rows);
        }
        // Held as a transaction from here on: when the caller goes away meanwhile, the connection goes too.
        let mut tx = Self::over(lent, db, caller);
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
                    scope::still_valid(db, caller).await?;
                }
                Err(error)
            }
        }
    }

    fn over(lent: Lent, db: &Db, caller: &Caller) -> Self {
        Self {
            lent: Some(lent),
            caller: caller.clone(),
            hub: db.hub.clone(),
        }
    }

    /// The hub whose transaction this is.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Do something with the hub's own rights, then go on with the caller's. Who asked stays known: `auth.uid()` and
    /// the journal still name the caller. For what an action has checked and row security cannot express.
    pub async fn as_hub<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let caller = self.caller.clone();
        if caller == Caller::Hub {
            return work(self).await;
        }
        let role = self.role().await?;
        self.take_role("service_role").await?;
        self.caller = Caller::Hub;
        let done = work(self).await;
        self.caller = caller;
        // After an error of the database the transaction is over and so is the role.
        match self.take_role(&role).await {
            Err(error) if done.is_ok() => Err(error),
            _ => done,
        }
    }

    /// The database role of the caller: only a session's must be asked for.
    async fn role(&mut self) -> Result<String> {
        match self.caller {
            Caller::Anonymous => return Ok("anon".to_owned()),
            Caller::Remote(_) | Caller::For(_) => return Ok("authenticated".to_owned()),
            Caller::Hub => return Ok("service_role".to_owned()),
            Caller::Session(_) => {}
        }
        let mut role = Statement::<Nullable<Text>>::new("select current_setting('role')");
        role.about_to_run();
        let roles: Vec<Option<String>> = self.load_prepared(role).await?;
        Ok(roles.into_iter().flatten().next().unwrap_or_default())
    }

    /// Go on as somebody else, by one statement: for the hub's own loops, which do what many actors have asked for in
    /// one transaction. A session is not entered in this way; it could be over.
    pub async fn enter_as(&mut self, caller: &Caller) -> Result<()> {
        if matches!(caller, Caller::Session(_) | Caller::For(_)) {
            return Err(crate::base::Error::broken(anyhow::anyhow!(
                "only actors and the hub are entered within a transaction"
            )));
        }
        let _: Vec<scope::Entered> = self.load(scope::enter(caller)).await?;
        self.caller = caller.clone();
        Ok(())
    }

    /// Begin a step that can be taken back by itself.
    pub async fn step(&mut self) -> Result<()> {
        self.script("SAVEPOINT step").await
    }

    /// Keep what the step has done.
    pub async fn keep_step(&mut self) -> Result<()> {
        self.script("RELEASE SAVEPOINT step").await
    }

    /// Take back what was done since the step began, also after an error; whoever was entered before is the caller again.
    pub async fn undo_step(&mut self, caller: &Caller) -> Result<()> {
        self.script("ROLLBACK TO SAVEPOINT step; RELEASE SAVEPOINT step")
            .await?;
        self.caller = caller.clone();
        Ok(())
    }

    async fn take_role(&mut self, role: &str) -> Result<()> {
        let mut take = Statement::<Nullable<Text>>::new("select set_config('role', ");
        take.text(role).sql(", true)");
        self.load::<_, Option<String>>(take).await.map(|_| ())
    }

    /// The account that asks, whatever rights it has at the moment.
    pub async fn person(&mut self) -> Result<Option<Uuid>> {
        let ids: Vec<Option<Uuid>> = self
            .load(Statement::<Nullable<SqlUuid>>::new("select auth.uid()"))
            .await?;
        Ok(ids.into_iter().flatten().next())
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

    /// The first of the rows that a statement gives as JSON, if there is any.
    pub async fn one<T: DeserializeOwned>(
        &mut self,
        statement: Statement<Nullable<Jsonb>>,
    ) -> Result<Option<T>> {
        let rows: Vec<Option<serde_json::Value>> = self.load(statement).await?;
        rows.into_iter()
            .flatten()
            .next()
            .map(|row| serde_json::from_value(row).map_err(crate::base::Error::broken))
            .transpose()
    }

    /// The same with the hub's own rights.
    pub async fn hub_one<T: DeserializeOwned>(
        &mut self,
        statement: Statement<Nullable<Jsonb>>,
    ) -> Result<Option<T>> {
        self.as_hub(async |tx| tx.one(statement).await).await
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
