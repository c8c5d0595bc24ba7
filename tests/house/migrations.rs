//! The migrations as text: each goes both ways, each table becomes a kind, what is replaceable is elsewhere.
//! What only a server can tell is in tests/schema.

use std::collections::BTreeSet;

use crate::{nothing_wrong, read, top};

/// Folders that may make functions, with the reason.
const WITH_FUNCTIONS: &[(&str, &str)] = &[(
    "0001_hub",
    "register_kind and uuid_v7 must stand before the first table",
)];

/// A word of SQL, lower case; strings keep their quote in front.
fn words(sql: &str) -> Vec<String> {
    let chars: Vec<char> = sql.chars().collect();
    let mut words = Vec::new();
    let mut i = 0;
    let find = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        (from..chars.len())
            .find(|&at| chars[at..].starts_with(&end))
            .map_or(chars.len(), |at| at + end.len())
    };
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        if chars[i..].starts_with(&['-', '-']) {
            i = find(i, "\n");
        } else if chars[i..].starts_with(&['/', '*']) {
            i = find(i + 2, "*/");
        } else if c == '\'' {
            i = find(i + 1, "'");
            words.push(chars[start..i - 1].iter().collect());
        } else if c == '$' {
            // A dollar-quoted body: `$$` or `$name$` up to the same again.
            let tag: String = chars[i..find(i + 1, "$")].iter().collect();
            i = find(i + tag.chars().count(), &tag);
        } else if c.is_alphanumeric() || c == '_' || c == '"' {
            while i < chars.len()
                && (chars[i].is_alphanumeric() || matches!(chars[i], '_' | '.' | '"'))
            {
                i += 1;
            }
            words.push(
                chars[start..i]
                    .iter()
                    .filter(|c| **c != '"')
                    .collect::<String>()
                    .to_lowercase(),
            );
        } else {
            i += 1;
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
        }
    }
    words
}

/// The names after `create table` or `drop table`, in order with their place among the words; `public.` left out.
fn tables(words: &[String], verb: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for i in 1..words.len() {
        let before = &words[i - 1];
        if words[i] != "table" || !(before == verb || before == "unlogged" || before == "temporary")
        {
            continue;
        }
        let name = words[i + 1..]
            .iter()
            .find(|word| !["if", "not", "exists", "only"].contains(&word.as_str()));
        let name = name.unwrap();
        found.push((i, name.strip_prefix("public.").unwrap_or(name).to_owned()));
    }
    found
}

/// The kinds that calls of `register_kind` name, with their place among the words.
fn registered(words: &[String]) -> Vec<(usize, String)> {
    (0..words.len().saturating_sub(2))
        .filter(|&i| words[i] == "hub.register_kind" && words[i + 1] == "(")
        .filter_map(|i| Some((i, words[i + 2].strip_prefix('\'')?.to_owned())))
        .collect()
}

/// The folders below migrations, in the order they are applied.
fn folders() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(top().join("migrations"))
        .expect("migrations")
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no folder in migrations");
    names
}

/// All kinds that the migrations register.
pub fn kinds() -> BTreeSet<String> {
    let found: Vec<String> = folders()
        .iter()
        .flat_map(|folder| registered(&words(&read(format!("migrations/{folder}/up.sql")))))
        .map(|(_, kind)| kind)
        .collect();
    found.into_iter().collect()
}

#[test]
fn every_migration_goes_both_ways_and_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let (number, name) = folder.split_once('_').unwrap_or((&folder, ""));
        let dated = number.len() == "2027-03-02-101500".len() && number.starts_with("20");
        let numbered = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
        if !(dated || numbered) || name.is_empty() {
            wrong.push(format!(
                "{folder}: called neither 0120_domain nor 2027-03-02-101500_domain_what"
            ));
        }
        for file in ["up.sql", "down.sql"] {
            if !top().join("migrations").join(&folder).join(file).is_file() {
                wrong.push(format!("{folder}: no {file}"));
            }
        }
        if wrong.is_empty() && !read(format!("migrations/{folder}/up.sql")).starts_with("-- ") {
            wrong.push(format!("{folder}: up.sql opens with a paragraph of intent"));
        }
    }
    nothing_wrong("Migrations:", wrong);
}

