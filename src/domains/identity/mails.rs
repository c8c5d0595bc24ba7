//! Letters about accounts. Whoever asks for one is told nothing: the door only enqueues what was asked and for which
//! address, and the job looks whether there is such an account (S-100). The secret of a link exists only in its letter.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::accounts::{self, Account};
use super::links::{self, Given, Purpose};
use super::sessions::{self, Origin};
use super::{attempts, changes, letters, redirects, refusal};
use crate::base::config::Signup;
use crate::base::{Caller, Result};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::net::mail::Letter;
use crate::node::Node;

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The address of somebody who signed up.
    Signup,
    /// An account that the operator made for somebody.
    Invite,
    /// Signing in without a password; makes the account where that is wanted and allowed.
    MagicLink,
    /// A forgotten password.
    Recovery,
    /// A new address, asked of both.
    EmailChange,
    /// Six digits for whoever is signed in.
    Reauthentication,
}

/// Write to an address, if there is reason to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendMail {
    pub about: About,
    pub email: String,
    /// Where the link leads back to; one of the allowed addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// What a new account tells of itself, where one is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_account: Option<Map<String, Value>>,
}

impl SendMail {
    /// About this, to this address.
    pub fn about(about: About, email: &str) -> Self {
        Self {
            about,
            email: email.to_owned(),
            redirect_to: None,
            code_challenge: None,
            new_account: None,
        }
    }
}

impl Job for SendMail {
    const KEY: &'static str = "identity.send_mail";
    const LANE: Lane = Lane::Realtime;
    const LONGEST: Duration = Duration::from_secs(60);

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let letters = node
            .db
            .write(&Caller::Hub, async |tx| self.letters(tx, node).await)
            .await?;
        for letter in &letters {
            node.net.mail.send(letter).await?;
        }
        Ok(())
    }
}

/// Ask for a letter. The answer is the same whoever has an account.
pub async fn ask(node: &Node, mail: SendMail, from: &Origin) -> Result<()> {
    let mail = SendMail {
        email: accounts::address(&mail.email)?,
        new_account: mail.new_account.map(described).transpose()?,
        ..mail
    };
    node.db
        .write(&Caller::Hub, async |tx| {
            attempts::may_mail(tx, node, &mail.email, from.address).await?;
            enqueue(tx, &mail).await
        })
        .await
}

/// Ask for six digits that prove again whom a session belongs to.
pub async fn reauthenticate(node: &Node, session: uuid::Uuid, from: &Origin) -> Result<()> {
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = sessions::holder(tx, session).await?;
            attempts::may_mail(tx, node, &account.email, from.address).await?;
            enqueue(
                tx,
                &SendMail::about(About::Reauthentication, &account.email),
            )
            .await
        })
        .await
}

/// Make an account for somebody and write to him. For the operator, who may know whether there is one already.
pub async fn invite(node: &Node, mail: SendMail, data: Map<String, Value>) -> Result<Account> {
    let email = accounts::address(&mail.email)?;
    let data = accounts::described(data)?;
    node.db
        .write(&Caller::Hub, async |tx| {
            let account = match accounts::by_email(tx, &email).await? {
                Some(known) if known.email_confirmed_at.is_some() => None,
                Some(known) => Some(known),
                None => accounts::admit(tx, &email, data.clone(), true).await?,
            };
            let account = account.ok_or_else(changes::taken_address)?;
            let mail = SendMail {
                about: About::Invite,
                email: email.clone(),
                ..mail.clone()
            };
            enqueue(tx, &mail).await?;
            note_sent(tx, account.id, Purpose::Invite).await?;
            accounts::by_id(tx, account.id)
                .await?
                .ok_or_else(|| refusal(404, "user_not_found", "User not found"))
        })
        .await
}

pub(super) async fn enqueue(tx: &mut Tx, mail: &SendMail) -> Result<()> {
    jobs::enqueue(tx, mail, Order::default()).await.map(|_| ())
}

/// What a new account may tell of itself in the queue: an invitation is a secret and stays out.
fn described(mut data: Map<String, Value>) -> Result<Map<String, Value>> {
    data.shift_remove("invitation");
    match accounts::described(data)? {
        Value::Object(data) => Ok(data),
        _ => Ok(Map::new()),
    }
}

