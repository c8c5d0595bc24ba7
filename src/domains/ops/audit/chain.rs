//! The chain of seals, held against the rows it was made over. Pure: the rows may come from the database or from an
//! exported file, and what is found is the first thing that is wrong. The format is described in docs/AUDIT.md.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What the first seal of a chain continues.
pub const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A seal, as a line of the export has it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Seal {
    /// Its place in the owner's chain, from 1.
    #[serde(rename = "seal")]
    pub place: u64,
    pub owner_id: Option<Uuid>,
    /// Its place among all seals of the hub; there may be gaps.
    pub number: i64,
    pub sealed_at: String,
    /// Every row of a transaction below this was sealed.
    pub upto: String,
    /// Id and hash of each row, in order.
    pub rows: Vec<(Uuid, String)>,
    /// The owner's seal before this one.
    pub prev_hash: String,
    /// The hub's seal before this one.
    pub before_hash: String,
    pub hash: String,
}

/// A row as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: Uuid,
    /// Of its line.
    pub hash: String,
    /// Where the line stands in a file.
    pub line: Option<usize>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A sealed row says something else than it did.
    Changed,
    /// A sealed row is gone.
    Missing,
    /// A row that was not there when its time was sealed.
    Added,
    /// A sealed row stands in another place.
    Reordered,
    /// A seal was changed.
    SealChanged,
    /// A seal is gone, or one was put in.
    SealMissing,
    /// A line of a file that is neither a row nor a seal.
    Unreadable,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Bad {
    pub fault: Fault,
    pub owner_id: Option<Uuid>,
    /// The place of the seal in its owner's chain.
    pub seal: Option<u64>,
    pub row: Option<Uuid>,
    /// Of a file.
    pub line: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Report {
    pub rows: u64,
    pub seals: u64,
    /// Rows that no seal covers yet.
    pub waiting: u64,
    /// The last hash of each chain: whoever keeps it can tell later that nothing before it was made anew.
    pub heads: BTreeMap<String, String>,
    pub bad: Option<Bad>,
}

/// Chains under way, one per owner and the hub's over all of them.
#[derive(Default)]
pub struct Chains {
    report: Report,
    last: HashMap<Option<Uuid>, (u64, String)>,
    /// What each seal says of the one before it in the hub, when all of them are there.
    links: BTreeMap<i64, (String, String, Option<Uuid>, u64)>,
    known: Option<String>,
}

/// The hash of a line of the export.
pub fn hash_of(line: &str) -> String {
    digest::digest(&digest::SHA256, line.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Seal {
    /// The hash that its own content has.
    pub fn own_hash(&self) -> String {
        let owner = self
            .owner_id
            .map_or_else(|| "-".to_owned(), |owner| owner.to_string());
        let mut text = format!(
            "made-open audit seal 1\n{} {owner}\n{} {}\n{}\n{}",
            self.place, self.sealed_at, self.upto, self.prev_hash, self.before_hash
        );
        for (id, hash) in &self.rows {
            text.push_str(&format!("\n{id} {hash}"));
        }
        hash_of(&text)
    }

    fn bad(&self, fault: Fault, row: Option<Uuid>, line: Option<usize>) -> Bad {
        Bad {
            fault,
            owner_id: self.owner_id,
            seal: Some(self.place),
            row,
            line,
        }
    }

    /// The first row that is not as it was sealed.
    fn first_bad(&self, rows: &[Row]) -> Option<Bad> {
        let sealed: HashSet<Uuid> = self.rows.iter().map(|(id, _)| *id).collect();
        let there: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut now = rows.iter();
        for (id, hash) in &self.rows {
            let Some(row) = now.next() else {
                return Some(self.bad(Fault::Missing, Some(*id), None));
            };
            if row.id == *id {
                if row.hash != *hash {
                    return Some(self.bad(Fault::Changed, Some(row.id), row.line));
                }
                continue;
            }
            let (fault, which) = if !sealed.contains(&row.id) {
                (Fault::Added, row.id)
            } else if !there.contains(id) {
                (Fault::Missing, *id)
            } else {
                (Fault::Reordered, row.id)
            };
            return Some(self.bad(fault, Some(which), row.line));
        }
        now.next().map(|row| {
            let fault = if sealed.contains(&row.id) {
                Fault::Reordered
            } else {
                Fault::Added
            };
            self.bad(fault, Some(row.id), row.line)
        })
    }
}

impl Chains {
    /// Chains of which one must hold this hash, which somebody kept.
    pub fn holding(known: Option<String>) -> Self {
        Self {
            known: known.map(|hash| hash.to_lowercase()),
            ..Self::default()
        }
    }

    /// Hold the next seal of its owner's chain against the rows that stand where it does. Says whether to go on.
    pub fn take(&mut self, seal: &Seal, rows: &[Row], line: Option<usize>) -> bool {
        if self.report.bad.is_some() {
            return false;
        }
        let (place, hash) = self
            .last
            .get(&seal.owner_id)
            .map_or((0, NONE), |(place, hash)| (*place, hash.as_str()));
        self.report.bad = if seal.own_hash() != seal.hash {
            Some(seal.bad(Fault::SealChanged, None, line))
        } else if seal.prev_hash != hash || seal.place != place + 1 {
            Some(seal.bad(Fault::SealMissing, None, line))
        } else {
            seal.first_bad(rows)
        };
        if self.report.bad.is_some() {
            return false;
        }
        self.report.rows += rows.len() as u64;
        self.report.seals += 1;
        if self.known.as_deref() == Some(&seal.hash) {
            self.known = None;
        }
        self.last
            .insert(seal.owner_id, (seal.place, seal.hash.clone()));
        self.links.insert(
            seal.number,
            (
                seal.before_hash.clone(),
                seal.hash.clone(),
                seal.owner_id,
                seal.place,
            ),
        );
        true
    }

    /// A row that should be under a seal and is under none.
    pub fn stray(&mut self, owner_id: Option<Uuid>, row: Uuid) {
        self.report.bad.get_or_insert(Bad {
            fault: Fault::Added,
            owner_id,
            seal: None,
            row: Some(row),
            line: None,
        });
    }

    /// A line that cannot be read.
    pub fn unreadable(&mut self, line: usize) {
        self.report.bad.get_or_insert(Bad {
            fault: Fault::Unreadable,
            owner_id: None,
            seal: None,
            row: None,
            line: Some(line),
        });
    }

    /// Rows that no seal covers yet.
    pub fn waiting(&mut self, rows: u64) {
        self.report.waiting += rows;
    }

    /// What was found. When all chains of the hub are here, none may be missing between two of its seals.
    pub fn report(mut self, is_whole_hub: bool) -> Report {
        if is_whole_hub && self.report.bad.is_none() {
            let mut before = NONE;
            for (before_hash, hash, owner_id, place) in self.links.values() {
                if before_hash != before {
                    self.report.bad = Some(Bad {
                        fault: Fault::SealMissing,
                        owner_id: *owner_id,
                        seal: Some(*place),
                        row: None,
                        line: None,
                    });
                    break;
                }
                before = hash;
            }
        }
        if self.known.is_some() && self.report.bad.is_none() {
            self.report.bad = Some(Bad {
                fault: Fault::SealMissing,
                owner_id: None,
                seal: None,
                row: None,
                line: None,
            });
        }
        for (owner, (_, hash)) in self.last {
            let owner = owner.map_or_else(|| "-".to_owned(), |owner| owner.to_string());
            self.report.heads.insert(owner, hash);
        }
        self.report
    }
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = self.row.map(|row| row.to_string()).unwrap_or_default();
        match self.fault {
            Fault::Changed => write!(f, "row {row} was changed after it was sealed")?,
            Fault::Missing => write!(f, "row {row} is missing")?,
            Fault::Added => write!(f, "row {row} was added where everything was sealed already")?,
            Fault::Reordered => {
                write!(f, "row {row} stands in another place than it was sealed in")?
            }
            Fault::SealChanged => write!(f, "a seal was changed")?,
            Fault::SealMissing if self.seal.is_none() => {
                write!(
                    f,
                    "no seal has the hash that was known: the chain was made anew or cut"
                )?;
            }
            Fault::SealMissing => write!(
                f,
                "a seal before this one is missing, or this one was put in"
            )?,
            Fault::Unreadable => write!(f, "neither a row nor a seal")?,
        }
        if let Some(seal) = self.seal {
            write!(f, " (seal {seal} of ")?;
            match self.owner_id {
                Some(owner) => write!(f, "{owner})")?,
                None => write!(f, "the hub's own rows)")?,
            }
        }
        match self.line {
            Some(line) => write!(f, ", line {line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u128) -> Row {
        Row {
            id: Uuid::from_u128(n),
            hash: hash_of(&format!("row {n}")),
            line: None,
        }
    }

    fn seal(place: u64, number: i64, prev: &str, before: &str, rows: &[Row]) -> Seal {
        let mut seal = Seal {
            place,
            owner_id: Some(Uuid::from_u128(7)),
            number,
            sealed_at: "2026-11-26T14:00:00.000000Z".to_owned(),
            upto: "900".to_owned(),
            rows: rows.iter().map(|row| (row.id, row.hash.clone())).collect(),
            prev_hash: prev.to_owned(),
            before_hash: before.to_owned(),
            hash: String::new(),
        };
        seal.hash = seal.own_hash();
        seal
    }

    fn found(rows: &[Row]) -> Option<(Fault, u128)> {
        let sealed: Vec<Row> = (1..=4).map(row).collect();
        let mut chains = Chains::default();
        chains.take(&seal(1, 1, NONE, NONE, &sealed), rows, None);
        let bad = chains.report(true).bad?;
        Some((bad.fault, bad.row.unwrap().as_u128()))
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let all: Vec<Row> = (1..=4).map(row).collect();
        assert_eq!(found(&all), None);
        let mut changed = all.clone();
        changed[2].hash = hash_of("another");
        assert_eq!(found(&changed), Some((Fault::Changed, 3)));
        let without = |n: usize| {
            let mut rows = all.clone();
            rows.remove(n);
            rows
        };
        assert_eq!(found(&without(0)), Some((Fault::Missing, 1)));
        assert_eq!(found(&without(3)), Some((Fault::Missing, 4)));
        for place in 0..=4 {
            let mut added = all.clone();
            added.insert(place, row(9));
            assert_eq!(found(&added), Some((Fault::Added, 9)), "{place}");
        }
        let mut swapped = all.clone();
        swapped.swap(1, 2);
        assert_eq!(found(&swapped), Some((Fault::Reordered, 3)));
        let mut twice = all.clone();
        twice.push(row(2));
        assert_eq!(found(&twice), Some((Fault::Reordered, 2)));
    }

    #[test]
    fn seals_cannot_be_changed_left_out_or_made_anew() {
        let (one, two, three) = ([row(1)], [row(2)], [row(3)]);
        let first = seal(1, 1, NONE, NONE, &one);
        let second = seal(2, 2, &first.hash, &first.hash, &two);
        let third = seal(3, 4, &second.hash, &second.hash, &three);
        let report = |seals: &[(&Seal, &[Row])], known: Option<&Seal>| {
            let mut chains = Chains::holding(known.map(|seal| seal.hash.to_uppercase()));
            for (seal, rows) in seals {
                chains.take(seal, rows, None);
            }
            chains.report(true)
        };
        let whole = report(
            &[(&first, &one), (&second, &two), (&third, &three)],
            Some(&second),
        );
        assert_eq!((whole.bad, whole.rows, whole.seals), (None, 3, 3));
        assert_eq!(whole.heads.values().next(), Some(&third.hash));

        let gap = report(&[(&first, &one), (&third, &three)], None);
        assert_eq!(gap.bad.unwrap().fault, Fault::SealMissing);
        let mut forged = second.clone();
        forged.rows[0].1 = hash_of("another");
        let changed = report(&[(&first, &one), (&forged, &two)], None);
        assert_eq!(changed.bad.unwrap().fault, Fault::SealChanged);
        // Cut at the end, a chain is whole; only who kept a later hash can tell.
        assert_eq!(report(&[(&first, &one)], None).bad, None);
        let cut = report(&[(&first, &one)], Some(&third)).bad.unwrap();
        assert_eq!((cut.fault, cut.seal), (Fault::SealMissing, None));
    }

    #[test]
    fn a_whole_owner_cannot_vanish_from_the_hub() {
        let (mine, theirs) = ([row(1)], [row(2)]);
        let first = seal(1, 1, NONE, NONE, &mine);
        let mut other = seal(1, 2, NONE, &first.hash, &theirs);
        other.owner_id = None;
        other.hash = other.own_hash();
        let mut chains = Chains::default();
        assert!(chains.take(&other, &theirs, None));
        assert_eq!(chains.report(true).bad.unwrap().fault, Fault::SealMissing);
        let mut alone = Chains::default();
        alone.take(&other, &theirs, None);
        assert_eq!(alone.report(false).bad, None);
    }
}
