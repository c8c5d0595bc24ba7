//! Read the registry and the system catalogue into [`Kinds`]. Done at start and whenever the catalogue has changed.

use std::collections::{BTreeMap, HashMap};

use diesel::sql_types::Text;
use serde::Deserialize;

use super::{Cardinality, Column, Junction, Kind, Kinds, Relation, Roles, Table};
use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Db, Statement};

const TABLES: &str = "
with roles(role, bit) as (values ('anon', 1), ('authenticated', 2), ('service_role', 4))
select json_build_object(
    'schema', n.nspname, 'name', c.relname, 'is_view', c.relkind in ('v', 'm'),
    'comment', obj_description(c.oid, 'pg_class'),
    'select', (select coalesce(sum(bit), 0) from roles where has_any_column_privilege(role, c.oid, 'select')),
    'insert', (select coalesce(sum(bit), 0) from roles where has_any_column_privilege(role, c.oid, 'insert')),
    'update', (select coalesce(sum(bit), 0) from roles where has_any_column_privilege(role, c.oid, 'update')),
    'delete', (select coalesce(sum(bit), 0) from roles where has_table_privilege(role, c.oid, 'delete')),
    'columns', (select coalesce(json_agg(json_build_object(
        'name', a.attname, 'sql_type', format_type(a.atttypid, a.atttypmod),
        'nullable', not a.attnotnull,
        'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
        'is_generated', a.attgenerated <> '' or a.attidentity = 'a', 'comment', col_description(c.oid, a.attnum),
        'checks', (select coalesce(json_agg(pg_get_constraintdef(k.oid)), '[]') from pg_constraint k
            where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]),
        'labels', (select coalesce(json_agg(e.enumlabel order by e.enumsortorder), '[]') from pg_enum e where e.enumtypid = a.atttypid),
        'select', (select coalesce(sum(bit), 0) from roles where has_column_privilege(role, c.oid, a.attnum, 'select')),
        'insert', (select coalesce(sum(bit), 0) from roles where has_column_privilege(role, c.oid, a.attnum, 'insert')),
        'update', (select coalesce(sum(bit), 0) from roles where has_column_privilege(role, c.oid, a.attnum, 'update'))
        ) order by a.attnum), '[]')
        from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'keys', (select coalesce(json_agg(json_build_object('primary', i.indisprimary, 'columns',
        (select json_agg(a.attname order by k.n) from unnest(i.indkey::int2[]) with ordinality k(attnum, n)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum))), '[]')
        from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null and i.indexprs is null),
    'kind', (select json_build_object('domain', k.domain, 'scope', k.scope, 'owner_column', k.owner_column,
        'title', k.title, 'text_columns', k.text_columns, 'jsonld', k.jsonld,
        'is_public', k.public_when is not null, 'append_only', k.append_only, 'plugin', k.plugin,
        'by_role', k.scope in ('tenant', 'operators') or coalesce(k.also_read_when like '%app_role()%', false))
        from hub.kinds k where k.name = c.relname and n.nspname = 'public')
)::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (";

const LINKS: &str = "
select json_build_object('constraint', k.conname,
    'schema', n.nspname, 'table', c.relname,
    'columns', (select json_agg(a.attname order by x.n) from unnest(k.conkey) with ordinality x(attnum, n)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = x.attnum),
    'target_schema', fn.nspname, 'target', f.relname,
    'target_columns', (select json_agg(a.attname order by x.n) from unnest(k.confkey) with ordinality x(attnum, n)
        join pg_attribute a on a.attrelid = f.oid and a.attnum = x.attnum)
)::text
from pg_constraint k
join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
where k.contype = 'f' and k.conparentid = 0 and n.nspname = any (";

/// Which column of which table a view's column is. The rule of a view keeps it; of a nested query's columns and the
/// view's own, the view's come last.
const VIEWS: &str = "
select json_build_object('schema', n.nspname, 'view', v.relname, 'column', a.attname,
    'origin_schema', bn.nspname, 'origin', b.relname, 'origin_column', ba.attname)::text
from pg_class v
join pg_namespace n on n.oid = v.relnamespace
join pg_rewrite r on r.ev_class = v.oid and r.rulename = '_RETURN'
cross join lateral (
    select distinct on (m[1]) m[1]::int as number, m[3]::oid as origin, m[4]::int as origin_number
    from regexp_matches(r.ev_action::text,
        ':resno (\\d+) :resname (\\S+) :ressortgroupref \\d+ :resorigtbl (\\d+) :resorigcol (\\d+)', 'g')
        with ordinality found(m, at)
    where m[2] = (select quote_literal(x.attname) from pg_attribute x where x.attrelid = v.oid and x.attnum = m[1]::int)
        or m[2] = (select x.attname from pg_attribute x where x.attrelid = v.oid and x.attnum = m[1]::int)
    order by m[1], at desc
) target
join pg_attribute a on a.attrelid = v.oid and a.attnum = target.number
join pg_class b on b.oid = target.origin
join pg_namespace bn on bn.oid = b.relnamespace
join pg_attribute ba on ba.attrelid = b.oid and ba.attnum = target.origin_number
where v.relkind in ('v', 'm') and n.nspname = any (";

#[derive(Deserialize)]
struct TableRow {
    schema: String,
    name: String,
    is_view: bool,
    comment: Option<String>,
    select: u8,
    insert: u8,
    update: u8,
    delete: u8,
    columns: Vec<ColumnRow>,
    keys: Vec<Key>,
    kind: Option<KindRow>,
}

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    sql_type: String,
    nullable: bool,
    default: Option<String>,
    is_generated: bool,
    comment: Option<String>,
    checks: Vec<String>,
    labels: Vec<String>,
    select: u8,
    insert: u8,
    update: u8,
}

#[derive(Deserialize)]
struct Key {
    primary: bool,
    columns: Vec<String>,
}

#[derive(Deserialize)]
struct KindRow {
    domain: String,
    scope: String,
    owner_column: Option<String>,
    title: Option<String>,
    text_columns: Vec<String>,
    jsonld: String,
    is_public: bool,
    append_only: bool,
    plugin: Option<String>,
    by_role: bool,
}

#[derive(Deserialize, Clone)]
struct Link {
    constraint: String,
    schema: String,
    table: String,
    columns: Vec<String>,
    target_schema: String,
    target: String,
    target_columns: Vec<String>,
}

#[derive(Deserialize)]
struct ViewColumn {
    schema: String,
    view: String,
    column: String,
    origin_schema: String,
    origin: String,
    origin_column: String,
}

/// Read everything that these schemas hold.
pub async fn load(db: &Db, schemas: &[String]) -> Result<Kinds> {
    let (tables, links, views) = db
        .read(&Caller::Hub, async |tx| {
            let names: Vec<_> = schemas.iter().cloned().map(Some).collect();
            let mut tables = Statement::<Text>::new(TABLES);
            tables
                .bind(Bind::Texts(names.clone()))
                .sql(") and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relname <> '__diesel_schema_migrations'");
            let tables: Vec<String> = tx.load(tables).await?;
            let mut links = Statement::<Text>::new(LINKS);
            links.bind(Bind::Texts(names.clone())).sql(") and fn.nspname = any (").bind(Bind::Texts(names.clone())).sql(")");
            let links: Vec<String> = tx.load(links).await?;
            let mut views = Statement::<Text>::new(VIEWS);
            views.bind(Bind::Texts(names)).sql(")");
            let views: Vec<String> = tx.load(views).await?;
            Ok((tables, links, views))
        })
        .await?;
    let tables: Vec<TableRow> = parse(&tables)?;
    let mut links: Vec<Link> = parse(&links)?;
    links.extend(through_views(&links, &parse(&views)?));
    Ok(assemble(tables, links))
}

fn parse<T: for<'de> Deserialize<'de>>(rows: &[String]) -> Result<Vec<T>> {
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(Error::broken))
        .collect()
}

/// A view that shows the columns of a link has that link too.
fn through_views(links: &[Link], columns: &[ViewColumn]) -> Vec<Link> {
    let mut views: BTreeMap<(&str, &str), Vec<&ViewColumn>> = BTreeMap::new();
    for column in columns {
        views
            .entry((&column.schema, &column.view))
            .or_default()
            .push(column);
    }
    let shown = |shows: &[&ViewColumn], schema: &str, table: &str, names: &[String]| {
        names
            .iter()
            .map(|name| {
                shows
                    .iter()
                    .find(|c| {
                        c.origin_schema == schema && c.origin == table && c.origin_column == *name
                    })
                    .map(|c| c.column.clone())
            })
            .collect::<Option<Vec<String>>>()
    };
    let mut found = Vec::new();
    for ((schema, view), shows) in &views {
        for link in links {
            if let Some(columns) = shown(shows, &link.schema, &link.table, &link.columns) {
                found.push(Link {
                    schema: (*schema).to_owned(),
                    table: (*view).to_owned(),
                    columns,
                    ..link.clone()
                });
            }
            if let Some(columns) = shown(
                shows,
                &link.target_schema,
                &link.target,
                &link.target_columns,
            ) {
                found.push(Link {
                    target_schema: (*schema).to_owned(),
                    target: (*view).to_owned(),
                    target_columns: columns,
                    ..link.clone()
                });
            }
        }
    }
    found
}

fn assemble(rows: Vec<TableRow>, links: Vec<Link>) -> Kinds {
    let mut unique: HashMap<(String, String), Vec<Vec<String>>> = HashMap::new();
    let mut kinds = Kinds::default();
    for row in rows {
        let id = (row.schema.clone(), row.name.clone());
        let primary_key = row
            .keys
            .iter()
            .find(|key| key.primary)
            .map(|key| key.columns.clone())
            .unwrap_or_default();
        unique.insert(id, row.keys.into_iter().map(|key| key.columns).collect());
        // What belongs to the machinery alone has no door at all, not even for services (S-136).
        let is_served = row.kind.as_ref().is_none_or(|kind| kind.scope != "service");
        let roles = |bits| Roles(if is_served { bits } else { 0 });
        let table = Table {
            schema: row.schema,
            name: row.name,
            comment: row.comment,
            is_view: row.is_view,
            kind: row.kind.map(|kind| Kind {
                domain: kind.domain,
                scope: kind.scope,
                owner_column: kind.owner_column,
                title: kind.title,
                text_columns: kind.text_columns,
                jsonld: kind.jsonld,
                is_public: kind.is_public,
                append_only: kind.append_only,
                plugin: kind.plugin,
                by_role: kind.by_role,
            }),
            columns: row.columns.into_iter().map(|c| column(c, &roles)).collect(),
            primary_key,
            relations: Vec::new(),
            select: roles(row.select),
            insert: roles(row.insert),
            update: roles(row.update),
            delete: roles(row.delete),
        };
        kinds
            .schemas
            .entry(table.schema.clone())
            .or_insert_with(BTreeMap::new)
            .insert(table.name.clone(), table);
    }
    let links: Vec<Link> = links.into_iter().map(|link| narrow(link, &kinds)).collect();
    let is_unique = |schema: &str, table: &str, columns: &[String]| {
        unique
            .get(&(schema.to_owned(), table.to_owned()))
            .is_some_and(|keys| {
                keys.iter()
                    .any(|key| !key.is_empty() && key.iter().all(|name| columns.contains(name)))
            })
    };
    let mut found: Vec<(String, String, Relation)> = Vec::new();
    for link in &links {
        let one = is_unique(&link.schema, &link.table, &link.columns);
        found.push((
            link.schema.clone(),
            link.table.clone(),
            Relation {
                constraint: link.constraint.clone(),
                cardinality: if one {
                    Cardinality::OneToOne
                } else {
                    Cardinality::ManyToOne
                },
                columns: link.columns.clone(),
                target_schema: link.target_schema.clone(),
                target: link.target.clone(),
                target_columns: link.target_columns.clone(),
                junction: None,
            },
        ));
        found.push((
            link.target_schema.clone(),
            link.target.clone(),
            Relation {
                constraint: link.constraint.clone(),
                cardinality: if one {
                    Cardinality::OneToOne
                } else {
                    Cardinality::OneToMany
                },
                columns: link.target_columns.clone(),
                target_schema: link.schema.clone(),
                target: link.table.clone(),
                target_columns: link.columns.clone(),
                junction: None,
            },
        ));
    }
    // Through a table between: two links of one table that are unique together.
    for here in &links {
        for there in links.iter().filter(|there| {
            (&there.schema, &there.table) == (&here.schema, &here.table)
                && there.constraint != here.constraint
        }) {
            let both: Vec<String> = here.columns.iter().chain(&there.columns).cloned().collect();
            let alone = is_unique(&here.schema, &here.table, &here.columns)
                || is_unique(&there.schema, &there.table, &there.columns);
            if alone || !is_unique(&here.schema, &here.table, &both) {
                continue;
            }
            found.push((
                here.target_schema.clone(),
                here.target.clone(),
                Relation {
                    constraint: format!("{},{}", here.constraint, there.constraint),
                    cardinality: Cardinality::ManyToMany,
                    columns: here.target_columns.clone(),
                    target_schema: there.target_schema.clone(),
                    target: there.target.clone(),
                    target_columns: there.target_columns.clone(),
                    junction: Some(Junction {
                        schema: here.schema.clone(),
                        table: here.table.clone(),
                        constraint1: here.constraint.clone(),
                        constraint2: there.constraint.clone(),
                        columns1: here.columns.clone(),
                        columns2: there.columns.clone(),
                    }),
                },
            ));
        }
    }
    for (schema, table, relation) in found {
        if let Some(table) = kinds
            .schemas
            .get_mut(&schema)
            .and_then(|tables| tables.get_mut(&table))
        {
            table.relations.push(relation);
        }
    }
    kinds
}

/// A link that carries the owner beside the parent's id joins by the id alone: it is the parent's key already.
fn narrow(mut link: Link, kinds: &Kinds) -> Link {
    let key = kinds
        .table(&link.target_schema, &link.target)
        .map(|table| table.primary_key.as_slice());
    if link.columns.len() == 2
        && let Some([key]) = key
        && let Some(at) = link.target_columns.iter().position(|name| name == key)
        && let Some(column) = link.columns.get(at).cloned()
    {
        link.columns = vec![column];
        link.target_columns = vec![key.clone()];
    }
    link
}

fn column(row: ColumnRow, roles: &impl Fn(u8) -> Roles) -> Column {
    let listed = if row.labels.is_empty() {
        row.checks
            .iter()
            .find_map(|check| listed(check))
            .unwrap_or_default()
    } else {
        row.labels
    };
    Column {
        name: row.name,
        sql_type: row.sql_type,
        nullable: row.nullable,
        default: row.default,
        is_generated: row.is_generated,
        comment: row.comment,
        listed,
        select: roles(row.select),
        insert: roles(row.insert),
        update: roles(row.update),
    }
}

/// The values of `CHECK ((c = ANY (ARRAY['a'::text, 'b'::text])))`; nothing for a check of another form.
fn listed(check: &str) -> Option<Vec<String>> {
    let (_, list) = check.split_once("= ANY (ARRAY[")?;
    let (list, rest) = list.split_once("])")?;
    if rest.contains("AND") || rest.contains("OR") {
        return None;
    }
    list.split(", ")
        .map(|item| {
            let (value, _) = item.strip_prefix('\'')?.rsplit_once("'::")?;
            Some(value.replace("''", "'"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn reads_listed_values() {
        assert_eq!(
            listed("CHECK ((status = ANY (ARRAY['a'::text, 'it''s'::text])))"),
            Some(vec!["a".to_owned(), "it's".to_owned()])
        );
        assert_eq!(listed("CHECK ((quorum_pct >= 0))"), None);
    }
}
