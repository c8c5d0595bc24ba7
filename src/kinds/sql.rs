//! From a [`Plan`] to one statement. Names come from the registry or are quoted; values of strangers are only bound.

mod filter;
mod select;
mod shape;
mod write;

use diesel::sql_types::{BigInt, Json, Nullable, Text};

use super::ask::Count;
use super::plan::Plan;
use crate::db::Statement;

/// What a statement answers: the rows in all (of a merge, the rows that were there before), the rows shown, the
/// body, the key of the first row as a JSON array, the ids of all.
pub type Answer = (
    Nullable<BigInt>,
    BigInt,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
);

/// An [`Answer`], read.
pub type Answered = (
    Option<i64>,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
);

pub use shape::csv_header;

/// The statement of a plan. With `ids`, those of the written rows are told.
pub fn statement(plan: &Plan<'_>, ids: bool) -> Statement<Answer> {
    let mut sql = Statement::default();
    if plan.write.is_some() {
        write::statement(&mut sql, plan, ids);
        return sql;
    }
    sql.sql("select ");
    match plan.count {
        Some(Count::Exact) => {
            sql.sql("(select count(*) from (");
            select::counted(&mut sql, &plan.read);
            sql.sql(") _c)");
        }
        _ => {
            sql.sql("null::bigint");
        }
    }
    sql.sql(", count(*), ");
    shape::body(&mut sql, plan);
    sql.sql(", null::text, null::text from (");
    select::select(&mut sql, &plan.read, select::From::Root, plan);
    sql.sql(") _t");
    sql
}

/// What the planner of the database expects the count to be.
pub fn expected(plan: &Plan<'_>) -> Statement<Json> {
    let mut sql = Statement::new("explain (format json) ");
    select::counted(&mut sql, &plan.read);
    sql
}

/// All the rows, counted.
pub fn counted(plan: &Plan<'_>) -> Statement<BigInt> {
    let mut sql = Statement::new("select count(*) from (");
    select::counted(&mut sql, &plan.read);
    sql.sql(") _c");
    sql
}
