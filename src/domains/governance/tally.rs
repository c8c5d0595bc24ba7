//! Whether a vote has passed, in exact arithmetic: weights are ten-thousandths, thresholds are fractions, and no number is
//! rounded on the way to a verdict (R32). Pure.

use std::str::FromStr;

use crate::base::amount::{Amount, NotAnAmount};

/// What the threshold is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Yes and no.
    YesNo,
    /// All that was cast, abstentions too.
    Cast,
    /// Everybody who may vote.
    Electorate,
}

impl Base {
    /// As the wire has it; what nobody knows is `yes_no`.
    pub fn named(name: &str) -> Self {
        match name {
            "cast" => Self::Cast,
            "electorate" => Self::Electorate,
            _ => Self::YesNo,
        }
    }
}

/// A part of a whole, in ten-thousandths: `0.51` is 5100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(i64);

impl Share {
    /// So many per cent.
    pub fn percent(percent: i64) -> Self {
        Self(percent.clamp(0, 100) * 100)
    }
}

impl FromStr for Share {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let parts = text.parse::<Amount>()?.parts();
        match parts <= 10_000 {
            true => Ok(Self(parts)),
            false => Err(NotAnAmount),
        }
    }
}

/// How it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub quorum: Share,
    pub threshold: Share,
    pub base: Base,
}

/// What was cast, by weight, and how much could have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cast {
    pub yes: Weight,
    pub no: Weight,
    pub abstain: Weight,
    pub electorate: Weight,
}

/// A sum of weights in ten-thousandths: a hundred thousand of the greatest still fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(i128);

impl Weight {
    /// Of so many ten-thousandths.
    pub const fn of_parts(parts: i128) -> Self {
        Self(parts)
    }

    /// One more; none when it is beyond all weights.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl FromStr for Weight {
    type Err = NotAnAmount;

    /// Digits with up to four behind a point; a sum may have more before it than an amount.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, behind) = match text.split_once('.') {
            Some((_, "")) => return Err(NotAnAmount),
            Some(parts) => parts,
            None => (text, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_fine = (1..=28).contains(&whole.len())
            && is_digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && behind.len() <= 4
            && is_digits(behind);
        if !is_fine {
            return Err(NotAnAmount);
        }
        format!("{whole}{behind:0<4}")
            .parse()
            .map(Self)
            .map_err(|_| NotAnAmount)
    }
}

impl std::fmt::Display for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, behind) = (self.0 / 10_000, self.0 % 10_000);
        if behind == 0 {
            return write!(f, "{whole}");
        }
        let behind = format!("{behind:04}");
        write!(f, "{whole}.{}", behind.trim_end_matches('0'))
    }
}

/// What a vote came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Rejected,
    QuorumFailed,
}

impl Verdict {
    /// As `proposals.status` and the wire have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Rejected => "rejected",
            Self::QuorumFailed => "quorum_failed",
        }
    }
}

impl Cast {
    fn all(&self) -> i128 {
        self.yes.0 + self.no.0 + self.abstain.0
    }

    /// Whether enough took part. Where nobody may vote nobody decides.
    pub fn meets(&self, quorum: Share) -> bool {
        self.electorate.0 > 0 && at_least(self.all(), quorum, self.electorate.0)
    }

    /// Passed iff the quorum is met, yes is at least its part of the base, and yes is more than no.
    pub fn verdict(&self, rules: &Rules) -> Verdict {
        if !self.meets(rules.quorum) {
            return Verdict::QuorumFailed;
        }
        let base = match rules.base {
            Base::YesNo => self.yes.0 + self.no.0,
            Base::Cast => self.all(),
            Base::Electorate => self.electorate.0,
        };
        match at_least(self.yes.0, rules.threshold, base) && self.yes > self.no {
            true => Verdict::Passed,
            false => Verdict::Rejected,
        }
    }

    /// How much of the electorate took part, to four digits, cut off; for reading, never for deciding.
    pub fn turnout(&self) -> String {
        if self.electorate.0 <= 0 {
            return "0".to_owned();
        }
        let share = (self.all().saturating_mul(10_000) / self.electorate.0).clamp(0, 10_000);
        Weight(share).to_string()
    }
}

