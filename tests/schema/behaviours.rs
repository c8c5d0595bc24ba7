//! What the seeds say about their data and a schema can hold, each test named after its row of the seeds' behaviours:
//! lists, ranges, keys, states and what follows from them, rows that come by themselves, founders who become members.

use made_open::base::Caller;
use serde_json::json;

use crate::rows::{Values, World};
use crate::stage::{Stage, found, object};

/// A database with somebody in it.
struct Scene {
    stage: Stage,
    id: String,
    me: Caller,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let (id, me) = stage.account("ada", None).await;
        Self { stage, id, me }
    }

    /// Somebody whom everybody may name.
    async fn other(&self, name: &str) -> (String, Caller) {
        let (id, caller) = self.stage.account(name, None).await;
        self.stage
            .hub(&format!(
                "insert into public.profiles (id, full_name) values ('{id}', '{name}')"
            ))
            .await;
        (id, caller)
    }

    /// I do something, and it holds.
    async fn does(&self, sql: &str) {
        self.lets(&self.me, sql).await;
    }

    /// Somebody does something, and it holds.
    async fn lets(&self, who: &Caller, sql: &str) {
        self.stage
            .act(who, sql)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// I am refused, and the refusal names the rule.
    async fn refuses(&self, sql: &str, rule: &str) {
        self.denies(&self.me, sql, rule).await;
    }

    async fn denies(&self, who: &Caller, sql: &str, rule: &str) {
        match self.stage.act(who, sql).await {
            Ok(()) => panic!("nobody refused: {sql}"),
            Err(error) => assert!(error.to_string().contains(rule), "{error}: {sql}"),
        }
    }

    /// The one value that I read.
    async fn tells(&self, sql: &str) -> String {
        self.shows(&self.me, sql).await
    }

    async fn shows(&self, who: &Caller, sql: &str) -> String {
        let mut rows = self
            .stage
            .reads(who, sql)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0).unwrap_or_default()
    }

    /// Insert as somebody and get the id back in the same statement.
    async fn adds(&self, who: &Caller, sql: &str) -> String {
        self.shows(who, &format!("{sql} returning id::text")).await
    }

    /// Everything that is mine, made by the hub.
    fn world(&self) -> World<'_> {
        self.stage.world(&[("owner", self.id.clone())])
    }
}

// Rows and time --------------------------------------------------------------------------------------------------------

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

