//! Amounts of money, hours and things as exact numbers: fourteen digits before the point and four behind it, and never a
//! float (R23). On the wire they are text.

use std::fmt;
use std::str::FromStr;

/// Ten-thousandths of a unit.
const ONE: i64 = 10_000;

/// An amount without its unit. Below zero only as the outcome of a subtraction: nobody says such a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// It is not an amount: a sign, an exponent, a leading zero, too many digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: digits with up to four behind a point")]
pub struct NotAnAmount;

impl Amount {
    pub const ZERO: Self = Self(0);

    /// A whole number of units.
    pub const fn whole(units: i64) -> Self {
        Self(units.saturating_mul(ONE))
    }

    /// In ten-thousandths of a unit.
    pub const fn parts(self) -> i64 {
        self.0
    }

    /// From ten-thousandths of a unit.
    pub const fn from_parts(parts: i64) -> Self {
        Self(parts)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times; none if it is beyond what an amount can be.
    pub fn times(self, factor: i64) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }

    /// How many whole times the other goes into it, if nothing is left over.
    pub fn multiple_of(self, other: Self) -> Option<i64> {
        (other.0 > 0 && self.0 % other.0 == 0).then(|| self.0 / other.0)
    }

    /// Whether it has no more than so many digits behind the point.
    pub fn fits_scale(self, digits: u32) -> bool {
        digits >= 4 || self.0 % 10_i64.pow(4 - digits) == 0
    }

    /// With at least so many digits behind the point, as prices are written.
    pub fn to_scale(self, digits: usize) -> String {
        let text = self.to_string();
        let has = text.split_once('.').map_or(0, |(_, behind)| behind.len());
        let point = if has == 0 && digits > 0 { "." } else { "" };
        format!("{text}{point}{}", "0".repeat(digits.saturating_sub(has)))
    }
}

/// How many digits behind the point a unit has: as ISO 4217 says of currencies, two of hours, four of what a treasury holds.
pub fn scale(unit: &str) -> u32 {
    match unit {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" | "CREDIT" => 4,
        _ => 2,
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    /// `^(0|[1-9]\d{0,13})(\.\d{1,4})?$`
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, behind) = match text.split_once('.') {
            Some((whole, behind)) if !behind.is_empty() => (whole, behind),
            Some(_) => return Err(NotAnAmount),
            None => (text, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_fine = (1..=14).contains(&whole.len())
            && is_digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && behind.len() <= 4
            && is_digits(behind);
        if !is_fine {
            return Err(NotAnAmount);
        }
        let parts: i64 = format!("{behind:0<4}").parse().map_err(|_| NotAnAmount)?;
        let whole: i64 = whole.parse().map_err(|_| NotAnAmount)?;
        whole
            .checked_mul(ONE)
            .and_then(|whole| whole.checked_add(parts))
            .map(Self)
            .ok_or(NotAnAmount)
    }
}

impl fmt::Display for Amount {
    /// Without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, behind) = (
            self.0.unsigned_abs() / ONE as u64,
            self.0.unsigned_abs() % ONE as u64,
        );
        if behind == 0 {
            return write!(f, "{sign}{whole}");
        }
        let behind = format!("{behind:04}");
        write!(f, "{sign}{whole}.{}", behind.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_an_amount() {
        for (text, parts) in [
            ("0", 0),
            ("1", 10_000),
            ("30.00", 300_000),
            ("0.0001", 1),
            ("99999999999999.9999", 999_999_999_999_999_999),
        ] {
            assert_eq!(text.parse(), Ok(Amount(parts)), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "-1",
            "+1",
            "01",
            "1.",
            ".5",
            "1e3",
            "1.00000",
            "1,5",
            " 1",
            "1 ",
            "NaN",
            "１",
            "100000000000000",
            "0x1",
            "--",
            "1.2.3",
        ] {
            assert_eq!(text.parse::<Amount>(), Err(NotAnAmount), "{text}");
        }
    }

    #[test]
    fn prices_have_their_digits() {
        let price: Amount = "30.5".parse().unwrap();
        assert_eq!(price.to_scale(2), "30.50");
        assert_eq!(Amount::whole(30).to_scale(2), "30.00");
        assert_eq!(Amount::whole(30).to_scale(0), "30");
        assert!(price.fits_scale(scale("EUR")) && !price.fits_scale(scale("JPY")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in 0_i64..=999_999_999_999_999_999) {
            prop_assert_eq!(Amount(parts).to_string().parse(), Ok(Amount(parts)));
        }

        #[test]
        fn numbers_are_compared_and_not_texts(a in 0_i64..1_000_000, b in 0_i64..1_000_000) {
            let (x, y) = (Amount(a), Amount(b));
            prop_assert_eq!(x.to_scale(4).parse::<Amount>().unwrap() < y.to_string().parse().unwrap(), a < b);
        }
    }
}
