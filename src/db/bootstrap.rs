//! What an administrator does once: roles, the database, the extension. Idempotent, and never part of a migration.

use anyhow::Context;
use tokio_postgres::{Client, NoTls};

use super::statement::{literal, quoted};

/// The roles of a server: four that cannot log in, and the hub's login, which by itself may do nothing.
const ROLES: &str = "do $$
declare
    r text;
begin
    foreach r in array array['anon', 'authenticated', 'service_role', 'made_open_owner'] loop
        if not exists (select from pg_roles where rolname = r) then
            execute format('create role %I nologin noinherit', r);
        end if;
    end loop;
    if not exists (select from pg_roles where rolname = 'made_open') then
        create role made_open login noinherit nosuperuser nocreaterole nocreatedb nobypassrls;
    end if;
    alter role made_open noinherit nosuperuser nocreaterole nobypassrls;
    grant anon, authenticated, service_role, made_open_owner to made_open;
end
$$";

/// The statements in order: first those for any database of the server, then those inside the hub's own.
pub fn statements(database: &str, password: Option<&str>) -> (Vec<String>, Vec<String>) {
    let mut server = vec![ROLES.to_owned()];
    if let Some(password) = password {
        server.push(format!(
            "alter role made_open password {}",
            literal(password)
        ));
    }
    let name = quoted(database);
    server.push(format!("create database {name} owner made_open_owner"));
    server.push(format!(
        "revoke connect, temporary on database {name} from public"
    ));
    server.push(format!("grant connect on database {name} to made_open"));
    let inside = vec![
        "create extension if not exists vector".to_owned(),
        "alter schema public owner to made_open_owner".to_owned(),
    ];
    (server, inside)
}

/// The same as text for an administrator's psql.
pub fn script(database: &str) -> String {
    let (server, inside) = statements(database, None);
    let mut text = String::from(
        "-- Run as a superuser with psql; running it again does no harm (an existing database stays).\n",
    );
    for statement in server {
        text.push_str(&statement);
        text.push_str(";\n");
    }
    text.push_str(&format!("\\password made_open\n\\connect {database}\n"));
    for statement in inside {
        text.push_str(&statement);
        text.push_str(";\n");
    }
    text
}

/// Do it all through a superuser's address of the server's `postgres` database.
pub async fn run(
    admin: impl Fn(&str) -> String,
    database: &str,
    password: Option<&str>,
) -> anyhow::Result<()> {
    let client = connect(&admin("postgres")).await?;
    let (server, inside) = statements(database, password);
    let exists = !client
        .query("select from pg_database where datname = $1", &[&database])
        .await?
        .is_empty();
    for statement in server {
        if exists && statement.starts_with("create database") {
            continue;
        }
        client.batch_execute(&statement).await.with_context(|| {
            format!(
                "the database said no to: {}",
                statement.lines().next().unwrap_or_default()
            )
        })?;
    }
    let client = connect(&admin(database)).await?;
    for statement in inside {
        client
            .batch_execute(&statement)
            .await
            .with_context(|| format!("the database said no to: {statement}"))?;
    }
    Ok(())
}

/// Whether the login can enter its database, as it can once everything here was done.
pub async fn is_done(url: &str) -> bool {
    connect(url).await.is_ok()
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("cannot reach the database as its administrator")?;
    tokio::spawn(connection);
    Ok(client)
}
