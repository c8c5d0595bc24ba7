//! The live catalogue: tables with their columns, constraints and manners, as PostgreSQL itself tells them.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::{Client, SimpleQueryMessage};

/// All tables of schema public.
pub struct Catalogue {
    pub tables: BTreeMap<String, Table>,
}

/// One table.
#[derive(Debug, Deserialize)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub checks: Vec<String>,
    pub links: Vec<Link>,
    pub uniques: Vec<Vec<String>>,
    pub indexes: Vec<Index>,
    /// Its row in the registry.
    pub kind: Option<Kind>,
}

/// One column.
#[derive(Debug, Deserialize)]
pub struct Column {
    pub name: String,
    pub sql_type: String,
    pub required: bool,
    pub default: Option<String>,
    pub generated: bool,
    /// Whether signed-in clients may read it.
    pub readable: bool,
    pub insertable: bool,
    pub updatable: bool,
}

/// A foreign key.
#[derive(Debug, Deserialize)]
pub struct Link {
    pub columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
}

/// An index with the names of its plain columns; an expression has no name.
#[derive(Debug, Deserialize)]
pub struct Index {
    pub name: String,
    pub columns: Vec<Option<String>>,
    pub partial: bool,
    pub definition: String,
}

/// What the registry says of a table.
#[derive(Debug, Deserialize)]
pub struct Kind {
    pub scope: String,
    pub owner_column: Option<String>,
    pub member_column: Option<String>,
    pub title: Option<String>,
    pub append_only: bool,
    pub links: serde_json::Value,
}

const TABLES: &str = "
select json_build_object(
    'name', c.relname,
    'columns', (select json_agg(json_build_object(
            'name', a.attname, 'sql_type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
            'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
            'generated', a.attgenerated <> '',
            'readable', has_column_privilege('authenticated', c.oid, a.attnum, 'select'),
            'insertable', has_column_privilege('authenticated', c.oid, a.attnum, 'insert'),
            'updatable', has_column_privilege('authenticated', c.oid, a.attnum, 'update')) order by a.attnum)
        from pg_attribute a left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'checks', (select coalesce(json_agg(pg_get_constraintdef(k.oid) order by k.conname), '[]') from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'c'),
    'links', (select coalesce(json_agg(json_build_object('parent', p.relname,
            'columns', (select json_agg(a.attname order by n.o) from unnest(k.conkey) with ordinality n (num, o)
                join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.num),
            'parent_columns', (select json_agg(a.attname order by n.o) from unnest(k.confkey) with ordinality n (num, o)
                join pg_attribute a on a.attrelid = k.confrelid and a.attnum = n.num)) order by k.conname), '[]')
        from pg_constraint k join pg_class p on p.oid = k.confrelid where k.conrelid = c.oid and k.contype = 'f'),
    'uniques', (select coalesce(json_agg((select json_agg(a.attname order by n.o)
            from unnest(i.indkey::int2[]) with ordinality n (num, o)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = n.num)), '[]')
        from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null and i.indexprs is null),
    'indexes', (select coalesce(json_agg(json_build_object('name', x.relname, 'partial', i.indpred is not null,
            'definition', pg_get_indexdef(i.indexrelid),
            'columns', (select json_agg(a.attname order by n.o) from unnest(i.indkey::int2[]) with ordinality n (num, o)
                left join pg_attribute a on a.attrelid = c.oid and a.attnum = n.num and n.num > 0)) order by x.relname), '[]')
        from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = c.oid),
    'kind', (select row_to_json(k) from hub.kinds k where k.name = c.relname))
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '__diesel_schema_migrations'
order by c.relname";

impl Catalogue {
    /// Read it all, as superuser.
    pub async fn read(client: &Client) -> Self {
        let tables = texts(client, TABLES)
            .await
            .iter()
            .map(|text| serde_json::from_str::<Table>(text).unwrap())
            .map(|table| (table.name.clone(), table))
            .collect();
        Self { tables }
    }

    /// A table that must be there.
    #[track_caller]
    pub fn table(&self, name: &str) -> &Table {
        self.tables
            .get(name)
            .unwrap_or_else(|| panic!("there is no table {name}"))
    }
}

impl Table {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The words that a CHECK allows in a column, if it lists them.
    pub fn listed(&self, column: &str) -> Option<Vec<String>> {
        self.checks
            .iter()
            .filter(|check| {
                check.starts_with(&format!("CHECK (({column} = ANY (ARRAY["))
                    || check.starts_with(&format!("CHECK ((({column})::text = ANY (ARRAY["))
                    || check.starts_with(&format!("CHECK (({column} = '"))
            })
            .map(|check| words(check))
            .next()
    }
}

/// The quoted words of a constraint's text.
fn words(check: &str) -> Vec<String> {
    check
        .split('\'')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The first column of what a query answers.
pub async fn texts(client: &Client, sql: &str) -> Vec<String> {
    client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{error:?}: {sql}"))
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
        .collect()
}

/// The one value a query answers.
#[track_caller]
pub fn one(mut texts: Vec<String>) -> String {
    assert_eq!(texts.len(), 1, "one row was expected: {texts:?}");
    texts.remove(0)
}
