//! Words everyone uses: settings, errors, callers, the clock, secrets.
//! No sockets, no database here.

pub mod amount;
pub mod caller;
pub mod clock;
pub mod config;
pub mod door;
pub mod error;
pub mod hub;
pub mod keyring;
pub mod secret;
pub mod text;
pub mod token;

pub use amount::Amount;
pub use caller::Caller;
pub use error::{Error, Result};
pub use hub::Hub;
