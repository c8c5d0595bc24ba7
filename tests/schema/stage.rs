//! The stage of the matrix: two owners with everything they own, and eight callers around them.

use made_open::base::Caller;
use made_open::db::{Db, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalogue::Catalogue;
use crate::rows::{Values, World};
use crate::support::TestDatabase;

/// Who asks, in the order of the table of outcomes.
pub const ROLES: [&str; 8] = [
    "anon",
    "owner",
    "stranger",
    "tenant_user",
    "tenant_admin",
    "developer",
    "member",
    "non_member",
];

/// A caller with the account behind it.
pub struct Actor {
    pub role: &'static str,
    pub caller: Caller,
    pub user: Option<String>,
    /// The tenant it belongs to.
    pub tenant: Option<String>,
}

/// A database with its catalogue and a pool.
pub struct Stage {
    pub database: TestDatabase,
    pub db: Db,
    pub catalogue: Catalogue,
}

/// The people of the stage.
pub struct Cast {
    pub actors: Vec<Actor>,
    pub first: Vec<(&'static str, String)>,
    pub second: Vec<(&'static str, String)>,
}

impl Stage {
    /// A migrated database.
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        let db = Db::open(&database.url(), 6).unwrap();
        let catalogue = Catalogue::read(&database.admin().await).await;
        Self {
            database,
            db,
            catalogue,
        }
    }

    /// An account with a session; in a tenant when it has a role there.
    pub async fn account(&self, name: &str, place: Option<(&str, &str)>) -> (String, Caller) {
        let id = Uuid::now_v7();
        let session = Uuid::new_v4();
        let profile = place.map_or_else(String::new, |(tenant, role)| {
            format!(
                "insert into public.user_profile (organization_id, role, user_id) values ('{tenant}', '{role}', '{id}');"
            )
        });
        self.hub(&format!(
            "insert into public.users (id, email, name) values ('{id}', '{name}@{id}.example', '{name}');
             insert into hub.sessions (id, user_id, role) values ('{session}', '{id}', 'authenticated'); {profile}"
        ))
        .await;
        (id.to_string(), Caller::Session(session))
    }

    /// A tenant.
    pub async fn tenant(&self, name: &str) -> String {
        let id = Uuid::now_v7().to_string();
        self.hub(&format!(
            "insert into public.tenants (id, name) values ('{id}', '{name}')"
        ))
        .await;
        id
    }

    /// Run a script as the hub.
    pub async fn hub(&self, sql: &str) {
        self.act(&Caller::Hub, sql)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// Run a script as somebody and keep what it did.
    pub async fn act(&self, caller: &Caller, sql: &str) -> made_open::base::Result<()> {
        self.db.write(caller, async |tx| tx.script(sql).await).await
    }

    /// How many rows a statement touches for a caller; kept.
    pub async fn touches(&self, caller: &Caller, sql: &str) -> made_open::base::Result<usize> {
        self.db
            .write(caller, async |tx| tx.run(Statement::new(sql)).await)
            .await
    }

    /// The one column of text that a query answers with, as somebody.
    pub async fn reads(
        &self,
        caller: &Caller,
        sql: &str,
    ) -> made_open::base::Result<Vec<Option<String>>> {
        self.db
            .read(caller, async |tx| {
                tx.load(Statement::<
                    diesel::sql_types::Nullable<diesel::sql_types::Text>,
                >::new(sql))
                    .await
            })
            .await
    }

    /// A world for somebody.
    pub fn world(&self, names: &[(&'static str, String)]) -> World<'_> {
        World::new(&self.catalogue, &self.db, names.iter().cloned())
    }

    /// Two owners in tenants of their own, a member of each one's sets, and everybody else.
    pub async fn cast(&self) -> Cast {
        let here = self.tenant("here").await;
        let there = self.tenant("there").await;
        let elsewhere = self.tenant("elsewhere").await;
        let (owner, owner_session) = self.account("owner", Some((&here, "user"))).await;
        let (other, _) = self.account("other", Some((&there, "user"))).await;
        let (stranger, stranger_session) = self.account("stranger", None).await;
        let (colleague, colleague_session) = self.account("colleague", Some((&here, "user"))).await;
        let (admin, admin_session) = self.account("admin", Some((&here, "admin"))).await;
        let (developer, developer_session) = self
            .account("developer", Some((&elsewhere, "developer")))
            .await;
        let (member, member_session) = self.account("member", None).await;
        let (outsider, outsider_session) = self.account("outsider", None).await;
        // Those whom everybody may name; the others are seen by nobody.
        let (newcomer, _) = self.account("newcomer", None).await;
        self.hub(&format!(
            "insert into public.profiles (id, full_name)
             values ('{newcomer}', 'Newcomer'), ('{member}', 'Member'), ('{outsider}', 'Outsider')"
        ))
        .await;
        let actor = |role, caller, user: Option<&String>, tenant: Option<&String>| Actor {
            role,
            caller,
            user: user.cloned(),
            tenant: tenant.cloned(),
        };
        Cast {
            actors: vec![
                actor("anon", Caller::Anonymous, None, None),
                actor("owner", owner_session, Some(&owner), Some(&here)),
                actor("stranger", stranger_session, Some(&stranger), None),
                actor(
                    "tenant_user",
                    colleague_session,
                    Some(&colleague),
                    Some(&here),
                ),
                actor("tenant_admin", admin_session, Some(&admin), Some(&here)),
                actor(
                    "developer",
                    developer_session,
                    Some(&developer),
                    Some(&elsewhere),
                ),
                actor("member", member_session, Some(&member), None),
                actor("non_member", outsider_session, Some(&outsider), None),
            ],
            first: vec![
                ("owner", owner),
                ("tenant", here),
                ("member", member),
                ("newcomer", newcomer.clone()),
            ],
            second: vec![
                ("owner", other),
                ("tenant", there),
                ("member", outsider),
                ("newcomer", newcomer),
            ],
        }
    }
}

/// Everything that membership hangs on, with the member in it.
pub async fn found(world: &mut World<'_>) {
    for table in ["users", "tenants"] {
        let word = if table == "users" { "owner" } else { "tenant" };
        let mut row = Values::new();
        row.insert("id".into(), json!(world.names[word]));
        world.parents.insert(table.into(), row);
    }
    let profile = world
        .db
        .read(&Caller::Hub, async |tx| {
            tx.load::<diesel::sql_types::Text, String>(Statement::new(format!(
                "select to_jsonb(p)::text from public.user_profile p where user_id = '{}'",
                world.names["owner"]
            )))
            .await
        })
        .await
        .unwrap();
    world.parents.insert(
        "user_profile".into(),
        serde_json::from_str(&profile[0]).unwrap(),
    );
    let memberships = [
        (
            "dao_members",
            json!({"dao_id": "@daos", "user_id": "@member", "role": "member"}),
        ),
        (
            "workspace_members",
            json!({"workspace_id": "@workspaces", "user_id": "@member", "role": "member"}),
        ),
        (
            "channel_members",
            json!({"channel_id": "@chat_channels", "member_user_id": "@member", "role": "member"}),
        ),
        (
            "onto_actors",
            json!({"created_by": "@member", "user_id": "@member"}),
        ),
    ];
    for (table, row) in memberships {
        let row = world.make(table, object(&row)).await;
        if table == "onto_actors" {
            let card = json!({"project_id": "@onto_projects", "actor_id": row["id"], "role_key": "member"});
            world.make("onto_project_members", object(&card)).await;
        }
    }
}

/// The object that a JSON value is.
pub fn object(value: &Value) -> &Values {
    value.as_object().unwrap()
}
