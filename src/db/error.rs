//! What the database refuses, said in the hub's own words. The one place that reads an SQLSTATE.

use std::time::Duration;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

use crate::base::error::{Error, Told};

/// Translate a driver's error; `state` is the SQLSTATE that the connection noted.
#[track_caller]
pub fn translate(error: DieselError, state: Option<String>) -> Error {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, told)
        | DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, told)
            if state.is_none() =>
        {
            tracing::warn!(event = "database_unreachable", cause = told.message());
            Error::busy("The database is not to be had at the moment.")
        }
        DieselError::DatabaseError(kind, told) => {
            let state = state.unwrap_or_else(|| state_of(&kind).to_owned());
            refused(&state, &*told)
        }
        DieselError::NotFound => Error::missing("missing", "There is no such row."),
        other => Error::broken(other),
    }
}

/// How often a transaction that collided with another is tried: once, and three times again.
pub const TRIES: usize = 4;

/// Whether trying the whole transaction again may help.
pub fn is_collision(error: &Error) -> bool {
    error.is("40001") || error.is("40P01")
}

/// Whether a driver could not connect at all.
pub fn is_no_connection(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<diesel::ConnectionError>()
}

fn state_of(kind: &DatabaseErrorKind) -> &'static str {
    match kind {
        DatabaseErrorKind::UniqueViolation => "23505",
        DatabaseErrorKind::ForeignKeyViolation => "23503",
        DatabaseErrorKind::NotNullViolation => "23502",
        DatabaseErrorKind::CheckViolation => "23514",
        DatabaseErrorKind::SerializationFailure => "40001",
        DatabaseErrorKind::ReadOnlyTransaction => "25006",
        _ => "XX000",
    }
}

#[track_caller]
fn refused(state: &str, from: &dyn DatabaseErrorInformation) -> Error {
    let mut told = Told::new(state.to_owned(), from.message());
    // A message of the server may repeat a row ("Failing row contains …"): only the details of links and keys,
    // which name what the caller himself sent, and what our own triggers say, are passed on.
    if matches!(state, "23503" | "23505" | "22P02" | "P0001")
        && let Some(details) = from.details()
    {
        told = told.details(details.to_owned());
    }
    if let Some(hint) = from.hint() {
        told = told.hint(hint);
    }
    let told = Box::new(told);
    match state {
        "23503" | "23505" | "23P01" => Error::Conflict(told),
        "42501" => Error::Forbidden(told),
        // Our own statement was wrong, or the schema has moved under it.
        "42P01" | "42883" | "42703" | "42P02" | "42601" => Error::Invalid(told),
        "40001" | "40P01" => Error::Busy(told, Duration::from_secs(1)),
        "25006" => Error::Busy(
            Box::new(Told::new("25006", "The database only reads at the moment.")),
            Duration::from_secs(30),
        ),
        "57014" => Error::Busy(
            Box::new(Told::new(
                "57014",
                "The statement took too long and was stopped.",
            )),
            Duration::from_secs(30),
        ),
        "53100" => Error::Busy(
            Box::new(Told::new("53100", "The hub's disk is full.").status(507)),
            Duration::from_secs(60),
        ),
        "55P03" => Error::Busy(told, Duration::from_secs(5)),
        _ if state.starts_with("08") || state.starts_with("53") || state.starts_with("57") => {
            tracing::warn!(
                event = "database_unreachable",
                state,
                cause = from.message()
            );
            Error::busy("The database is not to be had at the moment.")
        }
        _ if ["22", "23", "P0", "21", "0A", "54", "44", "42"]
            .iter()
            .any(|class| state.starts_with(class)) =>
        {
            Error::Invalid(told)
        }
        _ => Error::broken(anyhow::anyhow!("{state}: {}", from.message())),
    }
}
