//! What has become of an exchange, from what its parties have signed: the accepted agreement and their documents (R25).
//! Pure; documents may come in any order and more than once, and both hubs end with the same answer.

use serde::{Deserialize, Serialize};

/// What a party says of how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Fulfilled,
    Cancelled,
    Disputed,
}

impl Verdict {
    /// The word on the wire and in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::Disputed => "disputed",
        }
    }

    /// From the word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Fulfilled, Self::Cancelled, Self::Disputed]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }
}

/// Which side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who declared what was answered, and writes the agreement.
    Proposer,
    /// Who answered it with an offer.
    Asker,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Proposer => Self::Asker,
            Self::Asker => Self::Proposer,
        }
    }
}

/// One document, as far as the state is concerned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Said {
    /// The party's own counter.
    pub version: i64,
    /// Its address: of two with one counter the greater counts, on both hubs.
    pub uri: String,
    pub verdict: Verdict,
}

/// What one party has said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The document with the highest counter.
    pub latest: Option<Said>,
    /// Whether any of its documents says that it was fulfilled.
    pub has_fulfilled: bool,
}

impl Party {
    /// Take a document, whenever it comes.
    pub fn take(&mut self, said: Said) {
        self.has_fulfilled |= said.verdict == Verdict::Fulfilled;
        if self.latest.as_ref().is_none_or(|latest| *latest < said) {
            self.latest = Some(said);
        }
    }

    /// What it says now.
    pub fn verdict(&self) -> Option<Verdict> {
        self.latest.as_ref().map(|said| said.verdict)
    }

    /// The counter of its next document.
    pub fn next(&self) -> i64 {
        self.latest
            .as_ref()
            .map_or(1, |said| said.version.saturating_add(1))
    }
}

/// What both have said under an agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub proposer: Party,
    pub asker: Party,
}

impl Evidence {
    /// One side's.
    pub fn of(&self, side: Side) -> &Party {
        match side {
            Side::Proposer => &self.proposer,
            Side::Asker => &self.asker,
        }
    }

    /// Take a document of a side.
    pub fn take(&mut self, side: Side, said: Said) {
        match side {
            Side::Proposer => self.proposer.take(said),
            Side::Asker => self.asker.take(said),
        }
    }

    /// The state of an exchange whose agreement was accepted. Once both have said that it was fulfilled it is completed for
    /// good, whatever else is under way: the books follow from it on both hubs.
    pub fn state(&self) -> State {
        use Verdict::{Cancelled, Disputed, Fulfilled};
        if self.proposer.has_fulfilled && self.asker.has_fulfilled {
            return State::Completed;
        }
        match (self.proposer.verdict(), self.asker.verdict()) {
            (None, None) => State::Accepted,
            (Some(Fulfilled), None) | (None, Some(Fulfilled)) => State::InProgress,
            (Some(Cancelled), Some(Cancelled) | None) | (None, Some(Cancelled)) => State::Cancelled,
            (Some(Fulfilled), Some(Fulfilled)) => State::Completed,
            (Some(Disputed), _) | (_, Some(Disputed)) => State::Disputed,
            (Some(Cancelled), Some(Fulfilled)) | (Some(Fulfilled), Some(Cancelled)) => {
                State::Disputed
            }
        }
    }

    /// Whether a side may say this now. What was fulfilled stays so unless the two disagree.
    pub fn may_say(&self, side: Side, verdict: Verdict) -> bool {
        match self.state() {
            State::Completed => false,
            State::Disputed => true,
            _ => {
                let said = self.of(side).verdict();
                said != Some(verdict) && said != Some(Verdict::Fulfilled)
            }
        }
    }
}

/// What an accepted exchange has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Accepted,
    InProgress,
    Completed,
    Cancelled,
    Disputed,
}

