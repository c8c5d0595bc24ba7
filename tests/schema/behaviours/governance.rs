//! DAOs, members, proposals, votes.

use made_open::base::Caller;

use super::Scene;

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
