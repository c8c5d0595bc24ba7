//! Messages, calls, meetings, devices; rooms and their members; posts.

use made_open::base::Caller;

use super::Scene;

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