// Communication --------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn mo_21_a_message_of_a_provider_comes_once() {
    let scene = Scene::new().await;
    let insert = "insert into messages (owner_id, direction, body, provider_message_id) values (auth.uid(), 'inbound', 'hi', 'SM1')";
    scene.does(insert).await;
    scene
        .refuses(insert, "messages_owner_id_provider_message_id_key")
        .await;
    let (_, other) = scene.other("eve").await;
    scene.lets(&other, insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_24_mo_90_calls_mail_and_meetings_stand_in_a_conversation() {
    let scene = Scene::new().await;
    scene
        .does("insert into voicemails (storage_path) values ('a.ogg')")
        .await;
    scene
        .does("insert into email_threads (subject) values ('hello')")
        .await;
    scene
        .does("insert into meetings (title, room_name) values ('weekly', 'room-1')")
        .await;
    for (table, kind) in [
        ("voicemails", "voice"),
        ("email_threads", "email"),
        ("meetings", "video"),
    ] {
        let sql = format!(
            "select c.type from conversations c join {table} t on t.conversation_id = c.id"
        );
        assert_eq!(scene.tells(&sql).await, kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_28_a_voicemails_transcript_is_a_message_too() {
    let scene = Scene::new().await;
    scene
        .does("insert into voicemails (storage_path) values ('a.ogg')")
        .await;
    assert_eq!(
        scene.tells("select count(*)::text from messages").await,
        "0"
    );
    scene
        .does("update voicemails set transcript = 'call me'")
        .await;
    let sql = "select concat_ws('|', m.body, m.content_type, m.direction) from messages m
        join voicemails v on v.message_id = m.id and v.conversation_id = m.conversation_id";
    assert_eq!(scene.tells(sql).await, "call me|audio/transcript|inbound");
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_35_a_meetings_room_is_its_own_and_its_event_may_go() {
    let scene = Scene::new().await;
    scene
        .does("insert into events (title, start_time) values ('weekly', now())")
        .await;
    scene
        .does("insert into meetings (title, room_name, calendar_event_id) select 'weekly', 'room-1', id from events")
        .await;
    scene
        .refuses(
            "insert into meetings (title, room_name) values ('other', 'room-1')",
            "meetings_room_name_key",
        )
        .await;
    scene
        .refuses(
            "update meetings set status = 'cancelled'",
            "meetings_status_listed",
        )
        .await;
    scene.does("delete from events").await;
    assert_eq!(
        scene
            .tells("select (calendar_event_id is null)::text from meetings")
            .await,
        "true"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_38_what_was_said_of_a_meeting_stands_with_each_participant() {
    let scene = Scene::new().await;
    scene
        .does("insert into persons (name) values ('Grace'), ('Alan')")
        .await;
    scene
        .does("insert into meetings (title, room_name) values ('weekly', 'room-1')")
        .await;
    scene
        .does("insert into meeting_participants (meeting_id, person_id) select m.id, p.id from meetings m, persons p")
        .await;
    scene
        .does(
            "insert into meeting_analyses (meeting_id, summary) select id, 'agreed' from meetings",
        )
        .await;
    let sql = "select count(*)::text from contact_notes where note_type = 'meeting_followup' and body = 'agreed'
        and source_entity_type = 'meeting'";
    assert_eq!(scene.tells(sql).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_41_a_device_token_is_unique_and_kept_as_a_hash() {
    let scene = Scene::new().await;
    let insert =
        "insert into devices (name, platform, device_token) values ('phone', 'android', 'secret')";
    scene.does(insert).await;
    scene.refuses(insert, "devices_device_token_key").await;
    scene
        .refuses("select device_token from devices", "42501")
        .await;
    let kept = scene
        .shows(&Caller::Hub, "select device_token from devices")
        .await;
    assert!(
        kept.starts_with("sha256:") && !kept.contains("secret"),
        "{kept}"
    );
    scene
        .refuses(
            "insert into devices (name, platform) values ('fridge', 'linux')",
            "devices_platform_listed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_43_a_push_token_is_one_devices() {
    let scene = Scene::new().await;
    let insert = "insert into device_push_tokens (platform, token) values ('fcm', 't')";
    scene.does(insert).await;
    let (_, other) = scene.other("eve").await;
    scene
        .denies(&other, insert, "device_push_tokens_token_key")
        .await;
}

// Knowledge, work of the hub, credentials ------------------------------------------------------------------------------

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

// Market and commons ---------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn mo_64_a_listing_takes_its_steps_and_a_sold_one_stays_sold() {
    let scene = Scene::new().await;
    scene
        .does("insert into listings (listing_type, title, price_amount, price_type) values ('service', 'help', 12.50, 'hourly')")
        .await;
    let defaults =
        "select concat_ws(' ', status, visibility, price_currency, price_minor) from listings";
    assert_eq!(scene.tells(defaults).await, "draft public USD 1250");
    scene
        .refuses(
            "update listings set status = 'sold'",
            "listings_status_steps",
        )
        .await;
    scene.does("update listings set status = 'active'").await;
    scene.does("update listings set status = 'sold'").await;
    scene
        .refuses(
            "update listings set status = 'active'",
            "listings_status_steps",
        )
        .await;
    scene
        .refuses(
            "update listings set price_amount = -1",
            "listings_price_amount_fits",
        )
        .await;
    scene
        .refuses(
            "update listings set price_type = 'barter'",
            "listings_price_type_listed",
        )
        .await;
    scene
        .refuses(
            "insert into listings (listing_type, title, status) values ('service', 'x', 'sold')",
            "listings_status_steps",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_67_others_read_an_active_public_listing_only() {
    let scene = Scene::new().await;
    scene
        .does("insert into listings (listing_type, title) values ('service', 'help')")
        .await;
    let count = "select count(*)::text from listings";
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "0");
    scene.does("update listings set status = 'active'").await;
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "1");
    scene
        .does("update listings set visibility = 'members'")
        .await;
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_69_an_exchange_pairs_an_offer_with_a_need_of_two_people() {
    let scene = Scene::new().await;
    let (other, taker) = scene.other("grace").await;
    scene
        .stage
        .hub(&format!(
            "insert into profiles (id) values ('{}')",
            scene.id
        ))
        .await;
    let offer = scene
        .adds(
            &scene.me,
            "insert into declarations (decl_type, title) values ('offer', 'bread')",
        )
        .await;
    let need = scene
        .adds(
            &taker,
            "insert into declarations (decl_type, title) values ('need', 'bread')",
        )
        .await;
    scene
        .refuses(
            &format!("insert into exchanges (offer_decl_id) values ('{need}')"),
            "exchanges_offer_decl_id_offers",
        )
        .await;
    let insert =
        format!("insert into exchanges (offer_decl_id, need_decl_id) values ('{offer}', '{need}')");
    scene.does(&insert).await;
    let parties = "select concat_ws(' ', status, offer_user_id, need_user_id) from exchanges";
    let expected = format!("proposed {} {other}", scene.id);
    assert_eq!(scene.tells(parties).await, expected);
    assert_eq!(scene.shows(&taker, parties).await, expected);
    scene
        .refuses("update exchanges set status = 'completed'", "42501")
        .await;
    scene
        .lets(
            &Caller::Hub,
            "update exchanges set status = 'accepted'; update exchanges set status = 'completed'",
        )
        .await;
    assert_eq!(
        scene
            .tells("select (completed_at is not null)::text from exchanges")
            .await,
        "true"
    );
    scene
        .denies(
            &Caller::Hub,
            "update exchanges set status = 'in_progress'",
            "exchanges_status_steps",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_71_trust_has_a_weight_and_one_row_per_context() {
    let scene = Scene::new().await;
    let insert = "insert into trust_relationships (trusted_did) values ('did:example:1')";
    scene.does(insert).await;
    scene
        .refuses(
            insert,
            "trust_relationships_owner_id_trusted_did_context_key",
        )
        .await;
    assert_eq!(
        scene
            .tells("select weight::text from trust_relationships")
            .await,
        "1"
    );
    scene
        .refuses(
            "update trust_relationships set weight = 1.5",
            "trust_relationships_weight_fits",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_137_bookings_add_up_to_nothing_and_no_account_goes_below_its_limit() {
    let scene = Scene::new().await;
    let (other, _) = scene.other("grace").await;
    let hub = Caller::Hub;
    let insert = |owner: &str, limit: i32| {
        format!("insert into ledger_accounts (owner_id, credit_limit) values ('{owner}', {limit})")
    };
    let from = scene.adds(&hub, &insert(&scene.id, 5)).await;
    let to = scene.adds(&hub, &insert(&other, 0)).await;
    let book = |account: &str, amount: i32, name: &str| {
        format!(
            "insert into ledger_entries (account_id, transfer_id, amount, agreement)
             values ('{account}', md5('{name}')::uuid, {amount}, '{name}');"
        )
    };
    scene
        .denies(&hub, &book(&to, 3, "one"), "ledger_entries_balances")
        .await;
    let both = format!("{}{}", book(&from, -3, "one"), book(&to, 3, "one"));
    scene.lets(&hub, &both).await;
    scene
        .denies(&hub, &both, "ledger_entries_agreement_account_id_key")
        .await;
    let over = format!("{}{}", book(&from, -3, "two"), book(&to, 3, "two"));
    scene
        .denies(&hub, &over, "ledger_accounts_balance_fits")
        .await;
    let balances =
        "select string_agg(balance::numeric::text, ' ' order by balance) from ledger_accounts";
    assert_eq!(scene.shows(&hub, balances).await, "-3.0000 3.0000");
}

// Governance -----------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn mo_74_a_dao_has_its_defaults_and_a_slug_of_its_own() {
    let scene = Scene::new().await;
    scene
        .does("insert into daos (name, slug) values ('Garden', 'garden')")
        .await;
    let defaults = "select concat_ws(' ', dao_type, quorum_pct, pass_threshold, voting_period_h, is_public, treasury_credits::int)
        from daos";
    assert_eq!(scene.tells(defaults).await, "direct 51 51 168 t 0");
    scene
        .refuses(
            "insert into daos (name, slug) values ('Other', 'garden')",
            "daos_slug_key",
        )
        .await;
    scene
        .refuses("update daos set quorum_pct = 101", "daos_quorum_pct_fits")
        .await;
    scene
        .refuses("update daos set treasury_credits = 1000", "42501")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn da_5_founding_a_dao_makes_the_founder_its_owner_in_one_statement() {
    let scene = Scene::new().await;
    let dao = scene
        .adds(&scene.me, "insert into daos (name) values ('Garden')")
        .await;
    let member = format!(
        "select role from dao_members where dao_id = '{dao}' and user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&member).await, "owner");
    let by_hub = format!(
        "insert into daos (name, owner_id) values ('Other', '{}')",
        scene.id
    );
    let dao = scene.adds(&Caller::Hub, &by_hub).await;
    let members =
        format!("select count(*)::text from dao_members where dao_id = '{dao}' and role = 'owner'");
    assert_eq!(scene.tells(&members).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn da_4_membership_is_unique_and_managed_by_owners_and_admins() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let (alan, him) = scene.other("alan").await;
    let dao = scene
        .adds(
            &scene.me,
            "insert into daos (name, is_public) values ('Garden', false)",
        )
        .await;
    let insert = |user: &str, role: &str| {
        format!(
            "insert into dao_members (dao_id, user_id, role) values ('{dao}', '{user}', '{role}')"
        )
    };
    scene.does(&insert(&grace, "admin")).await;
    scene
        .refuses(&insert(&grace, "member"), "dao_members_dao_id_user_id_key")
        .await;
    scene
        .refuses(&insert(&alan, "king"), "dao_members_role_listed")
        .await;
    // An admin takes members in, but makes no owner, not even of himself.
    scene.denies(&her, &insert(&alan, "owner"), "42501").await;
    scene.lets(&her, &insert(&alan, "member")).await;
    scene
        .denies(
            &her,
            &format!("update dao_members set role = 'owner' where user_id = '{grace}'"),
            "42501",
        )
        .await;
    // A member changes nobody, and goes when he likes.
    let demoted = format!("update dao_members set role = 'guest' where user_id = '{grace}'");
    assert_eq!(scene.stage.touches(&him, &demoted).await.unwrap(), 0);
    let left = format!("delete from dao_members where user_id = '{alan}'");
    assert_eq!(scene.stage.touches(&him, &left).await.unwrap(), 1);
    // Who is not asked does not come.
    scene.denies(&him, &insert(&alan, "member"), "2350").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_77_opening_a_proposal_sets_its_window_and_its_steps_are_kept() {
    let scene = Scene::new().await;
    let dao = scene
        .adds(
            &scene.me,
            "insert into daos (name, voting_period_h) values ('Garden', 24)",
        )
        .await;
    scene
        .does(&format!(
            "insert into proposals (dao_id, title) values ('{dao}', 'a pond')"
        ))
        .await;
    assert_eq!(scene.tells("select status from proposals").await, "draft");
    scene
        .refuses(
            &format!(
                "insert into proposals (dao_id, title, status) values ('{dao}', 'b', 'passed')"
            ),
            "proposals_status_steps",
        )
        .await;
    scene
        .refuses("update proposals set votes_yes = 99", "42501")
        .await;
    let hub = Caller::Hub;
    scene
        .denies(
            &hub,
            "update proposals set status = 'executed'",
            "proposals_status_steps",
        )
        .await;
    scene
        .lets(&hub, "update proposals set status = 'active'")
        .await;
    let window = "select (voting_closes_at - voting_opens_at)::text from proposals";
    assert_eq!(scene.tells(window).await, "1 day");
    scene
        .denies(
            &hub,
            "update proposals set action_payload = '{\"pay\": 1}'",
            "proposals_stands_once_open",
        )
        .await;
    scene
        .lets(&hub, "update proposals set status = 'passed'")
        .await;
    scene
        .lets(&hub, "update proposals set status = 'executed'")
        .await;
    assert_eq!(
        scene
            .tells("select (executed_at is not null)::text from proposals")
            .await,
        "true"
    );
    scene
        .denies(
            &hub,
            "update proposals set status = 'active'",
            "proposals_status_steps",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mo_93_one_vote_per_member_and_the_tally_follows() {
    let scene = Scene::new().await;
    let (grace, _) = scene.other("grace").await;
    let (guest, _) = scene.other("guest").await;
    let dao = scene
        .adds(&scene.me, "insert into daos (name) values ('Garden')")
        .await;
    scene
        .does(&format!(
            "insert into dao_members (dao_id, user_id, role) values ('{dao}', '{grace}', 'member'), ('{dao}', '{guest}', 'guest')"
        ))
        .await;
    let proposal = scene
        .adds(
            &scene.me,
            &format!("insert into proposals (dao_id, title) values ('{dao}', 'a pond')"),
        )
        .await;
    let vote = |user: &str, choice: &str| {
        format!(
            "insert into votes (proposal_id, user_id, choice) values ('{proposal}', '{user}', '{choice}')"
        )
    };
    let hub = Caller::Hub;
    scene
        .denies(&hub, &vote(&grace, "yes"), "votes_cast_at_fits")
        .await;
    scene
        .lets(&hub, "update proposals set status = 'active'")
        .await;
    scene.lets(&hub, &vote(&scene.id, "yes")).await;
    scene.lets(&hub, &vote(&grace, "no")).await;
    scene
        .denies(&hub, &vote(&grace, "yes"), "votes_proposal_id_user_id_key")
        .await;
    scene
        .denies(&hub, &vote(&guest, "yes"), "votes_voter_is_member")
        .await;
    scene.refuses(&vote(&scene.id, "yes"), "42501").await;
    let tally = "select concat_ws(' ', votes_yes, votes_no, votes_abstain) from proposals";
    assert_eq!(scene.tells(tally).await, "1 1 0");
    scene
        .lets(
            &hub,
            &format!("update votes set choice = 'abstain' where user_id = '{grace}'"),
        )
        .await;
    assert_eq!(scene.tells(tally).await, "1 0 1");
}

// Rooms ----------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn da_1_every_account_and_agent_has_a_lasting_name_outside() {
    let scene = Scene::new().await;
    let name = scene.tells("select external_id from users").await;
    assert!(name.starts_with("user:"), "{name}");
    scene
        .does("insert into agents (name) values ('Sofia')")
        .await;
    let name = scene.tells("select external_id from agents").await;
    assert!(name.starts_with("agent:"), "{name}");
    scene
        .refuses(
            "update agents set external_id = 'agent:other'",
            "agents_external_id_lasts",
        )
        .await;
    scene
        .refuses(
            "insert into agents (name, external_id) values ('x', 'sofia')",
            "agents_external_id_fits",
        )
        .await;
    scene
        .refuses(
            "insert into agents (name, kind) values ('x', 'butler')",
            "agents_kind_listed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn da_16_founding_a_channel_makes_the_founder_its_owner_and_gives_it_a_conversation() {
    let scene = Scene::new().await;
    let channel = scene
        .adds(
            &scene.me,
            "insert into chat_channels (name) values ('talk')",
        )
        .await;
    let member = format!(
        "select role from channel_members where channel_id = '{channel}' and member_user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&member).await, "owner");
    let conversation =
        format!("select type from conversations where chat_channel_id = '{channel}'");
    assert_eq!(scene.tells(&conversation).await, "chat");
}

#[tokio::test(flavor = "multi_thread")]
async fn da_12_a_channels_slug_is_unique_within_its_dao() {
    let scene = Scene::new().await;
    scene
        .does("insert into daos (name) values ('Garden'), ('Orchard')")
        .await;
    let insert =
        "insert into chat_channels (name, slug, dao_id) select 'talk', 'talk', id from daos";
    scene.does(insert).await;
    scene.refuses(insert, "chat_channels_dao_id_slug_key").await;
    scene
        .refuses(
            "insert into chat_channels (name, visibility) values ('x', 'secret')",
            "chat_channels_visibility_listed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn da_17_a_channel_member_is_a_user_or_an_agent() {
    let scene = Scene::new().await;
    let (grace, _) = scene.other("grace").await;
    let channel = scene
        .adds(
            &scene.me,
            "insert into chat_channels (name) values ('talk')",
        )
        .await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    let insert = |columns: &str, said: &str| {
        format!("insert into channel_members (channel_id, {columns}) values ('{channel}', {said})")
    };
    scene
        .refuses(
            &insert(
                "member_user_id, member_agent_id",
                &format!("'{grace}', '{agent}'"),
            ),
            "channel_members_has_one_member",
        )
        .await;
    scene
        .refuses(
            &insert("role", "'member'"),
            "channel_members_has_one_member",
        )
        .await;
    scene
        .refuses(
            &insert("member_user_id, role", &format!("'{grace}', 'agent'")),
            "channel_members_agents_are_agents",
        )
        .await;
    scene
        .does(&insert("member_user_id", &format!("'{grace}'")))
        .await;
    scene
        .refuses(
            &insert("member_user_id", &format!("'{grace}'")),
            "channel_members_channel_id_member_user_id_key",
        )
        .await;
    scene
        .does(&insert(
            "member_agent_id, role",
            &format!("'{agent}', 'agent'"),
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn da_18_leaving_keeps_the_row_and_da_19_coming_back_uses_it() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let channel = scene
        .adds(
            &scene.me,
            "insert into chat_channels (name, visibility) values ('talk', 'public')",
        )
        .await;
    scene
        .lets(&her, &format!("insert into channel_members (channel_id, member_user_id) values ('{channel}', '{grace}')"))
        .await;
    scene
        .lets(
            &her,
            "update channel_members set left_at = now() where member_user_id = auth.uid()",
        )
        .await;
    scene
        .does("update chat_channels set visibility = 'private'")
        .await;
    assert_eq!(
        scene
            .shows(&her, "select count(*)::text from chat_channels")
            .await,
        "0"
    );
    let back = "update channel_members set left_at = null where member_user_id = auth.uid()";
    scene.denies(&her, back, "42501").await;
    scene
        .does("update chat_channels set visibility = 'public'")
        .await;
    scene.lets(&her, back).await;
    scene
        .denies(
            &her,
            "update channel_members set role = 'owner' where member_user_id = auth.uid()",
            "42501",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn da_20_a_message_has_one_sender_and_a_member_speaks_for_himself() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let (_, stranger) = scene.other("eve").await;
    let channel = scene
        .adds(
            &scene.me,
            "insert into chat_channels (name) values ('talk')",
        )
        .await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    scene
        .does(&format!("insert into channel_members (channel_id, member_user_id) values ('{channel}', '{grace}')"))
        .await;
    let said = |columns: &str, values: &str| {
        format!(
            "insert into messages (channel_id, body{columns}) values ('{channel}', 'hello'{values})"
        )
    };
    scene.lets(&her, &said("", "")).await;
    let sender =
        "select concat_ws(' ', sender_user_id, sender_type, content_preview) from messages";
    assert_eq!(scene.tells(sender).await, format!("{grace} human hello"));
    scene
        .refuses(&said(", sender_user_id", &format!(", '{grace}'")), "42501")
        .await;
    scene
        .refuses(
            &said(
                ", sender_user_id, sender_agent_id",
                &format!(", '{}', '{agent}'", scene.id),
            ),
            "messages_has_one_sender",
        )
        .await;
    scene
        .refuses(
            &said(
                ", sender_type, sender_user_id",
                &format!(", 'agent', '{}'", scene.id),
            ),
            "messages_sender_type_fits",
        )
        .await;
    scene.denies(&stranger, &said("", ""), "2350").await;
    assert_eq!(
        scene
            .shows(&stranger, "select count(*)::text from messages")
            .await,
        "0"
    );
}

// Accounts, tenants, customers -----------------------------------------------------------------------------------------

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
        .refuses("select api_key from key_store", "42501")
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

// Work -----------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn bo_14_done_stamps_its_time_and_no_task_waits_for_itself() {
    let scene = Scene::new().await;
    scene
        .does("insert into tasks (title, status) values ('a', 'todo'), ('b', 'pending')")
        .await;
    let waiting =
        "select count(*)::text from tasks where status = 'pending' and completed_at is null";
    assert_eq!(scene.tells(waiting).await, "2");
    scene
        .does("update tasks set status = 'done' where title = 'a'")
        .await;
    let stamped = "select (completed_at is not null)::text from tasks where title = 'a'";
    assert_eq!(scene.tells(stamped).await, "true");
    scene
        .does("update tasks set status = 'in_progress' where title = 'a'")
        .await;
    assert_eq!(scene.tells(stamped).await, "false");
    let after = |one: &str, other: &str| {
        format!(
            "update tasks set dependencies = array(select id from tasks where title = '{other}') where title = '{one}'"
        )
    };
    scene.does(&after("a", "b")).await;
    scene
        .refuses(&after("b", "a"), "tasks_dependencies_has_no_cycle")
        .await;
    scene
        .refuses(
            "insert into tasks (title, task_type) values ('c', 'recurring')",
            "tasks_recurring_has_pattern",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_15_a_phase_ends_after_it_starts_and_has_a_task_once() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let phase = world.make("phases", &Values::new()).await;
    let task = world.make("tasks", &Values::new()).await;
    scene
        .refuses(
            "update phases set end_date = start_date - interval '1 day'",
            "phases_end_date_fits",
        )
        .await;
    let insert = format!(
        "insert into phase_tasks (phase_id, task_id, \"order\") values ({}, {}, 1)",
        phase["id"], task["id"]
    )
    .replace('"', "'");
    let insert = insert.replace("'order'", "\"order\"");
    scene.does(&insert).await;
    scene
        .refuses(&insert, "phase_tasks_phase_id_task_id_key")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_19_states_follow_the_template_of_their_type() {
    let scene = Scene::new().await;
    let project = scene
        .adds(
            &scene.me,
            "insert into onto_projects (name, type_key) values ('house', 'free')",
        )
        .await;
    scene
        .lets(
            &Caller::Hub,
            "insert into onto_templates (kind, type_key, name, states, initial_state, transitions, default_props)
             values ('plan', 'strict', 'Strict', '{draft,live,over}', 'draft', '{\"draft\": [\"live\"], \"live\": [\"over\"]}', '{}')",
        )
        .await;
    scene
        .does(&format!("insert into onto_plans (project_id, name, type_key) values ('{project}', 'p', 'strict')"))
        .await;
    assert_eq!(
        scene.tells("select state_key from onto_plans").await,
        "draft"
    );
    scene
        .refuses(
            "update onto_plans set state_key = 'over'",
            "onto_plans_state_key_follows_template",
        )
        .await;
    scene
        .refuses(
            "update onto_plans set state_key = 'lost'",
            "onto_plans_state_key_follows_template",
        )
        .await;
    scene.does("update onto_plans set state_key = 'live'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_20_edges_stay_within_their_project() {
    let scene = Scene::new().await;
    scene
        .does(
            "insert into onto_projects (name, type_key) values ('house', 'free'), ('boat', 'free')",
        )
        .await;
    scene
        .does("insert into onto_tasks (project_id, title, type_key) select id, name, 'free' from onto_projects")
        .await;
    let edge = |from: &str, to: &str| {
        format!(
            "insert into onto_edges (project_id, src_kind, src_id, rel, dst_kind, dst_id)
             select p.id, 'task', a.id, 'blocks', 'task', b.id from onto_projects p, onto_tasks a, onto_tasks b
             where p.name = 'house' and a.title = '{from}' and b.title = '{to}'"
        )
    };
    scene.refuses(&edge("house", "boat"), "23503").await;
    scene.does(&edge("house", "house")).await;
    scene
        .does("delete from onto_tasks where title = 'house'")
        .await;
    assert_eq!(
        scene.tells("select count(*)::text from onto_edges").await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_22_founding_a_project_makes_the_founder_its_owner_and_bo_25_viewers_only_read() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let project = scene
        .adds(
            &scene.me,
            "insert into onto_projects (name, type_key) values ('house', 'free')",
        )
        .await;
    let role =
        format!("select m.role_key from onto_project_members m where m.project_id = '{project}'");
    assert_eq!(scene.tells(&role).await, "owner");
    let card = scene
        .adds(
            &scene.me,
            &format!("insert into onto_actors (user_id, name) values ('{grace}', 'Grace')"),
        )
        .await;
    scene
        .does(&format!("insert into onto_project_members (project_id, actor_id, role_key) values ('{project}', '{card}', 'viewer')"))
        .await;
    assert_eq!(
        scene.shows(&her, "select name from onto_projects").await,
        "house"
    );
    scene
        .denies(
            &her,
            &format!("insert into onto_goals (project_id, name) values ('{project}', 'roof')"),
            "42501",
        )
        .await;
    let refused = "update onto_projects set name = 'hers'";
    assert_eq!(scene.stage.touches(&her, refused).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_30_a_chat_session_counts_its_messages_and_tokens() {
    let scene = Scene::new().await;
    scene
        .does("insert into chat_sessions (title) values ('talk')")
        .await;
    scene
        .does("insert into chat_messages (session_id, role, content, prompt_tokens, completion_tokens)
            select id, 'user', 'hi', 3, 4 from chat_sessions union all select id, 'assistant', 'ho', 5, null from chat_sessions")
        .await;
    let counted = "select concat_ws(' ', message_count, total_tokens_used) from chat_sessions";
    assert_eq!(scene.tells(counted).await, "2 12");
    scene
        .does("delete from chat_messages where role = 'user'")
        .await;
    assert_eq!(scene.tells(counted).await, "1 5");
    scene
        .refuses("update chat_sessions set message_count = 0", "42501")
        .await;
    scene
        .refuses(
            "update chat_messages set role = 'king'",
            "chat_messages_role_listed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_35_a_days_usage_is_the_sum_of_its_calls() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    for cost in ["0.25", "0.50"] {
        let call = json!({"total_tokens": 10, "total_cost_usd": cost, "status": "success"});
        world.make("llm_usage_logs", object(&call)).await;
    }
    let sums = "select concat_ws(' ', total_requests, total_tokens, total_cost_usd) from llm_usage_summary";
    assert_eq!(scene.tells(sums).await, "2 20 0.75");
}

// Billing --------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn bo_49_amounts_are_not_negative_and_a_percentage_ends_at_a_hundred() {
    let scene = Scene::new().await;
    let code = |kind: &str, value: i32| {
        format!(
            "insert into discount_codes (code, discount_type, discount_value) values ('{kind}{value}', '{kind}', {value})"
        )
    };
    let hub = Caller::Hub;
    scene.lets(&hub, &code("percent", 100)).await;
    scene.lets(&hub, &code("fixed", 101)).await;
    scene
        .denies(
            &hub,
            &code("percent", 101),
            "discount_codes_discount_value_fits",
        )
        .await;
    scene
        .denies(
            &hub,
            &code("fixed", -1),
            "discount_codes_discount_value_fits",
        )
        .await;
    scene
        .denies(&hub, "insert into subscription_plans (name, stripe_price_id, price_cents) values ('a', 'p', -1)", "subscription_plans_price_cents_fits")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bo_50_one_payment_method_is_the_default_and_accounts_follow_their_subscription() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    for _ in 0..2 {
        world
            .make("payment_methods", object(&json!({"is_default": true})))
            .await;
    }
    let defaults = "select count(*)::text from payment_methods where is_default";
    assert_eq!(scene.tells(defaults).await, "1");
    world
        .make(
            "customer_subscriptions",
            object(&json!({"status": "past_due", "stripe_customer_id": "cus_1"})),
        )
        .await;
    let told = "select concat_ws(' ', subscription_status, stripe_customer_id) from users";
    assert_eq!(scene.tells(told).await, "past_due cus_1");
}

// Agents, teams, workspaces --------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn ag_5_an_agent_has_its_defaults() {
    let scene = Scene::new().await;
    scene
        .does("insert into agents (name) values ('Sofia')")
        .await;
    let defaults =
        "select concat_ws(' ', context_window_size, max_tokens, is_active, kind) from agents";
    assert_eq!(scene.tells(defaults).await, "4000 1000 t assistant");
    scene
        .refuses("update agents set max_tokens = 0", "agents_max_tokens_fits")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_8_an_agent_is_allowed_no_more_than_the_connection_was_granted() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let connection = world
        .make(
            "user_integration_credentials",
            object(&json!({"scopes_granted": ["read"]})),
        )
        .await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    let insert = |scopes: &str| {
        format!(
            "insert into agent_integration_permissions (agent_id, connection_id, allowed_scopes) values ('{agent}', '{}', '{scopes}')",
            connection["id"].as_str().unwrap()
        )
    };
    scene
        .refuses(
            &insert("[\"read\", \"write\"]"),
            "agent_integration_permissions_allowed_scopes_granted",
        )
        .await;
    scene.does(&insert("[\"read\"]")).await;
    assert_eq!(
        scene
            .tells("select permission_level from agent_integration_permissions")
            .await,
        "custom"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_9_founding_a_team_and_ag_11_a_workspace_makes_the_founder_a_member() {
    let scene = Scene::new().await;
    let team = scene
        .adds(&scene.me, "insert into teams (name) values ('crew')")
        .await;
    let role = format!(
        "select team_role from team_members where team_id = '{team}' and user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&role).await, "owner");
    let workspace = scene
        .adds(&scene.me, "insert into workspaces (name) values ('desk')")
        .await;
    let role = format!(
        "select role from workspace_members where workspace_id = '{workspace}' and user_id = '{}'",
        scene.id
    );
    assert_eq!(scene.tells(&role).await, "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_12_a_workspace_member_is_a_user_an_agent_or_a_team() {
    let scene = Scene::new().await;
    let (grace, _) = scene.other("grace").await;
    let workspace = scene
        .adds(&scene.me, "insert into workspaces (name) values ('desk')")
        .await;
    let team = scene
        .adds(&scene.me, "insert into teams (name) values ('crew')")
        .await;
    let insert = |columns: &str, said: &str| {
        format!(
            "insert into workspace_members (workspace_id, {columns}) values ('{workspace}', {said})"
        )
    };
    scene
        .refuses(
            &insert("user_id, team_id", &format!("'{grace}', '{team}'")),
            "workspace_members_has_one_member",
        )
        .await;
    scene
        .refuses(
            &insert("role", "'member'"),
            "workspace_members_has_one_member",
        )
        .await;
    scene.does(&insert("team_id", &format!("'{team}'"))).await;
    scene
        .refuses(
            &insert("team_id", &format!("'{team}'")),
            "workspace_members_workspace_id_team_id_key",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_18_the_old_token_columns_stay_empty() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    world
        .make("user_integration_credentials", &Values::new())
        .await;
    for column in ["encrypted_access_token", "encrypted_refresh_token"] {
        let sql = format!("update user_integration_credentials set {column} = 'x'");
        scene.refuses(&sql, "42501").await;
        scene
            .denies(
                &Caller::Hub,
                &sql,
                &format!("user_integration_credentials_{column}_empty"),
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_31_a_document_counts_the_agents_it_was_given_to() {
    let scene = Scene::new().await;
    let mut world = scene.world();
    let media = world.make("media_library", &Values::new()).await;
    let media = media["id"].as_str().unwrap();
    scene
        .does("insert into agents (name) values ('Sofia'), ('Node')")
        .await;
    scene
        .does(&format!("insert into agent_media_assignments (agent_id, media_id) select id, '{media}' from agents"))
        .await;
    let count = "select assigned_agents_count::text from media_library";
    assert_eq!(scene.tells(count).await, "2");
    scene.does("delete from agents where name = 'Node'").await;
    assert_eq!(scene.tells(count).await, "1");
    scene
        .refuses(
            "update media_library set assigned_agents_count = 7",
            "42501",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ag_36_steps_are_counted_and_a_task_ends_at_its_last_run() {
    let scene = Scene::new().await;
    let agent = scene
        .adds(&scene.me, "insert into agents (name) values ('Sofia')")
        .await;
    let task = scene
        .adds(&scene.me, &format!("insert into agent_tasks (agent_id, name, max_executions) values ('{agent}', 'report', 1)"))
        .await;
    let insert = |order: i32| {
        format!("insert into task_steps (task_id, step_order) values ('{task}', {order})")
    };
    scene.does(&insert(1)).await;
    scene.does(&insert(2)).await;
    scene
        .refuses(&insert(2), "task_steps_task_id_step_order_key")
        .await;
    assert_eq!(
        scene
            .tells("select step_count::text from agent_tasks")
            .await,
        "2"
    );
    scene
        .refuses("update agent_tasks set total_executions = 0", "42501")
        .await;
    scene
        .lets(
            &Caller::Hub,
            "update agent_tasks set total_executions = total_executions + 1",
        )
        .await;
    assert_eq!(
        scene.tells("select status from agent_tasks").await,
        "completed"
    );
}

// Posts ----------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_post_to_followers_is_read_by_those_it_was_sent_to() {
    let scene = Scene::new().await;
    let (grace, her) = scene.other("grace").await;
    let (_, stranger) = scene.other("eve").await;
    let post = scene
        .adds(
            &scene.me,
            "insert into posts (content, visibility) values ('dinner at eight', 'followers')",
        )
        .await;
    let audience = format!(
        "insert into post_audience (owner_id, post_id, user_id) values ('{}', '{post}', '{grace}')",
        scene.id
    );
    scene.denies(&stranger, &audience, "42501").await;
    scene.lets(&Caller::Hub, &audience).await;
    let count = "select count(*)::text from posts";
    assert_eq!(scene.shows(&her, count).await, "1");
    assert_eq!(scene.shows(&stranger, count).await, "0");
    assert_eq!(scene.shows(&Caller::Anonymous, count).await, "0");
}

// Together -------------------------------------------------------------------------------------------------------------

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
