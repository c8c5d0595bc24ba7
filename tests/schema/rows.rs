//! One generator of rows for every table: it walks the catalogue, gives each column that must be said a value of its
//! type, follows links to parents of the same owner, and asks a short list of overrides where a rule can't be guessed.

use std::collections::BTreeMap;

use futures_util::future::{FutureExt, LocalBoxFuture};
use made_open::base::Caller;
use made_open::db::statement::{literal, quoted};
use made_open::db::{Db, Statement};
use serde_json::{Map, Value, json};

use crate::catalogue::{Catalogue, Column, Table};

/// Values by column. A text that begins with `@` stands for somebody's id (`@owner`), that of the owner's row of a table
/// (`@projects`), that of one made for the purpose (`@+projects`), a word of its own
/// (`@unique`), or nothing (`@none`).
pub type Values = Map<String, Value>;

/// SQL by column.
pub type Sql = BTreeMap<String, String>;

/// Everything that belongs to one owner.
pub struct World<'a> {
    pub catalogue: &'a Catalogue,
    pub db: &'a Db,
    /// Ids by word: owner, tenant, member, newcomer.
    pub names: BTreeMap<&'static str, String>,
    /// One row per table for others to point at.
    pub parents: BTreeMap<String, Values>,
    made: usize,
}

/// What a table wants and its constraints say only by logic.
fn wanted(table: &str) -> Value {
    match table {
        "relationships" => {
            json!({"from_kind": "persons", "from_id": "@persons", "to_kind": "organizations", "to_id": "@organizations"})
        }
        "workspace_members" => json!({"user_id": "@newcomer"}),
        "brain_dump_links" => json!({"project_id": "@projects"}),
        "notes" => json!({"title": "a note"}),
        "onto_edges" => {
            json!({"src_kind": "onto_tasks", "src_id": "@onto_tasks", "dst_kind": "onto_projects", "dst_id": "@onto_projects"})
        }
        "onto_tasks" | "onto_goals" | "onto_plans" | "onto_documents" | "onto_milestones"
        | "onto_events" => {
            json!({"project_id": "@onto_projects", "state_key": "todo"})
        }
        "onto_comments" => json!({"entity_type": "onto_projects", "entity_id": "@onto_projects"}),
        "onto_templates" => {
            json!({"type_key": "@unique", "states": "{begun}", "initial_state": "begun"})
        }
        "team_members" => json!({"user_id": "@newcomer"}),
        "team_connections" => json!({"to_team_id": "@+teams"}),
        // What is not public unless a case says so.
        "daos" => json!({"is_public": false}),
        "conversations" => json!({"owner_id": "@owner"}),
        "messages" => json!({"owner_id": "@owner", "direction": "inbound"}),
        "proposals" => json!({"dao_id": "@daos"}),
        "posts" => json!({"visibility": "direct"}),
        "ledger_accounts" => json!({"owner_id": "@owner", "credit_limit": null}),
        "votes" => {
            json!({"user_id": "@owner", "proposal_id": {"@proposals": {"status": "active"}}})
        }
        "reports" => json!({"objects": "{https://example.org/1}"}),
        "exchanges" => json!({"offer_user_id": "@owner", "need_user_id": "@newcomer"}),
        "beta_signups" => json!({"email": "somebody@example.org"}),
        _ => json!({}),
    }
}

impl<'a> World<'a> {
    /// An empty world of an owner.
    pub fn new(
        catalogue: &'a Catalogue,
        db: &'a Db,
        names: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        Self {
            catalogue,
            db,
            names: names.into_iter().collect(),
            parents: BTreeMap::new(),
            made: 0,
        }
    }

    /// The row of a table that others point at; made when it is first asked for.
    pub fn parent<'b>(&'b mut self, table: &'b str) -> LocalBoxFuture<'b, Values> {
        async move {
            if let Some(row) = self.parents.get(table) {
                return row.clone();
            }
            let row = self.make(table, &Values::new()).await;
            self.parents.insert(table.to_owned(), row.clone());
            row
        }
        .boxed_local()
    }

    /// Insert a row as the hub; it comes back as stored.
    pub async fn make(&mut self, table: &str, said: &Values) -> Values {
        match self.try_make(table, said).await {
            Ok(row) => row,
            Err(error) => panic!("{table} {said:?}: {error}"),
        }
    }

