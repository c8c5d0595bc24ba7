//! Outgoing mail: by SMTP where `SMTP_URL` names a server, else into files in the data directory.

use std::path::PathBuf;

use anyhow::Context;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
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
    /// A connection per letter: there are few, and a pool would have to be made and dropped inside a runtime.
    Smtp(Box<AsyncSmtpTransportBuilder>),
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
                    .timeout(Some(std::time::Duration::from_secs(10))),
            )),
            None => Way::Files(config.data_dir.join("mail")),
        };
        Ok(Self { from, way })
    }

    /// Hand a letter over. What can't be reached may be tried again; what is refused for good can't.
    pub async fn send(&self, letter: &Letter) -> Result<()> {
        let message = self.message(letter)?;
        match &self.way {
            Way::Smtp(server) => match connected(server).send(message).await {
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
                    connected(server).test_connection().await?,
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
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(body(&letter.text)?)
            .map_err(Error::broken)
    }
}

fn connected(server: &AsyncSmtpTransportBuilder) -> AsyncSmtpTransport<Tokio1Executor> {
    server.clone().build()
}

/// Plain text travels as it is, so that a link in a file can be opened; the rest is encoded, so that nothing but lines
/// of text ever reaches a mail server: a lone carriage return is where servers disagree about the end of a letter.
fn body(text: &str) -> Result<Body> {
    /// The longest line of RFC 5322, without its end.
    const LONGEST_LINE: usize = 998;
    let lines: Vec<&str> = text.lines().collect();
    let is_plain = |line: &&str| {
        line.len() <= LONGEST_LINE && line.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
    };
    if !lines.iter().all(is_plain) {
        let encoding = ContentTransferEncoding::QuotedPrintable;
        return Body::new_with_encoding(text.to_owned(), encoding)
            .map_err(|_| Error::broken(anyhow::anyhow!("a letter cannot be encoded")));
    }
    let mut bytes = lines.join("\r\n").into_bytes();
    bytes.extend(b"\r\n");
    Ok(Body::dangerous_pre_encoded(
        bytes,
        ContentTransferEncoding::SevenBit,
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(letter: &Letter) -> Result<String> {
        let mail = Mail {
            from: "Hub <hub@hub.example>".parse().unwrap(),
            way: Way::Files(PathBuf::new()),
        };
        let bytes = mail.message(letter)?.formatted();
        Ok(String::from_utf8(bytes).unwrap())
    }

    fn letter(to: &str, subject: &str, text: &str) -> Letter {
        let [to, subject, text] = [to, subject, text].map(str::to_owned);
        Letter { to, subject, text }
    }

    #[test]
    fn plain_text_stays_plain_and_the_rest_is_encoded() {
        let link = format!("https://hub.example/?token={}", "x".repeat(200));
        let said = formatted(&letter("a@b.example", "Hello", &format!("{link}\nbye\n"))).unwrap();
        assert!(
            said.contains(&format!("\r\n\r\n{link}\r\nbye\r\n")),
            "{said}"
        );
        for text in ["Grüße\n", "a\rb", "\0", &"x".repeat(999)] {
            let said = formatted(&letter("a@b.example", "Hello", text)).unwrap();
            assert!(!said.contains("Content-Transfer-Encoding: 7bit"), "{said}");
            let (_, body) = said.split_once("\r\n\r\n").unwrap();
            assert!(body.lines().all(|line| line.len() <= 998), "{said}");
            assert!(!body.replace("\r\n", "").contains(['\r', '\0']), "{said:?}");
        }
    }

    #[test]
    fn s_105_nothing_breaks_out_of_a_header() {
        let said = formatted(&letter(
            "a@b.example",
            "Hi\r\nBcc: c@d.example\r\n\r\nGrüße",
            "text\r\n.\r\nMAIL FROM:<e@f.example>\r\n",
        ))
        .unwrap();
        let (head, _) = said.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("\r\nbcc"), "{head}");
        for to in [
            "a@b.example\r\nBcc: c@d.example",
            "a@b.example, c@d.example",
            "a",
            "",
        ] {
            assert!(
                formatted(&letter(to, "Hi", ""))
                    .unwrap_err()
                    .is("mail.address"),
                "{to}"
            );
        }
    }
}
