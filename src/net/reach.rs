//! Whether an address answers, for whoever mends a set-up: one knock, and what the other side's clock says.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest head that is read.
const LONGEST: u64 = 16 * 1024;

/// What an address answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Nothing behind TLS: there it is only seen that somebody listens.
    pub status: Option<u16>,
    pub date: Option<DateTime<Utc>>,
}

/// Knock at an address; by plain HTTP the path is asked for, too.
pub async fn reach(url: &Url, path: &str) -> anyhow::Result<Reached> {
    tokio::time::timeout(PATIENCE, knock(url, path))
        .await
        .context("no answer in time")?
}

async fn knock(url: &Url, path: &str) -> anyhow::Result<Reached> {
    let host = url.host_str().context("the address names no host")?;
    let port = url
        .port_or_known_default()
        .context("the address names no port")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut wire = TcpStream::connect((bare, port)).await?;
    if url.scheme() != "http" {
        return Ok(Reached::default());
    }
    let asked = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    wire.write_all(asked.as_bytes()).await?;
    let mut answer = Vec::new();
    wire.take(LONGEST).read_to_end(&mut answer).await?;
    read(&String::from_utf8_lossy(&answer)).context("what answers does not speak HTTP")
}

fn read(answer: &str) -> Option<Reached> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let date = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("date"))
        .and_then(|(_, value)| DateTime::parse_from_rfc2822(value.trim()).ok())
        .map(|date| date.with_timezone(&Utc));
    Some(Reached {
        status: Some(status),
        date,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_and_date() {
        let head = "HTTP/1.1 200 OK\r\nDATE: Thu, 26 Nov 2026 16:00:00 GMT\r\nx: y\r\n\r\nbody";
        let reached = read(head).unwrap();
        assert_eq!(reached.status, Some(200));
        assert_eq!(
            reached.date.unwrap().to_rfc3339(),
            "2026-11-26T16:00:00+00:00"
        );
        for nonsense in ["", "220 mail.example ESMTP\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(read(nonsense), None);
        }
    }
}
