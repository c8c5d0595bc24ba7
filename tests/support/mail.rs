//! The letters that a hub without a mail server writes into its data directory.

use std::path::Path;
use std::time::{Duration, Instant};

use super::hub::TestHub;

/// How long a letter may take; jobs are looked for every two seconds at the latest.
const PATIENCE: Duration = Duration::from_secs(30);

/// A letter as it lies there.
#[derive(Clone, Debug)]
pub struct Letter {
    pub head: String,
    pub text: String,
}

impl Letter {
    /// Read one.
    pub fn read(path: &Path) -> Self {
        Self::of(&std::fs::read_to_string(path).unwrap())
    }

    /// From what travels.
    pub fn of(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, text) = raw.split_once("\n\n").unwrap();
        let is_encoded = head.contains("quoted-printable");
        Self {
            head: head.to_owned(),
            text: if is_encoded {
                decoded(text)
            } else {
                text.to_owned()
            },
        }
    }

    /// All headers of a name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let start = format!("{}: ", name.to_lowercase());
        self.head
            .lines()
            .filter(|line| line.to_lowercase().starts_with(&start))
            .map(|line| &line[start.len()..])
            .collect()
    }

    /// The link to open.
    pub fn link(&self) -> &str {
        self.text
            .lines()
            .find(|line| line.starts_with("http"))
            .unwrap_or_else(|| panic!("no link in {self:?}"))
    }

    /// The secret of that link.
    pub fn token(&self) -> String {
        let link = url::Url::parse(self.link()).unwrap();
        let found = link.query_pairs().find(|(name, _)| name == "token");
        found.unwrap().1.into_owned()
    }

    /// The six digits to type.
    pub fn code(&self) -> &str {
        let digits = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        self.text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find(digits)
            .unwrap_or_else(|| panic!("no code in {self:?}"))
    }
}

impl TestHub {
    /// The letters to an address, the oldest first, once there are as many as expected.
    pub async fn letters(&self, to: &str, expected: usize) -> Vec<Letter> {
        let start = Instant::now();
        loop {
            let found = self.letters_now(to);
            if found.len() >= expected {
                assert_eq!(found.len(), expected, "letters to {to}: {found:#?}");
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} of {expected} letters to {to}",
                found.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The last of so many letters to an address.
    pub async fn letter(&self, to: &str, expected: usize) -> Letter {
        self.letters(to, expected).await.pop().unwrap()
    }

    /// The letters to an address that are there by now.
    pub fn letters_now(&self, to: &str) -> Vec<Letter> {
        let Ok(directory) = std::fs::read_dir(self.data_dir.join("mail")) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = directory
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        // Their names are ids that begin with the time.
        paths.sort();
        paths
            .iter()
            .map(|path| Letter::read(path))
            .filter(|letter| letter.headers("To").iter().any(|line| line.contains(to)))
            .collect()
    }

    /// Wait until every job is done.
    pub async fn settle(&self) {
        let admin = self.database.admin().await;
        let start = Instant::now();
        loop {
            let open: i64 = admin
                .query_one(
                    "select count(*) from job_records where status in ('enqueued', 'running') and scheduled_for <= now()",
                    &[],
                )
                .await
                .unwrap()
                .get(0);
            if open == 0 {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{open} jobs are not done");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Quoted-printable text (RFC 2045) as it was meant.
fn decoded(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend(before.bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).unwrap()
}