    /// Insert a row as the hub, if the database takes it.
    pub async fn try_make(
        &mut self,
        table: &str,
        said: &Values,
    ) -> made_open::base::Result<Values> {
        let values = self.values(table, said).await;
        let sql = insertion(table, &values);
        self.db
            .write(&Caller::Hub, async |tx| {
                let rows: Vec<String> = tx
                    .load(Statement::<diesel::sql_types::Text>::new(format!(
                        "{sql} returning to_jsonb({}.*)::text",
                        quoted(table)
                    )))
                    .await?;
                if let Some(more) = beside(table, &values) {
                    tx.script(&more).await?;
                }
                Ok(rows)
            })
            .await
            .map(|rows| serde_json::from_str(&rows[0]).unwrap())
    }

    /// Insert a row as the hub, or bring the one that stands in its way to the same values.
    pub async fn make_or_change(&mut self, table: &str, said: &Values) -> Values {
        match self.try_make(table, said).await {
            Ok(row) => row,
            Err(error) if error.is("23505") => self.change(table, said).await,
            Err(error) => panic!("{table} {said:?}: {error}"),
        }
    }

    async fn change(&mut self, table: &str, said: &Values) -> Values {
        let values = self.values(table, said).await;
        let sets: Vec<String> = said
            .keys()
            .map(|column| format!("{} = {}", quoted(column), values[column]))
            .collect();
        let sets = if sets.is_empty() {
            "id = id".to_owned()
        } else {
            sets.join(", ")
        };
        for unique in &self.catalogue.table(table).uniques {
            if !unique.iter().all(|column| values.contains_key(column)) {
                continue;
            }
            let same: Vec<String> = unique
                .iter()
                .map(|column| format!("{} = {}", quoted(column), values[column]))
                .collect();
            let sql = format!(
                "update public.{0} set {sets} where {1} returning to_jsonb({0}.*)::text",
                quoted(table),
                same.join(" and ")
            );
            let rows: Vec<String> = self
                .db
                .write(&Caller::Hub, async |tx| {
                    tx.load(Statement::<diesel::sql_types::Text>::new(&sql))
                        .await
                })
                .await
                .unwrap_or_else(|error| panic!("{error}: {sql}"));
            if let Some(row) = rows.first() {
                return serde_json::from_str(row).unwrap();
            }
        }
        match self.parents.get(table) {
            Some(row) => row.clone(),
            None => panic!("{table} {said:?}: nothing stands in its way"),
        }
    }

    /// Values for a row of a table: what is said, what the table wants, and everything that must be said.
    pub async fn values(&mut self, table: &str, said: &Values) -> Sql {
        let catalogue = self.catalogue;
        let described = catalogue.table(table);
        let mut values = Sql::new();
        let wanted = wanted(table);
        let all = wanted.as_object().unwrap().iter().chain(said);
        for (column, value) in all {
            let sql = self.resolve(value).await;
            values.insert(column.clone(), sql);
        }
        self.scope(described, &mut values);
        self.follow(described, &mut values).await;
        for column in &described.columns {
            let must = column.required && column.default.is_none() && !column.generated;
            if must && !values.contains_key(&column.name) {
                let value = self.guess(described, column);
                values.insert(column.name.clone(), value);
            }
        }
        values
    }

    /// The columns that place a row: owner, tenant, and whatever defaults to the caller.
    fn scope(&self, table: &Table, values: &mut Sql) {
        let kind = table.kind.as_ref().expect("a registered kind");
        let word = match kind.scope.as_str() {
            "tenant" => "tenant",
            _ => "owner",
        };
        if let Some(column) = &kind.owner_column
            && !(column == "id" && matches!(table.name.as_str(), "users" | "tenants"))
        {
            self.place(values, column, word);
        }
        for column in &table.columns {
            match column.default.as_deref() {
                Some("auth.uid()") => self.place(values, &column.name, "owner"),
                Some("auth.tenant_id()") => self.place(values, &column.name, "tenant"),
                _ => {}
            }
        }
    }

    fn place(&self, values: &mut Sql, column: &str, word: &str) {
        values
            .entry(column.to_owned())
            .or_insert_with(|| literal(&self.names[word]));
    }