impl State {
    /// The word on the wire and in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Disputed => "disputed",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(version: i64, verdict: Verdict) -> Said {
        Said {
            version,
            uri: format!("https://hub.example/ap/receipts/{version}"),
            verdict,
        }
    }

    fn state(proposer: Option<Verdict>, asker: Option<Verdict>) -> State {
        let mut evidence = Evidence::default();
        for (side, verdict) in [(Side::Proposer, proposer), (Side::Asker, asker)] {
            if let Some(verdict) = verdict {
                evidence.take(side, said(1, verdict));
            }
        }
        evidence.state()
    }

    #[test]
    fn the_table_of_the_contract() {
        use Verdict::{Cancelled, Disputed, Fulfilled};
        for (one, other, expected) in [
            (None, None, State::Accepted),
            (Some(Fulfilled), None, State::InProgress),
            (Some(Fulfilled), Some(Fulfilled), State::Completed),
            (Some(Fulfilled), Some(Cancelled), State::Disputed),
            (Some(Fulfilled), Some(Disputed), State::Disputed),
            (Some(Cancelled), None, State::Cancelled),
            (Some(Cancelled), Some(Cancelled), State::Cancelled),
            (Some(Cancelled), Some(Disputed), State::Disputed),
            (Some(Disputed), None, State::Disputed),
            (Some(Disputed), Some(Disputed), State::Disputed),
        ] {
            assert_eq!(state(one, other), expected, "{one:?} {other:?}");
            assert_eq!(state(other, one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn fulfilled_is_final_unless_the_two_disagree() {
        let mut evidence = Evidence::default();
        assert!(evidence.may_say(Side::Asker, Verdict::Fulfilled));
        evidence.take(Side::Asker, said(1, Verdict::Fulfilled));
        assert!(!evidence.may_say(Side::Asker, Verdict::Cancelled));
        assert!(!evidence.may_say(Side::Asker, Verdict::Fulfilled));
        evidence.take(Side::Proposer, said(1, Verdict::Disputed));
        assert!(evidence.may_say(Side::Asker, Verdict::Cancelled));
        evidence.take(Side::Proposer, said(2, Verdict::Fulfilled));
        assert_eq!(evidence.state(), State::Completed);
        assert!(!evidence.may_say(Side::Asker, Verdict::Disputed));
    }

    /// Two parties that act by their own view while their documents are under way: whatever each of them said, in the end
    /// both have the same, and what was completed anywhere is completed everywhere.
    fn history(steps: &[(bool, u8, bool)]) -> (Vec<(Side, Said)>, bool) {
        let mut views = [Evidence::default(), Evidence::default()];
        let mut under_way: [Vec<(Side, Said)>; 2] = Default::default();
        let mut all = Vec::new();
        let mut was_completed = false;
        for (is_proposer, verdict, delivers) in steps {
            let (side, me) = match is_proposer {
                true => (Side::Proposer, 0),
                false => (Side::Asker, 1),
            };
            if *delivers {
                for (from, said) in std::mem::take(&mut under_way[me]) {
                    views[me].take(from, said);
                }
            }
            let verdict = [Verdict::Fulfilled, Verdict::Cancelled, Verdict::Disputed]
                [usize::from(*verdict) % 3];
            if views[me].may_say(side, verdict) {
                let said = said(views[me].of(side).next(), verdict);
                views[me].take(side, said.clone());
                under_way[1 - me].push((side, said.clone()));
                all.push((side, said));
            }
            was_completed |= views.iter().any(|view| view.state() == State::Completed);
        }
        (all, was_completed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn all_orders_of_arrival_end_equal(
            steps in prop::collection::vec((any::<bool>(), 0_u8..3, any::<bool>()), 1..12),
            shuffles in prop::collection::vec(prop::collection::vec(0_usize..1000, 24), 2),
        ) {
            let (all, was_completed) = history(&steps);
            let mut ends = Vec::new();
            for shuffle in &shuffles {
                // Each document once or twice, in an order of its own.
                let mut arrived: Vec<(usize, (Side, Said))> = all
                    .iter()
                    .chain(all.iter().take(shuffle[0] % (all.len() + 1)))
                    .enumerate()
                    .map(|(at, document)| (shuffle[at % shuffle.len()].wrapping_mul(at + 7) % 997, document.clone()))
                    .collect();
                arrived.sort_by_key(|(at, _)| *at);
                let mut evidence = Evidence::default();
                for (_, (side, said)) in arrived {
                    evidence.take(side, said);
                }
                ends.push(evidence);
            }
            prop_assert_eq!(&ends[0], &ends[1]);
            prop_assert!(!was_completed || ends[0].state() == State::Completed);
        }
    }
}
