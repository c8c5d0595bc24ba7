//! One error for the whole hub. Its variants say what the receiver can do about it, not where it arose.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use serde_json::Value;

/// What every fallible function of the request path returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a door may tell a stranger: a stable code, a sentence, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Stable and greppable; on the table door an SQLSTATE or `PGRST…`.
    pub code: Cow<'static, str>,
    /// One sentence a person can read.
    pub message: String,
    /// What exactly was wrong.
    pub details: Option<Value>,
    /// What to try instead.
    pub hint: Option<String>,
    /// The HTTP status, where the door's dialect wants another one than the variant's.
    pub status: Option<u16>,
}

/// An error, by remedy.
#[derive(Debug)]
pub enum Error {
    /// Fix your input.
    Invalid(Box<Told>),
    /// Say who you are.
    SignIn(Box<Told>),
    /// You are not (yet) allowed.
    Forbidden(Box<Told>),
    /// Not there, for you.
    Missing(Box<Told>),
    /// The state has moved.
    Conflict(Box<Told>),
    /// Someone was faster: read again, then try again.
    Stale(Box<Told>),
    /// Slow down, or send less.
    TooMuch(Box<Told>, Duration),
    /// We can't just now.
    Busy(Box<Told>, Duration),
    /// Our fault; the cause is for the log only.
    Broken(anyhow::Error, &'static Location<'static>),
}

impl Told {
    /// A code and a sentence.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            details: None,
            hint: None,
            status: None,
        }
    }

    /// Add what exactly was wrong.
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// Add what to try instead.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Fix the HTTP status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

impl Error {
    /// The caller's input is wrong.
    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Told::new(code, message)))
    }

    /// The caller must sign in (again).
    pub fn sign_in(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::SignIn(Box::new(Told::new(code, message)))
    }

    /// The caller may not do this.
    pub fn forbidden(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Forbidden(Box::new(Told::new(code, message)))
    }

    /// There is no such thing, for this caller.
    pub fn missing(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Missing(Box::new(Told::new(code, message)))
    }

    /// The state does not allow it (any more).
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Conflict(Box::new(Told::new(code, message)))
    }

    /// The database or a pool is not to be had at the moment.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::Busy(Box::new(Told::new("busy", message)), Duration::from_secs(5))
    }

    /// Our own fault.
    #[track_caller]
    pub fn broken(cause: impl Into<anyhow::Error>) -> Self {
        Self::Broken(cause.into(), Location::caller())
    }

    /// What may be told; nothing for our own faults.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Self::Invalid(told)
            | Self::SignIn(told)
            | Self::Forbidden(told)
            | Self::Missing(told)
            | Self::Conflict(told)
            | Self::Stale(told)
            | Self::TooMuch(told, _)
            | Self::Busy(told, _) => Some(told),
            Self::Broken(..) => None,
        }
    }

    /// The HTTP status of the variant, or the one its dialect fixed.
    pub fn status(&self) -> u16 {
        if let Some(status) = self.told().and_then(|told| told.status) {
            return status;
        }
        match self {
            Self::Invalid(_) => 422,
            Self::SignIn(_) => 401,
            Self::Forbidden(_) => 403,
            Self::Missing(_) => 404,
            Self::Conflict(_) => 409,
            Self::Stale(_) => 412,
            Self::TooMuch(..) => 429,
            Self::Busy(..) => 503,
            Self::Broken(..) => 500,
        }
    }

    /// Whether it carries this code.
    pub fn is(&self, code: &str) -> bool {
        self.told().is_some_and(|told| told.code == code)
    }

    /// The only thing that decides about trying again later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Busy(..) | Self::Broken(..))
    }

    /// How long to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMuch(_, wait) | Self::Busy(_, wait) => Some(*wait),
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(cause, at) => write!(f, "{cause:#} (at {at})"),
            other => match other.told() {
                Some(told) => write!(f, "{} ({})", told.message, told.code),
                None => f.write_str("an error"),
            },
        }
    }
}

impl std::error::Error for Error {}
