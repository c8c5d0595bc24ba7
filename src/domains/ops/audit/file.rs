//! An exported log, line by line: a head, then each owner's rows with the seal over them behind them. Verified without any
//! database. A row's line is hashed as it stands in the file.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chain::{Chains, Report, Row, Seal, hash_of};

/// No line of an export is longer: a seal over the most rows that one holds is some megabytes.
const LONGEST: u64 = 256 * 1024 * 1024;

/// The first line of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct Head {
    /// The version of the format.
    #[serde(rename = "made_open_audit")]
    pub version: u32,
    /// Whose rows are in it, when they are one owner's.
    pub owner_id: Option<Uuid>,
    /// Whether all seals of the hub are in it.
    pub is_whole_hub: bool,
}

/// The part of a row that tells where it belongs.
#[derive(Deserialize)]
struct Known {
    id: Uuid,
    owner_id: Option<Uuid>,
}

/// Hold the rows of an export against its seals.
pub fn verify(
    mut lines: impl BufRead,
    owner: Option<Uuid>,
    known: Option<String>,
    mut each: impl FnMut(u64),
) -> std::io::Result<Report> {
    let mut chains = Chains::holding(known);
    let mut open: HashMap<Option<Uuid>, Vec<Row>> = HashMap::new();
    let mut is_whole_hub = false;
    let mut text = Vec::new();
    let mut number = 0;
    loop {
        text.clear();
        let read = (&mut lines).take(LONGEST).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        number += 1;
        each(read as u64);
        let Some(line) = std::str::from_utf8(&text).ok() else {
            chains.unreadable(number);
            break;
        };
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if number == 1
            && let Ok(head) = serde_json::from_str::<Head>(line)
        {
            is_whole_hub = head.is_whole_hub && owner.is_none();
        } else if let Ok(seal) = serde_json::from_str::<Seal>(line) {
            let rows = open.remove(&seal.owner_id).unwrap_or_default();
            if is_asked(owner, seal.owner_id) && !chains.take(&seal, &rows, Some(number)) {
                break;
            }
        } else if let Ok(row) = serde_json::from_str::<Known>(line) {
            if is_asked(owner, row.owner_id) {
                open.entry(row.owner_id).or_default().push(Row {
                    id: row.id,
                    hash: hash_of(line),
                    line: Some(number),
                });
            }
        } else {
            chains.unreadable(number);
            break;
        }
    }
    chains.waiting(open.values().map(|rows| rows.len() as u64).sum());
    Ok(chains.report(is_whole_hub))
}

fn is_asked(owner: Option<Uuid>, of: Option<Uuid>) -> bool {
    owner.is_none() || owner == of
}