impl SendMail {
    /// The letters there is reason to write, their links made.
    async fn letters(&self, tx: &mut Tx, node: &Node) -> Result<Vec<Letter>> {
        let account = match accounts::by_email(tx, &self.email).await? {
            Some(account) => account,
            None => match self.newcomer(tx, node).await? {
                Some(account) => account,
                None => return Ok(Vec::new()),
            },
        };
        if account.is_banned {
            return Ok(Vec::new());
        }
        let is_proven = account.email_confirmed_at.is_some();
        let own = account.email.clone();
        let wanted = match (self.about, is_proven) {
            (About::Signup | About::MagicLink, false) => vec![(Purpose::Signup, own)],
            (About::MagicLink, true) => vec![(Purpose::MagicLink, own)],
            (About::Invite, false) => vec![(Purpose::Invite, own)],
            (About::Signup | About::Invite, true) => Vec::new(),
            (About::Recovery, _) => vec![(Purpose::Recovery, own)],
            (About::Reauthentication, _) => vec![(Purpose::Reauthentication, own)],
            (About::EmailChange, _) => self.both_addresses(tx, &account).await?,
        };

        let mut letters = Vec::new();
        for (purpose, to) in wanted {
            let challenge = self.code_challenge.as_deref();
            let given =
                links::give(tx, node.signer()?, purpose, account.id, &to, challenge).await?;
            note_sent(tx, account.id, purpose).await?;
            letters.push(self.letter(node, purpose, &account, to, &given)?);
        }
        Ok(letters)
    }

    /// The account of somebody who signs in for the first time by asking for a link.
    async fn newcomer(&self, tx: &mut Tx, node: &Node) -> Result<Option<Account>> {
        let Some(data) = self.new_account.clone() else {
            return Ok(None);
        };
        let is_approved = match node.config.signup {
            Signup::Open => true,
            Signup::Approval => false,
            Signup::Closed | Signup::Invite => return Ok(None),
        };
        accounts::admit(tx, &self.email, Value::Object(data), is_approved).await
    }

    /// The present and the new address. An address that is somebody's already is not written to.
    async fn both_addresses(
        &self,
        tx: &mut Tx,
        account: &Account,
    ) -> Result<Vec<(Purpose, String)>> {
        let Some(new) = account.new_email.clone().filter(|new| !new.is_empty()) else {
            return Ok(Vec::new());
        };
        // Written again: what one of them agreed to before does not count.
        links::take_back(tx, account.id, changes::CHANGE_OF_ADDRESS).await?;
        let mut update =
            Statement::new("update public.users set email_change_confirm_status = 0 where id = ");
        update.bind(Bind::Uuid(account.id));
        tx.run(update).await?;
        let mut both = vec![(Purpose::EmailChangeCurrent, account.email.clone())];
        if accounts::by_email(tx, &new).await?.is_none() {
            both.push((Purpose::EmailChangeNew, new));
        }
        Ok(both)
    }

    fn letter(
        &self,
        node: &Node,
        purpose: Purpose,
        account: &Account,
        to: String,
        given: &Given,
    ) -> Result<Letter> {
        let own = redirects::own(node)?;
        let back = redirects::allowed(node, self.redirect_to.as_deref())?;
        let kind = match purpose {
            Purpose::Invite => "invite",
            Purpose::MagicLink => "magiclink",
            Purpose::Recovery => "recovery",
            Purpose::EmailChangeNew | Purpose::EmailChangeCurrent => "email_change",
            _ => "signup",
        };
        let link = link(node, kind, &given.token, &back)?;
        let (subject, text) = letters::write(
            purpose,
            &letters::Words {
                hub: own.host_str().unwrap_or("localhost"),
                name: account
                    .user_metadata
                    .get("full_name")
                    .and_then(Value::as_str),
                email: &account.email,
                new_email: account.new_email.as_deref().unwrap_or_default(),
                link: link.as_str(),
                code: &given.code,
            },
        );
        Ok(Letter { to, subject, text })
    }
}

/// The address that whoever was given a secret opens.
pub(super) fn link(node: &Node, kind: &str, token: &str, back: &Url) -> Result<Url> {
    let own = redirects::own(node)?;
    let mut link = own.clone();
    link.set_path(&format!(
        "{}/auth/v1/verify",
        own.path().trim_end_matches('/')
    ));
    link.query_pairs_mut()
        .append_pair("token", token)
        .append_pair("type", kind)
        .append_pair("redirect_to", back.as_str());
    Ok(link)
}

/// Note when the last letter of a kind was written.
async fn note_sent(tx: &mut Tx, user: uuid::Uuid, purpose: Purpose) -> Result<()> {
    let column = match purpose {
        Purpose::Signup => "confirmation_sent_at",
        Purpose::Invite => "invited_at",
        Purpose::MagicLink | Purpose::Recovery => "recovery_sent_at",
        Purpose::EmailChangeNew | Purpose::EmailChangeCurrent => "email_change_sent_at",
        Purpose::Reauthentication => "reauthentication_sent_at",
        Purpose::FirstAccount | Purpose::Invitation => return Ok(()),
    };
    let mut update = Statement::new("update public.users set ");
    update.name(column).sql(" = now() where id = ");
    update.bind(Bind::Uuid(user));
    tx.run(update).await.map(|_| ())
}
