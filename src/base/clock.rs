//! The only clock of the hub, so that a test can move it.

use chrono::{DateTime, Utc};

/// What time it is.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
