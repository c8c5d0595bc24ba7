//! Who is gone, remembered twice: in the database, and in a file of the data directory, where no restored backup
//! reaches it. A line is the hash of an account's id and the day; of the account itself it tells nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use diesel::sql_types::Text;
use tokio::io::AsyncWriteExt;

use crate::base::{Caller, Error, Result};
use crate::db::{Bind, Statement};
use crate::node::Node;

/// The file beside the hub's others.
const FILE: &str = "deletions";

/// Bring file and table to the same lines.
pub async fn remember(node: &Node) -> Result<()> {
    let path = node.config.data_dir.join(FILE);
    let in_file = lines(&path).await?;
    let in_table = node
        .db
        .write(&Caller::Hub, async |tx| {
            let mut insert = Statement::new(
                "insert into hub.deletions (id_hash, deleted_on) \
                 select decode(split_part(l, ' ', 1), 'hex'), split_part(l, ' ', 2)::date from unnest(",
            );
            insert
                .bind(Bind::Texts(in_file.iter().cloned().map(Some).collect()))
                .sql("::text[]) l on conflict do nothing");
            tx.run(insert).await?;
            let select = Statement::<Text>::new(
                "select encode(id_hash, 'hex') || ' ' || to_char(deleted_on, 'YYYY-MM-DD') from hub.deletions order by 1",
            );
            tx.load::<_, String>(select).await
        })
        .await?;

    let known: BTreeSet<&str> = in_file.iter().filter_map(|line| line.get(..64)).collect();
    let missing: Vec<String> = in_table
        .into_iter()
        .filter(|line| line.get(..64).is_some_and(|hash| !known.contains(hash)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut file = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .await
        .map_err(Error::broken)?;
    let text = missing.join("\n") + "\n";
    file.write_all(text.as_bytes())
        .await
        .map_err(Error::broken)?;
    file.sync_all().await.map_err(Error::broken)
}

async fn lines(path: &PathBuf) -> Result<Vec<String>> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(text.lines().filter_map(line).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::broken(error)),
    }
}

/// A line as it was written; one that a crash cut off, or that somebody typed, is left aside.
fn line(text: &str) -> Option<String> {
    let (hash, day) = text.trim().split_once(' ')?;
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_day = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok() && day.len() == 10;
    (is_hash && is_day).then(|| format!("{hash} {day}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        let hash = "0123456789abcdef".repeat(4);
        let good = format!("{hash} 2026-11-26");
        assert_eq!(line(&good), Some(good.clone()));
        for bad in [
            "",
            &good[..70],
            &good[1..],
            &good.to_uppercase(),
            &format!("{hash} 2026-13-26"),
            &format!("{hash}' 2026-11-26"),
            &format!("{hash} 2026-11-26 x"),
        ] {
            assert_eq!(line(bad), None, "{bad}");
        }
    }
}
