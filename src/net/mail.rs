//! Outgoing mail: by SMTP where `SMTP_URL` names a server, else into files in the data directory.

use std::path::PathBuf;

use anyhow::Context;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::base::config::Config;
use crate::base::{Error, Result};

/// A letter to one address. Its texts may hold anything; what would break out of a header is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Tells programs not to answer (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// The way mail leaves.
pub struct Mail {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Files(PathBuf),
}

impl Mail {
    /// As the settings say; nothing is connected yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let from = config
            .mail_from
            .parse()
            .context("mail_from is no mail address")?;
        let way = match &config.smtp_url {
            Some(url) => Way::Smtp(Box::new(
                AsyncSmtpTransport::<Tokio1Executor>::from_url(url.reveal())
                    .map_err(|_| {
                        anyhow::anyhow!(
                            "smtp_url cannot be read; it is like smtps://user:password@mail.example"
                        )
                    })?
                    .timeout(Some(std::time::Duration::from_secs(10)))
                    .build(),
            )),
            None => Way::Files(config.data_dir.join("mail")),
        };
        Ok(Self { from, way })
    }

    /// Hand a letter over. What can't be reached may be tried again; what is refused for good can't.
    pub async fn send(&self, letter: &Letter) -> Result<()> {
        let message = self.message(letter)?;
        match &self.way {
            Way::Smtp(server) => match server.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if is_for_good(&error) => Err(Error::invalid(
                    "mail.refused",
                    format!("The mail server refuses this letter: {error}"),
                )),
                Err(error) => Err(Error::busy(format!(
                    "The mail server can't be used: {error}"
                ))),
            },
            Way::Files(directory) => {
                let name = format!("{}.eml", uuid::Uuid::now_v7());
                let path = directory.join(&name);
                let bytes = message.formatted();
                tokio::fs::create_dir_all(directory)
                    .await
                    .map_err(unwritten)?;
                // Whole or not at all: readers look for .eml.
                let half = directory.join(format!("{name}.part"));
                tokio::fs::write(&half, bytes).await.map_err(unwritten)?;
                tokio::fs::rename(&half, &path).await.map_err(unwritten)?;
                tracing::info!(event = "mail_in_file", path = %path.display());
                Ok(())
            }
        }
    }

    /// Whether the server answers; files always do.
    pub async fn answers(&self) -> anyhow::Result<()> {
        match &self.way {
            Way::Smtp(server) => {
                anyhow::ensure!(
                    server.test_connection().await?,
                    "the mail server does not greet"
                );
                Ok(())
            }
            Way::Files(_) => Ok(()),
        }
    }

    /// Whether mail goes to a server.
    pub fn is_by_smtp(&self) -> bool {
        matches!(self.way, Way::Smtp(_))
    }

    fn message(&self, letter: &Letter) -> Result<Message> {
        let to: Mailbox = letter
            .to
            .parse()
            .map_err(|_| Error::invalid("mail.address", "This is no mail address."))?;
        // A subject is one line, whoever wrote it.
        let subject: String = letter
            .subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(format!(
                "<{}@{}>",
                uuid::Uuid::now_v7(),
                self.from.email.domain()
            )))
            .raw_header(HeaderValue::new(
                AUTO_SUBMITTED,
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(body(&letter.text)?)
            .map_err(Error::broken)
    }
}

/// Plain text travels as it is, so that a link in a file can be opened; only what needs it is encoded.
fn body(text: &str) -> Result<Body> {
    /// The longest line of RFC 5322, without its end.
    const LONGEST_LINE: usize = 998;
    let is_plain = text.is_ascii() && text.lines().all(|line| line.len() <= LONGEST_LINE);
    if !is_plain {
        return Ok(Body::new(text.to_owned()));
    }
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::SevenBit)
        .map_err(|_| Error::broken(anyhow::anyhow!("a letter is not what it was taken for")))
}

/// Whether another try would end the same. What is wrong with our own login (RFC 4954) the operator can mend; what the
/// client can't even say, such as an address this server has no letters for, stays unsaid.
fn is_for_good(error: &lettre::transport::smtp::Error) -> bool {
    let is_about_login = error
        .status()
        .is_some_and(|status| status.to_string().starts_with("53"));
    (error.is_permanent() && !is_about_login) || error.is_client()
}

fn unwritten(error: std::io::Error) -> Error {
    tracing::error!(event = "mail_not_written", cause = %error);
    Error::busy("The hub can't write mail into its data directory at the moment.")
}
