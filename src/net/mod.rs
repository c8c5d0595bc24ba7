//! The only way out of the process. Who sends what and why is decided elsewhere.

pub mod http;
pub mod mail;
pub mod reach;

use crate::base::config::Config;

/// Everything that leaves the process, as one bundle.
pub struct Net {
    pub mail: mail::Mail,
    pub peers: http::Peers,
}

impl Net {
    /// As the settings say; nothing is connected yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            mail: mail::Mail::new(config)?,
            peers: http::Peers::new(config)?,
        })
    }
}
