//! A database per test: a clone of a template that one process migrates and all others copy.

use made_open::db::{bootstrap, migrate};
use tokio_postgres::{Client, NoTls};

const PASSWORD: &str = "only-in-tests";

/// A database that vanishes with its test.
pub struct TestDatabase {
    pub name: String,
    admin: String,
}

impl TestDatabase {
    /// A migrated database with no rows but those that the hub itself makes.
    pub async fn new() -> Self {
        Self::on(server()).await
    }

    /// The same on a server of the test's own, by its superuser's address.
    pub async fn on(admin: String) -> Self {
        let template = template(&admin).await;
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let client = connect(&admin).await;
        // A template can be copied only while nobody is in it, so copies take turns.
        let turn = "select pg_advisory_lock(7001)";
        client.batch_execute(turn).await.unwrap();
        client
            .batch_execute(&format!(
                "create database {name} template {template} owner made_open_owner"
            ))
            .await
            .unwrap();
        client
            .batch_execute(&format!(
                "revoke connect, temporary on database {name} from public; grant connect on database {name} to made_open"
            ))
            .await
            .unwrap();
        Self { name, admin }
    }

    /// A database in which nothing was migrated yet.
    pub async fn empty() -> Self {
        let admin = server();
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        roles(&admin, &name).await;
        Self { name, admin }
    }

    /// The address for the hub's login.
    pub fn url(&self) -> String {
        with_login(&self.admin, "made_open", Some(PASSWORD), &self.name)
    }

    /// The address for the superuser.
    pub fn admin_url(&self) -> String {
        with_database(&self.admin, &self.name)
    }

    /// Keep everything as it is now; nobody may be connected.
    pub async fn back_up(&self) -> String {
        let (name, backup) = (&self.name, format!("{}_backup", self.name));
        self.copy(name, &backup).await;
        backup
    }

    /// Bring back what was kept, and lose what came since.
    pub async fn restore(&self, backup: &str) {
        let client = connect(&self.admin).await;
        client
            .batch_execute(&format!("drop database {} with (force)", self.name))
            .await
            .unwrap();
        self.copy(backup, &self.name).await;
        client
            .batch_execute(&format!("drop database {backup} with (force)"))
            .await
            .unwrap();
    }

    async fn copy(&self, from: &str, to: &str) {
        let client = connect(&self.admin).await;
        let others = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{from}'"
        );
        client.batch_execute(&others).await.unwrap();
        let copy = format!("create database {to} template {from} owner made_open_owner");
        let start = std::time::Instant::now();
        while let Err(error) = client.batch_execute(&copy).await {
            assert!(start.elapsed().as_secs() < 20, "{error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        client
            .batch_execute(&format!("grant connect on database {to} to made_open"))
            .await
            .unwrap();
    }

    /// A superuser's connection.
    pub async fn admin(&self) -> Client {
        connect(&self.admin_url()).await
    }

    /// A connection of the hub's login, which by itself may do nothing.
    pub async fn login(&self) -> Client {
        connect(&self.url()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let client = connect(&admin).await;
                    drop(
                        client
                            .batch_execute(&format!("drop database if exists {name} with (force)"))
                            .await,
                    );
                });
        });
        drop(dropped.join());
    }
}

/// The superuser's address of the test server.
pub fn server() -> String {
    std::env::var("MADE_OPEN_TEST_DATABASE_ADMIN").expect(
        "MADE_OPEN_TEST_DATABASE_ADMIN names the test server; scripts/test starts one and sets it",
    )
}

async fn template(admin: &str) -> String {
    let digest = migrate::digest();
    let name = format!("template_{}_{:016x}", &digest[..16], written());
    let client = connect(admin).await;
    client
        .batch_execute("select pg_advisory_lock(7000)")
        .await
        .unwrap();
    let done = client
        .query(
            "select from pg_database where datname = $1 and datistemplate",
            &[&name],
        )
        .await
        .unwrap();
    if done.is_empty() {
        client
            .batch_execute(&format!("drop database if exists {name}"))
            .await
            .unwrap();
        roles(admin, &name).await;
        let url = with_login(admin, "made_open", Some(PASSWORD), &name);
        // Migrations block; they want a runtime with threads of its own.
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap()
                .block_on(migrate::up(&url))
                .unwrap();
        })
        .join()
        .unwrap();
        client
            .batch_execute(&format!("alter database {name} is_template true"))
            .await
            .unwrap();
    }
    client
        .batch_execute("select pg_advisory_unlock(7000)")
        .await
        .unwrap();
    name
}

/// What the migrations say at the moment: while one is being written, its template must not outlive its text.
fn written() -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("up.sql"))
        .filter(|file| file.exists())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(&std::fs::read(file).unwrap());
    }
    hasher.finish()
}

async fn roles(admin: &str, database: &str) {
    // Roles belong to the whole server: making them twice at once would collide.
    let client = connect(admin).await;
    client
        .batch_execute("select pg_advisory_lock(7002)")
        .await
        .unwrap();
    let admin = admin.to_owned();
    bootstrap::run(
        move |database| with_database(&admin, database),
        database,
        Some(PASSWORD),
    )
    .await
    .unwrap();
}

/// Connect, and drive the connection in the background.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The same server, another database.
pub fn with_database(url: &str, database: &str) -> String {
    let (head, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = head.rsplit_once('/').unwrap();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{server}/{database}{query}")
}

fn with_login(url: &str, user: &str, password: Option<&str>, database: &str) -> String {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let host = match &config.get_hosts()[0] {
        tokio_postgres::config::Host::Unix(path) => path
            .to_str()
            .unwrap()
            .replace('%', "%25")
            .replace('/', "%2F"),
        tokio_postgres::config::Host::Tcp(host) => host.clone(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let password = password.map(|p| format!(":{p}")).unwrap_or_default();
    format!("postgresql://{user}{password}@{host}:{port}/{database}")
}
