//! The headers: `Prefer`, `Accept`, `Range`.

use super::{Headers, Path, Window, order};
use crate::base::Result;
use crate::kinds::refusal;

/// What the client would like (RFC 7240).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prefer {
    pub resolution: Option<Resolution>,
    pub returns: Option<Return>,
    pub count: Option<Count>,
    /// Try it, then undo it.
    pub rollback: Option<bool>,
    pub missing: Option<Missing>,
    pub handling: Option<Handling>,
    pub max_affected: Option<u64>,
}

/// What happens to rows whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Merge,
    Ignore,
}

/// What is answered to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    Representation,
    Minimal,
    HeadersOnly,
}

/// How the rows that a limit leaves out are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Exact,
    Planned,
    Estimated,
}

/// What a column that is asked for and not sent becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Default,
    Null,
}

/// What preferences that nobody knows lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    Strict,
    Lenient,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    #[default]
    Array,
    /// Null members left out.
    ArrayStripped,
    Object,
    ObjectStripped,
    Csv,
    JsonLd,
}

impl Shape {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Array => "application/json; charset=utf-8",
            Self::ArrayStripped => "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
            Self::Object => "application/vnd.pgrst.object+json; charset=utf-8",
            Self::ObjectStripped => {
                "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"
            }
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLd => "application/ld+json",
        }
    }

    /// Whether there must be exactly one row.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Object | Self::ObjectStripped)
    }
}

/// Read `Prefer`. Of several of a sort the first counts.
pub fn prefer(header: &str) -> Result<Prefer> {
    let mut prefer = Prefer::default();
    let mut unknown = Vec::new();
    for part in header.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        match part {
            "resolution=merge-duplicates" => first(&mut prefer.resolution, Resolution::Merge),
            "resolution=ignore-duplicates" => first(&mut prefer.resolution, Resolution::Ignore),
            "return=representation" => first(&mut prefer.returns, Return::Representation),
            "return=minimal" => first(&mut prefer.returns, Return::Minimal),
            "return=headers-only" => first(&mut prefer.returns, Return::HeadersOnly),
            "count=exact" => first(&mut prefer.count, Count::Exact),
            "count=planned" => first(&mut prefer.count, Count::Planned),
            "count=estimated" => first(&mut prefer.count, Count::Estimated),
            "tx=commit" => first(&mut prefer.rollback, false),
            "tx=rollback" => first(&mut prefer.rollback, true),
            "missing=default" => first(&mut prefer.missing, Missing::Default),
            "missing=null" => first(&mut prefer.missing, Missing::Null),
            "handling=strict" => first(&mut prefer.handling, Handling::Strict),
            "handling=lenient" => first(&mut prefer.handling, Handling::Lenient),
            other => match other
                .strip_prefix("max-affected=")
                .map(|number| number.parse())
            {
                Some(Ok(number)) => first(&mut prefer.max_affected, number),
                _ => unknown.push(other),
            },
        }
    }
    match prefer.handling {
        Some(Handling::Strict) if !unknown.is_empty() => {
            Err(refusal::invalid_preferences(&unknown))
        }
        _ => Ok(prefer),
    }
}

fn first<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

/// Choose among the forms of `Accept`: the highest quality that can be had, the first among equals.
pub fn accept(header: Option<&str>) -> Result<Shape> {
    let Some(header) = header.filter(|header| !header.trim().is_empty()) else {
        return Ok(Shape::Array);
    };
    let mut best: Option<(u32, Shape)> = None;
    for part in header.split(',') {
        let mut parameters = part.split(';').map(str::trim);
        let kind = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut stripped) = (1000, false);
        for parameter in parameters {
            match parameter.split_once('=') {
                Some(("q", q)) => {
                    let q = q.parse().unwrap_or(1.0_f32).clamp(0.0, 1.0);
                    quality = (q * 1000.0) as u32;
                }
                Some(("nulls", how)) => stripped = how == "stripped",
                _ => {}
            }
        }
        let shape = match kind.as_str() {
            "*/*" | "application/*" | "application/json" => Shape::Array,
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => match stripped {
                true => Shape::ArrayStripped,
                false => Shape::Array,
            },
            "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => {
                match stripped {
                    true => Shape::ObjectStripped,
                    false => Shape::Object,
                }
            }
            "text/csv" => Shape::Csv,
            "application/ld+json" => Shape::JsonLd,
            _ => continue,
        };
        if quality > 0 && best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, shape));
        }
    }
    match best {
        Some((_, shape)) => Ok(shape),
        None => Err(refusal::not_acceptable(header)),
    }
}

/// Narrow the window of the root by `Range`.
pub fn range(headers: Headers<'_>, windows: &mut Vec<(Path, Window)>) -> Result<()> {
    let Some(range) = headers.range else {
        return Ok(());
    };
    if headers
        .range_unit
        .is_some_and(|unit| unit.trim() != "items")
    {
        return Ok(());
    }
    // supabase-js sends "0-9", others "items=0-9". What is no range is no wish.
    let range = range.trim();
    let range = range.strip_prefix("items=").unwrap_or(range);
    let Some((from, to)) = range.split_once('-') else {
        return Ok(());
    };
    let Ok(from) = from.parse::<u64>() else {
        return Ok(());
    };
    let from = from.min(i64::MAX as u64);
    let size = match to {
        "" => None,
        to => match to.parse::<u64>() {
            Ok(to) if to < from => return Err(refusal::range_upside_down()),
            Ok(to) => Some((to - from).saturating_add(1)),
            Err(_) => return Ok(()),
        },
    };

    order::window(windows, Path::new(), |window| {
        let end = |offset: u64, limit: Option<u64>| limit.map(|l| offset.saturating_add(l));
        let ends = [end(window.offset, window.limit), end(from, size)];
        window.offset = window.offset.max(from);
        let last = ends.into_iter().flatten().min();
        window.limit = last.map(|last| last.saturating_sub(window.offset));
    });
    Ok(())
}