    /// Parents for the links that a row can't be without.
    async fn follow(&mut self, table: &Table, values: &mut Sql) {
        let mut links: Vec<_> = table.links.iter().collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.columns.len()));
        for link in links {
            let open = link.columns.iter().any(|name| {
                let column = table.column(name).unwrap();
                column.required && column.default.is_none() && !values.contains_key(name)
            });
            // With one of its columns left empty a link of several binds nothing.
            let binds = link
                .columns
                .iter()
                .all(|name| table.column(name).unwrap().required);
            if !open || !binds {
                continue;
            }
            let parent: Values = match link.parent.as_str() {
                "users" => self.only_id("owner"),
                "tenants" => self.only_id("tenant"),
                other => self.parent(other).await,
            };
            for (column, of_parent) in link.columns.iter().zip(&link.parent_columns) {
                values
                    .entry(column.clone())
                    .or_insert_with(|| sql_of(&parent[of_parent]));
            }
        }
    }

    fn only_id(&self, word: &str) -> Values {
        let mut row = Values::new();
        row.insert("id".into(), json!(self.names[word]));
        row
    }

    /// SQL for a value as a test or a case says it.
    async fn resolve(&mut self, value: &Value) -> String {
        // {"@conversations": {…}} is the id of a row made for the purpose with these values.
        if let Some((table, said)) = value.as_object().and_then(|object| object.iter().next())
            && let Some(table) = table.strip_prefix('@')
        {
            let fresh = self
                .make(table, said.as_object().unwrap())
                .boxed_local()
                .await;
            return sql_of(&fresh["id"]);
        }
        let Some(word) = value.as_str().and_then(|text| text.strip_prefix('@')) else {
            return sql_of(value);
        };
        match word {
            "none" => return "null".into(),
            "unique" => return literal(&uuid::Uuid::new_v4().to_string()),
            _ => {}
        }
        if let Some(id) = self.names.get(word) {
            return literal(id);
        }
        if let Some(table) = word.strip_prefix('+') {
            let fresh = self.make(table, &Values::new()).boxed_local().await;
            return sql_of(&fresh["id"]);
        }
        let (table, column) = word.split_once('.').unwrap_or((word, "id"));
        sql_of(&self.parent(table).await[column])
    }

    /// A value of the column's type that its checks allow.
    fn guess(&mut self, table: &Table, column: &Column) -> String {
        self.made += 1;
        let number = self.made;
        if let Some(words) = table.listed(&column.name) {
            return literal(&words[0]);
        }
        let name = &column.name;
        match column.sql_type.as_str() {
            "text" => literal(&format!(
                "{name} {number}-{}",
                &uuid::Uuid::new_v4().simple().to_string()[..8]
            )),
            "uuid" => literal(&uuid::Uuid::new_v4().to_string()),
            "integer" | "bigint" | "smallint" | "numeric" | "real" | "double precision" => {
                "1".into()
            }
            "boolean" => "false".into(),
            "jsonb" => {
                let list = table
                    .checks
                    .iter()
                    .any(|check| check.contains(&format!("jsonb_typeof({name}) = 'array'")));
                if list { "'[]'" } else { "'{}'" }.into()
            }
            "timestamp with time zone" => "now()".into(),
            "date" => "current_date".into(),
            "time without time zone" => "'09:00'".into(),
            "inet" => "'192.0.2.1'".into(),
            "bytea" => "'\\x00'".into(),
            "point" => "'(1,2)'".into(),
            "vector" => "'[1,2,3]'".into(),
            array if array.ends_with("[]") => "'{}'".into(),
            other if other.starts_with("numeric") => "1".into(),
            other => panic!("no value for {}.{name} of type {other}", table.name),
        }
    }
}

/// What must come in the same transaction as a row: a booking has its other side.
fn beside(table: &str, values: &Sql) -> Option<String> {
    (table == "ledger_entries").then(|| {
        format!(
            "with other as (insert into public.ledger_accounts (credit_limit) values (null) returning id)
             insert into public.ledger_entries (account_id, transfer_id, amount, agreement)
             select id, {}, -{}, {} from other",
            values["transfer_id"], values["amount"], values["agreement"]
        )
    })
}

/// The statement that inserts these values.
pub fn insertion(table: &str, values: &Sql) -> String {
    let columns: Vec<String> = values.keys().map(|name| quoted(name)).collect();
    let said: Vec<&str> = values.values().map(String::as_str).collect();
    if columns.is_empty() {
        return format!("insert into public.{} default values", quoted(table));
    }
    format!(
        "insert into public.{} ({}) values ({})",
        quoted(table),
        columns.join(", "),
        said.join(", ")
    )
}

/// A JSON value as SQL.
pub fn sql_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => literal(text),
        Value::Array(_) | Value::Object(_) => literal(&value.to_string()),
    }
}