/// `part / whole >= share`, without dividing.
fn at_least(part: i128, share: Share, whole: i128) -> bool {
    match (
        part.checked_mul(10_000),
        whole.checked_mul(i128::from(share.0)),
    ) {
        (Some(part), Some(whole)) => part >= whole,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cast(yes: i128, no: i128, abstain: i128, electorate: i128) -> Cast {
        let weight = |units: i128| Weight(units * 10_000);
        Cast {
            yes: weight(yes),
            no: weight(no),
            abstain: weight(abstain),
            electorate: weight(electorate),
        }
    }

    fn rules(quorum: &str, threshold: &str, base: Base) -> Rules {
        Rules {
            quorum: quorum.parse().unwrap(),
            threshold: threshold.parse().unwrap(),
            base,
        }
    }

    #[test]
    fn a_quorum_is_met_to_the_last_ballot() {
        let rules = rules("0.51", "0.51", Base::YesNo);
        assert_eq!(cast(51, 0, 0, 100).verdict(&rules), Verdict::Passed);
        assert_eq!(cast(50, 0, 0, 100).verdict(&rules), Verdict::QuorumFailed);
        assert_eq!(cast(0, 0, 51, 100).verdict(&rules), Verdict::Rejected);
        assert_eq!(cast(0, 0, 0, 0).verdict(&rules), Verdict::QuorumFailed);
    }

    #[test]
    fn half_passes_only_if_yes_outnumbers_no() {
        let rules = rules("0", "0.5", Base::YesNo);
        assert_eq!(cast(5, 5, 0, 10).verdict(&rules), Verdict::Rejected);
        assert_eq!(cast(6, 5, 0, 11).verdict(&rules), Verdict::Passed);
    }

    #[test]
    fn each_base_counts_others() {
        let tally = cast(4, 3, 3, 20);
        assert_eq!(
            tally.verdict(&rules("0", "0.5", Base::YesNo)),
            Verdict::Passed
        );
        assert_eq!(
            tally.verdict(&rules("0", "0.4", Base::Cast)),
            Verdict::Passed
        );
        assert_eq!(
            tally.verdict(&rules("0", "0.41", Base::Cast)),
            Verdict::Rejected
        );
        assert_eq!(
            tally.verdict(&rules("0", "0.2", Base::Electorate)),
            Verdict::Passed
        );
        assert_eq!(
            tally.verdict(&rules("0", "0.21", Base::Electorate)),
            Verdict::Rejected
        );
    }

    #[test]
    fn a_third_is_no_third_of_ten() {
        let rules = rules("0.3333", "0.5", Base::YesNo);
        assert_eq!(cast(3, 0, 0, 9).verdict(&rules), Verdict::Passed);
        assert_eq!(cast(3, 0, 0, 10).verdict(&rules), Verdict::QuorumFailed);
    }

    #[test]
    fn the_turnout_is_cut_off() {
        assert_eq!(cast(1, 0, 0, 3).turnout(), "0.3333");
        assert_eq!(cast(14, 0, 0, 40).turnout(), "0.35");
        assert_eq!(cast(3, 0, 0, 3).turnout(), "1");
        assert_eq!(cast(0, 0, 0, 0).turnout(), "0");
    }

    #[test]
    fn what_is_a_share() {
        for good in ["0", "1", "0.51", "0.0001"] {
            assert!(good.parse::<Share>().is_ok(), "{good}");
        }
        for bad in ["1.0001", "2", "-1", "", "51%", "0.51000"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_sum_does_not_depend_on_the_order(weights in prop::collection::vec(0_i64..999_999_999_999_999_999, 0..50)) {
            let sum = |list: &[i64]| list.iter().try_fold(Weight::default(), |sum, weight| sum.plus(Weight(i128::from(*weight))));
            let mut back = weights.clone();
            back.reverse();
            prop_assert_eq!(sum(&weights), sum(&back));
        }

        #[test]
        fn what_is_written_is_read(parts in 0_i128..1_000_000_000_000_000_000_000_000) {
            prop_assert_eq!(Weight(parts).to_string().parse(), Ok(Weight(parts)));
        }

        #[test]
        fn more_yes_never_makes_it_fail(yes in 0_i128..1000, no in 0_i128..1000, abstain in 0_i128..1000, more in 0_i128..1000,
            quorum in 0_i64..=10_000, threshold in 0_i64..=10_000) {
            let electorate = yes + no + abstain + more;
            for base in [Base::YesNo, Base::Cast, Base::Electorate] {
                let rules = Rules { quorum: Share(quorum), threshold: Share(threshold), base };
                if cast(yes, no, abstain, electorate).verdict(&rules) == Verdict::Passed {
                    prop_assert_eq!(cast(yes + more, no, abstain, electorate).verdict(&rules), Verdict::Passed);
                }
            }
        }

        #[test]
        fn it_decides_as_fractions_do(yes in 0_i128..200, no in 0_i128..200, threshold in 0_i64..=10_000) {
            let rules = Rules { quorum: Share(0), threshold: Share(threshold), base: Base::YesNo };
            let passed = cast(yes, no, 0, 400).verdict(&rules) == Verdict::Passed;
            prop_assert_eq!(passed, yes > no && yes * 10_000 >= i128::from(threshold) * (yes + no));
        }
    }
}
