//! Connections to PostgreSQL: made, kept, lent out, thrown away when in doubt.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use diesel_async::AsyncPgConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, NoTls};

use super::tap::{LastState, Tap};
use super::{migrate, statement};
use crate::base::{Error, Result};

/// One session with the server.
pub struct Connection {
    /// The driver's half; typed queries run on it.
    pub diesel: AsyncPgConnection,
    /// The SQLSTATE of its last error.
    pub last: LastState,
    /// Shapes of statements that this session has prepared and keeps.
    pub warm: HashSet<u64>,
    epoch: u64,
}

/// Makes and checks connections.
pub struct Maker {
    config: tokio_postgres::Config,
}

/// A connection on loan.
pub type Lent = managed::Object<Maker>;

/// The pool of the hub.
pub type Pool = managed::Pool<Maker>;

/// How long a request waits for a connection before the hub says that it is busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a statement of a request, and one of a job, may take.
pub const OF_REQUESTS: Duration = Duration::from_secs(15);
pub const OF_JOBS: Duration = Duration::from_secs(300);

/// How long one of what came from elsewhere may take: less than is waited for, since a statement that is left alone goes on and
/// holds what it has locked (S-157).
pub const OF_APPLYING: Duration = Duration::from_secs(30);

/// A pool of at most `size` connections to `url`.
pub fn open(url: &str, size: usize, longest: Duration) -> anyhow::Result<Pool> {
    let mut config: tokio_postgres::Config = url.parse()?;
    config.application_name("made-open");
    let options = config.get_options().unwrap_or_default().to_owned();
    config.options(format!(
        "-c statement_timeout={}s -c idle_in_transaction_session_timeout=30s -c timezone=UTC {options}",
        longest.as_secs()
    ));
    Ok(Pool::builder(Maker { config })
        .max_size(size)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(Duration::from_secs(10)))
        .build()?)
}

/// Borrow a connection.
pub async fn lend(pool: &Pool) -> Result<Lent> {
    pool.get().await.map_err(|error| {
        tracing::warn!(event = "no_connection", cause = %error);
        Error::busy("The hub's database is busy or not to be had at the moment.")
    })
}

/// How long a server may take to answer the first knock.
const KNOCK: Duration = Duration::from_secs(5);

/// A way to the server: a unix socket or TCP.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

async fn dial(config: &tokio_postgres::Config) -> anyhow::Result<Box<dyn Wire>> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let knock = async {
        let wire: Box<dyn Wire> = match config.get_hosts().first() {
            Some(Host::Unix(directory)) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                Box::new(UnixStream::connect(path).await?)
            }
            Some(Host::Tcp(host)) => {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            None => anyhow::bail!("the database address names no host"),
        };
        Ok(wire)
    };
    tokio::time::timeout(KNOCK, knock)
        .await
        .context("the database does not answer")?
}

/// Connect once, outside any pool, and drive the connection in the background.
pub async fn connect(config: &tokio_postgres::Config) -> anyhow::Result<(Client, LastState)> {
    let (tap, last) = Tap::new(dial(config).await?);
    let (client, connection) = config.connect_raw(tap, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(event = "connection_ended", cause = %error);
        }
    });
    Ok((client, last))
}

/// Whether a server is there and said no, as against no server.
pub fn was_refused(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<tokio_postgres::Error>()
        .is_some_and(|error| {
            error
                .as_db_error()
                .is_some_and(|no| !no.code().code().starts_with("57"))
        })
}

/// Listen on a channel, over a connection of its own. The receiver ends when the connection does.
pub async fn listen(url: &str, channel: &str) -> anyhow::Result<tokio::sync::mpsc::Receiver<()>> {
    let config: tokio_postgres::Config = url.parse()?;
    let (send, receive) = tokio::sync::mpsc::channel(64);
    let (client, mut connection) = config.connect_raw(dial(&config).await?, NoTls).await?;
    let (hand_over, mut handed) = tokio::sync::oneshot::channel::<Client>();
    tokio::spawn(async move {
        // The client must live as long as the connection is to be heard.
        let mut kept = None;
        loop {
            tokio::select! {
                heard = std::future::poll_fn(|cx| connection.poll_message(cx)) => match heard {
                    // A full queue already says that there is news.
                    Some(Ok(tokio_postgres::AsyncMessage::Notification(_))) => drop(send.try_send(())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                client = &mut handed, if kept.is_none() => match client {
                    Ok(client) => kept = Some(client),
                    Err(_) => return,
                },
                () = send.closed() => return,
            }
        }
    });
    client
        .batch_execute(&format!("listen {}", super::statement::quoted(channel)))
        .await?;
    drop(hand_over.send(client));
    Ok(receive)
}

/// Do something when listening on a channel begins, since there may have been news before, and whenever there is some:
/// for ever, whatever becomes of the database.
pub async fn on_news(url: &str, channel: &str, mut heed: impl AsyncFnMut()) {
    let mut attempt = 0;
    loop {
        match listen(url, channel).await {
            Ok(mut notices) => {
                attempt = 0;
                loop {
                    heed().await;
                    if notices.recv().await.is_none() {
                        break;
                    }
                    // One change makes several notices.
                    while notices.try_recv().is_ok() {}
                }
            }
            Err(error) => tracing::warn!(event = "cannot_listen", cause = %error),
        }
        tokio::time::sleep(migrate::back_off(attempt)).await;
        attempt += 1;
    }
}

impl managed::Manager for Maker {
    type Type = Connection;
    type Error = anyhow::Error;

    async fn create(&self) -> anyhow::Result<Connection> {
        let (client, last) = connect(&self.config).await?;
        let diesel = AsyncPgConnection::try_from(client).await?;
        Ok(Connection {
            diesel,
            last,
            warm: HashSet::new(),
            epoch: statement::epoch(),
        })
    }

    async fn recycle(&self, kept: &mut Connection, _: &Metrics) -> RecycleResult<anyhow::Error> {
        if kept.epoch != statement::epoch() {
            return Err(RecycleError::message("too many prepared statements"));
        }
        Ok(())
    }
}