#[test]
fn every_table_becomes_a_kind() {
    let mut wrong = Vec::new();
    let mut tables_so_far = BTreeSet::new();
    let mut kinds_so_far = BTreeSet::new();
    for folder in folders() {
        let words = words(&read(format!("migrations/{folder}/up.sql")));
        let kinds = registered(&words);
        for (place, table) in tables(&words, "create") {
            if table.contains('.') {
                let schema = table.split('.').next().unwrap();
                if schema != "hub" {
                    wrong.push(format!(
                        "{folder}: {table}: tables are the public schema's or hub's"
                    ));
                }
                continue;
            }
            if !kinds
                .iter()
                .any(|(later, kind)| *kind == table && *later > place)
            {
                wrong.push(format!(
                    "{folder}: {table} is followed by no register_kind('{table}', …)"
                ));
            }
            if !tables_so_far.insert(table.clone()) {
                wrong.push(format!("{folder}: {table} is made twice"));
            }
        }
        for (_, kind) in kinds {
            if !tables_so_far.contains(&kind) {
                wrong.push(format!(
                    "{folder}: register_kind('{kind}', …) comes before its table"
                ));
            }
            if !kinds_so_far.insert(kind.clone()) {
                wrong.push(format!(
                    "{folder}: {kind} is registered twice; hub.change_kind changes it"
                ));
            }
        }
    }
    nothing_wrong("Every table outside the schema hub is a kind:", wrong);
}

#[test]
fn what_up_makes_down_drops_in_reverse() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let made: Vec<String> = tables(
            &words(&read(format!("migrations/{folder}/up.sql"))),
            "create",
        )
        .into_iter()
        .map(|(_, table)| table)
        .filter(|table| !table.contains('.'))
        .collect();
        let down = words(&read(format!("migrations/{folder}/down.sql")));
        let dropped: Vec<String> = tables(&down, "drop")
            .into_iter()
            .map(|(_, table)| table)
            .collect();
        let reversed: Vec<String> = made.iter().rev().cloned().collect();
        for table in &made {
            if !dropped.contains(table) {
                wrong.push(format!("{folder}: {table} is not dropped"));
            }
        }
        let same: BTreeSet<&String> = made.iter().collect();
        if same == dropped.iter().collect() && dropped != reversed {
            wrong.push(format!("{folder}: tables are not dropped in reverse order"));
        }
    }
    nothing_wrong("down.sql undoes up.sql:", wrong);
}

#[test]
fn what_is_replaceable_is_not_in_a_migration() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let words = words(&read(format!("migrations/{folder}/up.sql")));
        for (i, word) in words.iter().enumerate() {
            let functions_too = !WITH_FUNCTIONS.iter().any(|(excused, _)| *excused == folder);
            let replaceable = match word.as_str() {
                "trigger" | "policy" | "view" => true,
                "function" | "procedure" => functions_too,
                _ => false,
            };
            if replaceable
                && i > 0
                && ["create", "replace", "constraint"].contains(&words[i - 1].as_str())
            {
                wrong.push(format!(
                    "{folder}: create {word} {}",
                    words.get(i + 1).map_or("", String::as_str)
                ));
            }
        }
    }
    nothing_wrong(
        "Functions, triggers, policies and views live in src/db/hub/*.sql, where a change can be read:",
        wrong,
    );
}

#[test]
fn tables_and_registrations_are_read_from_sql() {
    let sql = words(
        "-- create table a\n create table b (c text default 'create table d'); /* create table e */
         create function f() as $$ create table g $$; create table if not exists public.h (); create unlogged table hub.i ();
         select hub.register_kind('b', scope => 'owner');",
    );
    let named =
        |found: Vec<(usize, String)>| found.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(named(tables(&sql, "create")), ["b", "h", "hub.i"]);
    assert_eq!(named(registered(&sql)), ["b"]);
}
