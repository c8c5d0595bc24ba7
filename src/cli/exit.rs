//! How a command ends: 0 done, 1 failed, 2 used wrongly, 3 nothing to do, 4 not reachable, 5 refused by policy.
//! The one place that decides which error is which, and how an error is said.

use std::io::ErrorKind;
use std::process::ExitCode;

use serde_json::json;

use super::note;
use crate::base::Error;
use crate::db::error::is_no_connection;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NothingToDo = 3,
    NotReachable = 4,
    Refused = 5,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NothingToDo => "nothing_to_do",
            Self::NotReachable => "not_reachable",
            Self::Refused => "refused",
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending as u8)
    }
}

/// An end that a command has named itself, with what there is to say.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct Ended {
    ending: Ending,
    said: String,
}

/// There was nothing to do.
pub fn nothing_to_do(said: impl Into<String>) -> anyhow::Error {
    ended(Ending::NothingToDo, said)
}

/// What was asked for cannot be meant.
pub fn usage(said: impl Into<String>) -> anyhow::Error {
    ended(Ending::Usage, said)
}

/// A rule of the hub or of its database forbids it.
pub fn refused(said: impl Into<String>) -> anyhow::Error {
    ended(Ending::Refused, said)
}

/// Who was asked does not answer.
pub fn not_reachable(said: impl Into<String>) -> anyhow::Error {
    ended(Ending::NotReachable, said)
}

fn ended(ending: Ending, said: impl Into<String>) -> anyhow::Error {
    let said = said.into();
    Ended { ending, said }.into()
}

/// Which end an error is.
pub fn ending(error: &anyhow::Error) -> Ending {
    error
        .chain()
        .find_map(|cause| {
            if let Some(ended) = cause.downcast_ref::<Ended>() {
                Some(ended.ending)
            } else if let Some(error) = cause.downcast_ref::<Error>() {
                of_the_hub(error)
            } else if let Some(error) = cause.downcast_ref::<tokio_postgres::Error>() {
                Some(of_the_database(error))
            } else if let Some(error) = cause.downcast_ref::<std::io::Error>() {
                of_the_system(error)
            } else if is_no_connection(cause) || cause.is::<tokio::time::error::Elapsed>() {
                Some(Ending::NotReachable)
            } else {
                None
            }
        })
        .unwrap_or(Ending::Failed)
}

fn of_the_hub(error: &Error) -> Option<Ending> {
    match error {
        Error::Invalid(_) => Some(Ending::Usage),
        Error::SignIn(_) | Error::Forbidden(_) => Some(Ending::Refused),
        Error::Missing(_) | Error::Conflict(_) | Error::Stale(_) | Error::TooMuch(..) => {
            Some(Ending::Failed)
        }
        Error::Busy(..) => Some(Ending::NotReachable),
        Error::Broken(..) => None,
    }
}

fn of_the_database(error: &tokio_postgres::Error) -> Ending {
    match error.code().map(|state| state.code().to_owned()) {
        // It is there and does not let us in, or not do this.
        Some(state) if state.starts_with("28") || state == "42501" => Ending::Refused,
        Some(state)
            if ["08", "53", "57"]
                .iter()
                .any(|class| state.starts_with(class)) =>
        {
            Ending::NotReachable
        }
        Some(_) => Ending::Failed,
        None => Ending::NotReachable,
    }
}

fn of_the_system(error: &std::io::Error) -> Option<Ending> {
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::TimedOut => Some(Ending::NotReachable),
        ErrorKind::PermissionDenied => Some(Ending::Failed),
        _ => None,
    }
}

/// Say an error, as JSON where the command was asked for JSON.
pub fn tell(error: &anyhow::Error, as_json: bool) -> Ending {
    let ending = ending(error);
    if as_json {
        let told = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Error>()?.told());
        let code = told.map_or(ending.name(), |told| &*told.code);
        let said = json!({ "error": {
            "code": code, "message": format!("{error:#}"), "exit": ending as u8,
            "hint": told.and_then(|told| told.hint.as_deref()),
        }});
        super::always_note(&said.to_string());
    } else if ending == Ending::NothingToDo {
        note(&format!("made-open: {error:#}"));
    } else {
        super::always_note(&format!("made-open: {error:#}"));
    }
    ending
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let io = |kind: ErrorKind| anyhow::Error::from(std::io::Error::from(kind));
        for (error, expected) in [
            (anyhow::anyhow!("?"), Ending::Failed),
            (usage("?"), Ending::Usage),
            (nothing_to_do("?"), Ending::NothingToDo),
            (Error::invalid("a", "b").into(), Ending::Usage),
            (Error::forbidden("a", "b").into(), Ending::Refused),
            (Error::missing("a", "b").into(), Ending::Failed),
            (Error::busy("b").into(), Ending::NotReachable),
            (Error::broken(anyhow::anyhow!("?")).into(), Ending::Failed),
            (io(ErrorKind::ConnectionRefused), Ending::NotReachable),
            (io(ErrorKind::NotFound), Ending::Failed),
        ] {
            assert_eq!(ending(&error), expected, "{error:?}");
            // What stands around it changes nothing.
            let around = Err::<(), _>(error).context("while trying").unwrap_err();
            assert_eq!(ending(&around), expected);
        }
    }
}
