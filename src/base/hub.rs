//! What every transaction knows of the hub it belongs to, whichever process holds it. Filled while the hub starts.

use std::sync::{Arc, OnceLock};

use url::Url;

use super::amount::Amount;
use super::config::Rate;
use super::keyring::Keyring;
use super::{Error, Result};

/// The hub a transaction belongs to.
#[derive(Debug, Default)]
pub struct Hub {
    public_url: OnceLock<Url>,
    keyring: OnceLock<Arc<Keyring>>,
    handle_domain: OnceLock<String>,
    actor_limits: OnceLock<ActorLimits>,
    credit_limits: OnceLock<CreditLimits>,
}

/// How often one actor, of this hub or another, may do what bothers others (R17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActorLimits {
    pub follows: Rate,
    pub reports: Rate,
    pub offers: Rate,
    pub votes: Rate,
}

/// How far below zero an account of hours may go where no DAO says otherwise, and how many hours another hub may owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditLimits {
    pub account: Amount,
    pub peer: Amount,
}

impl Hub {
    /// The address that links are formed from, once it is known.
    pub fn public_url(&self) -> Option<&Url> {
        self.public_url.get()
    }

    /// The same for whoever can do nothing without it.
    pub fn address(&self) -> Result<&Url> {
        let unknown = || Error::busy("The hub does not know its own address yet.");
        self.public_url().ok_or_else(unknown)
    }

    /// What all addresses of this hub begin with: its own without a slash at the end.
    pub fn base(&self) -> Result<String> {
        Ok(self.address()?.as_str().trim_end_matches('/').to_owned())
    }

    /// Say the address; the first word counts.
    pub fn set_public_url(&self, url: Url) {
        self.public_url.get_or_init(|| url);
    }

    /// The domain of the hub's handles, where it is another than its address's.
    pub fn handle_domain(&self) -> Option<&str> {
        self.handle_domain.get().map(String::as_str)
    }

    /// Say the domain of handles; the first word counts.
    pub fn set_handle_domain(&self, domain: String) {
        self.handle_domain.get_or_init(|| domain);
    }

    /// How often an actor may follow and report; none where nobody is limited.
    pub fn actor_limits(&self) -> Option<ActorLimits> {
        self.actor_limits.get().copied()
    }

    /// Say the limits; the first word counts.
    pub fn set_actor_limits(&self, limits: ActorLimits) {
        self.actor_limits.get_or_init(|| limits);
    }

    /// How far accounts may be overdrawn; not at all before anybody says so.
    pub fn credit_limits(&self) -> CreditLimits {
        let none = CreditLimits {
            account: Amount::ZERO,
            peer: Amount::ZERO,
        };
        self.credit_limits.get().copied().unwrap_or(none)
    }

    /// Say how far; the first word counts.
    pub fn set_credit_limits(&self, limits: CreditLimits) {
        self.credit_limits.get_or_init(|| limits);
    }

    /// What seals and opens secrets; without one the vault is shut and everything else serves.
    pub fn keyring(&self) -> Option<&Arc<Keyring>> {
        self.keyring.get()
    }

    /// Hand over the keys; the first ones count.
    pub fn set_keyring(&self, keyring: Arc<Keyring>) {
        self.keyring.get_or_init(|| keyring);
    }
}
