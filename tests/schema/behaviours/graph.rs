//! Rows, times, links of the knowledge graph; jobs and credentials.

use made_open::base::Caller;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn mo_5_ids_and_times_come_by_themselves_and_mo_6_updated_at_moves() {
    let scene = Scene::new().await;
    let id = scene
        .adds(&scene.me, "insert into persons (name) values ('Grace')")
        .await;
    assert_eq!(&id[14..15], "7", "time-ordered");
    scene
        .does(&format!(
            "update persons set notes = 'met' where id = '{id}'"
        ))
        .await;
    let moved = "select (updated_at > created_at)::text from persons";
    assert_eq!(scene.tells(moved).await, "true");
    let owner = scene.tells("select owner_id::text from persons").await;
    assert_eq!(owner, scene.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_10_persons_work_at_organizations_and_edges_go_with_their_ends() {
    let scene = Scene::new().await;
    scene
        .does("insert into persons (name) values ('Grace'); insert into organizations (name) values ('Navy')")
        .await;
    let edge = "insert into relationships (from_kind, from_id, relation, to_kind, to_id)
        select 'persons', p.id, 'works_at', 'organizations', o.id from persons p, organizations o";
    scene.does(edge).await;
    scene.refuses(edge, "relationships_edge_key").await;
    scene
        .refuses(
            "update relationships set since = '2020-01-01', until = '2019-01-01'",
            "relationships_until_fits",
        )
        .await;
    scene.does("delete from persons").await;
    assert_eq!(
        scene
            .tells("select count(*)::text from relationships")
            .await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_12_attendees_are_persons_and_mo_97_leave_when_deleted() {
    let scene = Scene::new().await;
    scene
        .does("insert into persons (name) values ('Grace'), ('Alan')")
        .await;
    scene
        .does("insert into events (title, start_time, attendees) select 'tea', now(), jsonb_agg(id) from persons")
        .await;
    scene.does("delete from persons where name = 'Alan'").await;
    let left = "select jsonb_array_length(attendees)::text from events";
    assert_eq!(scene.tells(left).await, "1");
    scene
        .refuses(
            "update events set attendees = jsonb_build_array(hub.uuid_v7())",
            "23503",
        )
        .await;
    scene
        .refuses(
            "update events set end_time = start_time - interval '1 h'",
            "events_end_time_fits",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_45_a_geofence_is_a_hundred_metres_wide_unless_said() {
    let scene = Scene::new().await;
    scene
        .does("insert into locations (name, type) values ('home', 'home')")
        .await;
    assert_eq!(
        scene
            .tells("select radius_meters::text from locations")
            .await,
        "100"
    );
    scene
        .refuses(
            "update locations set radius_meters = -1",
            "locations_radius_meters_fits",
        )
        .await;
    scene
        .refuses(
            "insert into location_history (lat, lon, recorded_at) values (91, 0, now())",
            "location_history_lat_fits",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_53_jobs_have_their_queues_states_and_attempts() {
    let scene = Scene::new().await;
    let insert = |columns: &str, said: &str| {
        format!(
            "insert into job_records (owner_id, job_type, {columns}) values ('{}', 'export', {said})",
            scene.id
        )
    };
    scene
        .lets(&Caller::Hub, &insert("queue", "'realtime'"))
        .await;
    let defaults = "select concat_ws(' ', status, attempts) from job_records";
    assert_eq!(scene.tells(defaults).await, "enqueued 0");
    scene
        .denies(
            &Caller::Hub,
            &insert("queue", "'slow'"),
            "job_records_queue_listed",
        )
        .await;
    scene
        .denies(
            &Caller::Hub,
            &insert("status", "'lost'"),
            "job_records_status_listed",
        )
        .await;
    scene
        .denies(
            &Caller::Hub,
            &insert("attempts", "-1"),
            "job_records_attempts_fits",
        )
        .await;
    scene.refuses(&insert("queue", "'realtime'"), "42501").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_59_mo_60_one_credential_of_each_of_four_types() {
    let scene = Scene::new().await;
    let insert = "insert into user_credentials (credential_type) values ('twilio')";
    scene.does(insert).await;
    scene
        .refuses(insert, "user_credentials_owner_id_credential_type_key")
        .await;
    scene
        .refuses(
            "insert into user_credentials (credential_type) values ('myspace')",
            "user_credentials_credential_type_listed",
        )
        .await;
    scene
        .refuses("update user_credentials set vault_keys = '{a}'", "42501")
        .await;
}
