//! Accounts, tenants, customers, preferences; what goes when an account goes.

use made_open::base::Caller;

use super::Scene;
use crate::stage::{Stage, found};

#[tokio::test(flavor = "multi_thread")]
async fn oh_2_an_account_belongs_to_one_tenant() {
    let scene = Scene::new().await;
    let tenant = scene.stage.tenant("here").await;
    let insert = format!(
        "insert into user_profile (organization_id, role, user_id) values ('{tenant}', 'user', '{}')",
        scene.id
    );
    scene.lets(&Caller::Hub, &insert).await;
    scene
        .denies(&Caller::Hub, &insert, "user_profile_user_id_key")
        .await;
    let king = insert.replace("'user'", "'king'");
    scene
        .denies(&Caller::Hub, &king, "user_profile_role_listed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oh_7_confirmed_at_is_the_earlier_of_two_and_oh_8_phones_are_unique() {
    let scene = Scene::new().await;
    let (other, _) = scene.other("grace").await;
    let hub = Caller::Hub;
    let mine = format!("where id = '{}'", scene.id);
    scene
        .lets(&hub, &format!("update users set phone = '+1', email_confirmed_at = '2026-01-02Z', phone_confirmed_at = '2026-01-01Z' {mine}"))
        .await;
    let earlier =
        "select (confirmed_at = phone_confirmed_at)::text from users where id = auth.uid()";
    assert_eq!(scene.tells(earlier).await, "true");
    scene
        .denies(
            &hub,
            &format!("update users set confirmed_at = now() {mine}"),
            "428C9",
        )
        .await;
    scene
        .denies(
            &hub,
            &format!("update users set phone = '+1' where id = '{other}'"),
            "users_phone_key",
        )
        .await;
    scene
        .denies(
            &hub,
            &format!("update users set email_change_confirm_status = 3 {mine}"),
            "users_email_change_confirm_status_fits",
        )
        .await;
    scene
        .refuses("select encrypted_password from users", "42501")
        .await;
    scene
        .refuses("update users set is_admin = true", "42501")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oh_20_conversations_are_the_tenants_only_when_they_came_that_way() {
    let scene = Scene::new().await;
    let tenant = scene.stage.tenant("here").await;
    let (user, person) = scene.stage.account("user", Some((&tenant, "user"))).await;
    let (_, admin) = scene.stage.account("admin", Some((&tenant, "admin"))).await;
    let (_, colleague) = scene
        .stage
        .account("colleague", Some((&tenant, "user")))
        .await;
    scene
        .lets(
            &person,
            "insert into conversations (type, title) values ('email', 'mine')",
        )
        .await;
    scene
        .lets(
            &person,
            &format!("insert into conversations (user_id, title) values ('{user}', 'ours')"),
        )
        .await;
    let titles = "select string_agg(title, ' ' order by title) from conversations";
    assert_eq!(scene.shows(&person, titles).await, "mine ours");
    assert_eq!(scene.shows(&admin, titles).await, "ours");
    assert_eq!(scene.shows(&colleague, titles).await, "");
    scene
        .lets(&admin, "update conversations set subject = 'seen'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oh_21_a_licence_key_is_random_and_unique() {
    let scene = Scene::new().await;
    let tenant = scene.stage.tenant("here").await;
    let insert = format!("insert into licenses (organization_id) values ('{tenant}')");
    scene.lets(&Caller::Hub, &insert).await;
    let key = scene
        .shows(&Caller::Hub, "select license_key::text from licenses")
        .await;
    assert_eq!(&key[14..15], "4", "a random uuid");
    let again =
        format!("insert into licenses (organization_id, license_key) values ('{tenant}', '{key}')");
    scene
        .denies(&Caller::Hub, &again, "licenses_license_key_key")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oh_26_a_customer_has_one_primary_address_of_each_sort() {
    let scene = Scene::new().await;
    let tenant = scene.stage.tenant("here").await;
    let (_, admin) = scene.stage.account("admin", Some((&tenant, "admin"))).await;
    let customer = scene
        .adds(
            &admin,
            "insert into customers (name, first_name, last_name) values ('A B', 'A', 'B')",
        )
        .await;
    for (table, column, rule) in [
        ("customer_email", "email", "customer_email_one_primary_idx"),
        ("customer_phone", "phone", "customer_phone_one_primary_idx"),
    ] {
        let insert = |primary: bool| {
            format!(
                "insert into {table} (customer_id, {column}, is_primary) values ('{customer}', 'x', {primary})"
            )
        };
        scene.lets(&admin, &insert(true)).await;
        scene.lets(&admin, &insert(false)).await;
        scene.denies(&admin, &insert(true), rule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oh_30_preferences_and_oh_31_keys_are_one_of_each_name() {
    let scene = Scene::new().await;
    let insert = "insert into user_preferences (preference_key, preference_value) values ('theme', '\"dark\"')";
    scene.does(insert).await;
    scene
        .refuses(insert, "user_preferences_user_id_preference_key_key")
        .await;
    let insert = "insert into key_store (provider, api_key) values ('openrouter', 'vault-1')";
    scene.does(insert).await;
    scene
        .refuses(insert, "key_store_user_id_provider_key")
        .await;
    scene
        .refuses("update key_store set verified = true", "42501")
        .await;
    scene
        .lets(&Caller::Hub, "update key_store set verified = true")
        .await;
    scene.does("update key_store set api_key = 'vault-2'").await;
    assert_eq!(
        scene.tells("select verified::text from key_store").await,
        "false"
    );
}

/// An account takes everything of its own with it, whatever hangs on what, and leaves what is others'.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_row_of_every_table_can_be_deleted() {
    let stage = Stage::new().await;
    let cast = stage.cast().await;
    let scopes = crate::scopes::Scopes::read();
    let mut world = stage.world(&cast.first);
    found(&mut world).await;
    for table in stage.catalogue.tables.keys() {
        if !world.parents.contains_key(table) {
            let said = scopes.expected(table).remove(0).row;
            let row = world.make_or_change(table, &said).await;
            world.parents.insert(table.clone(), row);
        }
    }
    let owner = world.names["owner"].clone();
    stage
        .hub(&format!("delete from public.users where id = '{owner}'"))
        .await;
    let mut left = Vec::new();
    for table in stage.catalogue.tables.values() {
        let Some(kind) = table
            .kind
            .as_ref()
            .filter(|kind| kind.scope == "owner" && !kind.append_only)
        else {
            continue;
        };
        let column = kind.owner_column.as_ref().unwrap();
        let count = format!(
            "select count(*)::text from public.{} where {column} = '{owner}'",
            table.name
        );
        let count = stage.reads(&Caller::Hub, &count).await.unwrap();
        if count != [Some("0".to_owned())] {
            left.push(format!("{} keeps {count:?} rows", table.name));
        }
    }
    crate::expect_none(&left);
}
