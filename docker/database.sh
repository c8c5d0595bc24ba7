#!/usr/bin/env bash
# Usage: mounted as /docker-entrypoint-initdb.d/made-open.sh; PostgreSQL's image runs it once, as superuser
#
# Makes what no migration may make: the hub's powerless login, the roles it takes on, the database and
# the extension. The same statements as `made-open database bootstrap --print`.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --set password="$(<"$HUB_PASSWORD_FILE")" <<'SQL'
create role anon nologin;
create role authenticated nologin;
create role service_role nologin;
create role made_open_owner nologin;
create role made_open login noinherit nocreaterole nobypassrls password :'password';
grant anon, authenticated, service_role, made_open_owner to made_open;
create database made_open owner made_open_owner;
revoke connect on database made_open from public;
grant connect on database made_open to made_open;
\connect made_open
create extension vector;
SQL
