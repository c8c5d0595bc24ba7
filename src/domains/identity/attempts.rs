//! Tries are counted. Wrong passwords and codes per account and network, and per network: after a few, the next one has
//! to wait; in memory of this process. Letters, and wrong passwords on one account from everywhere, in the database, so
//! that all processes count together. The owner of an account is not locked out by somebody elsewhere (S-115).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Integer};

use super::refusal;
use crate::base::config::Rate;
use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::db::{Bind, Statement, Tx};
use crate::node::Node;

/// Wrong tries on one account from one network that cost nothing.
const FREE: u32 = 5;

/// Wrong tries from one network on whatever accounts that cost nothing.
const FREE_OF_A_NETWORK: u32 = 50;

/// The longest wait, and after which rest everything is forgotten.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How many accounts and networks are remembered.
const REMEMBERED: usize = 20_000;

/// Wrong passwords on one account from everywhere in an hour, before a password alone does not do any more.
const WRONG_FROM_EVERYWHERE: Limit = (50, 60 * 60);

/// How often, in how many seconds.
type Limit = (i32, i64);

static WRONG: LazyLock<Mutex<Counts>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Counts(HashMap<Key, Count>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    email: Option<String>,
    network: Option<IpAddr>,
}

struct Count {
    wrong: u32,
    last: Instant,
}

/// Whether there may be another try now. It counts as wrong until it was right, so that many at once are many.
pub fn may_try(email: &str, from: Option<IpAddr>) -> Result<()> {
    let mut counts = WRONG.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if let Some(wait) = counts.wait(email, from, now) {
        return Err(Error::TooMuch(
            Box::new(Told::new(
                "over_request_rate_limit",
                "Too many wrong tries; wait a little.",
            )),
            wait,
        ));
    }
    counts.add(email, from, now);
    Ok(())
}

/// The try was right: the account's owner starts afresh from there.
pub fn was_right(email: &str, from: Option<IpAddr>) {
    let mut counts = WRONG.lock().unwrap_or_else(PoisonError::into_inner);
    counts.0.remove(&of_account(email, from));
    if let Some(count) = counts.0.get_mut(&of_network(from)) {
        count.wrong = count.wrong.saturating_sub(1);
    }
}

/// Whether somebody may have a letter written now; counted with the transaction.
pub(super) async fn may_mail(
    tx: &mut Tx,
    node: &Node,
    email: &str,
    from: Option<IpAddr>,
) -> Result<()> {
    if !node.config.limits {
        return Ok(());
    }
    // The door counts by the same rates in its own memory; here all processes count together.
    let limit = |rate: Rate| {
        let most = i32::try_from(rate.count).unwrap_or(i32::MAX);
        (most, i64::from(rate.seconds))
    };
    let network = from.map(|from| network(from).to_string());
    let by_network = network.map(|network| ("letters from", network, node.config.limit_sign_in));
    let by_address = ("letters to", email.to_owned(), node.config.limit_mail);
    for (what, who, rate) in by_network.into_iter().chain([by_address]) {
        let key = node.signer()?.mark(what, &who);
        if let Some(wait) = count(tx, key, limit(rate)).await? {
            return Err(Error::TooMuch(
                Box::new(Told::new(
                    "over_email_send_rate_limit",
                    "email rate limit exceeded",
                )),
                wait,
            ));
        }
    }
    Ok(())
}

/// Whether a password alone will do for this account at the moment. Asked for addresses without an account, too.
pub(super) async fn password_will_do(tx: &mut Tx, node: &Node, email: &str) -> Result<()> {
    if !node.config.limits {
        return Ok(());
    }
    let (most, seconds) = WRONG_FROM_EVERYWHERE;
    let mut select = Statement::<Integer>::new("select count from hub.tries where key = ");
    select
        .bind(Bind::Bytes(wrong_key(node, email)?))
        .sql(" and since > now() - make_interval(secs => ")
        .bind(Bind::Int(seconds))
        .sql(")");
    let counts: Vec<i32> = tx.load(select).await?;
    if counts.first().is_some_and(|count| *count >= most) {
        return Err(refusal(
            403,
            "email_code_required",
            "Too many wrong passwords were tried for this account: sign in with a code or a link by e-mail this time.",
        ));
    }
    Ok(())
}

/// A wrong password for this account, whether there is one or not.
pub(super) async fn was_wrong(tx: &mut Tx, node: &Node, email: &str) -> Result<()> {
    if !node.config.limits {
        return Ok(());
    }
    let key = wrong_key(node, email)?;
    count(tx, key, WRONG_FROM_EVERYWHERE).await.map(|_| ())
}

/// The owner proved himself by mail: a password will do again.
pub(super) async fn forget_wrong(tx: &mut Tx, node: &Node, email: &str) -> Result<()> {
    let mut delete = Statement::new("delete from hub.tries where key = ");
    delete.bind(Bind::Bytes(wrong_key(node, email)?));
    tx.run(delete).await.map(|_| ())
}

fn wrong_key(node: &Node, email: &str) -> Result<Vec<u8>> {
    Ok(node.signer()?.mark("wrong passwords for", email))
}

/// Count one more; how long to wait when it is one too many. By the clock of the database, which all processes share.
async fn count(tx: &mut Tx, key: Vec<u8>, (most, seconds): Limit) -> Result<Option<Duration>> {
    let mut upsert = Statement::<(Integer, BigInt)>::new(
        "insert into hub.tries as t (key, since, count) values (",
    );
    upsert.bind(Bind::Bytes(key)).sql(
        ", now(), 1) on conflict (key) do update set \
         count = case when t.since > now() - make_interval(secs => ",
    );
    upsert
        .bind(Bind::Int(seconds))
        .sql(
            ") then least(t.count + 1, 1000000) else 1 end, \
             since = case when t.since > now() - make_interval(secs => ",
        )
        .bind(Bind::Int(seconds))
        .sql(
            ") then t.since else now() end \
             returning count, ceil(extract(epoch from since - now()))::bigint + ",
        )
        .bind(Bind::Int(seconds));
    let rows: Vec<(i32, i64)> = tx.load(upsert).await?;
    Ok(rows
        .first()
        .filter(|(count, _)| *count > most)
        .map(|(_, wait)| Duration::from_secs(u64::try_from(*wait).unwrap_or(0).max(1))))
}

impl Counts {
    fn wait(&self, email: &str, from: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let account = self.left(&of_account(email, from), FREE, now);
        let network = from.and_then(|_| self.left(&of_network(from), FREE_OF_A_NETWORK, now));
        account.max(network)
    }

    fn left(&self, key: &Key, free: u32, now: Instant) -> Option<Duration> {
        let count = self.0.get(key)?;
        let over = count.wrong.checked_sub(free)?;
        let wait = Duration::from_secs(1 << over.min(10)).min(LONGEST);
        (count.last + wait)
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    fn add(&mut self, email: &str, from: Option<IpAddr>, now: Instant) {
        if self.0.len() >= REMEMBERED {
            self.0
                .retain(|_, count| now.duration_since(count.last) < LONGEST);
        }
        if self.0.len() >= REMEMBERED {
            // Somebody tries one account after another: better to forget them all than to grow.
            self.0.retain(|key, _| key.email.is_none());
        }
        let network = from.map(|_| of_network(from));
        for key in [Some(of_account(email, from)), network]
            .into_iter()
            .flatten()
        {
            let count = self.0.entry(key).or_insert(Count {
                wrong: 0,
                last: now,
            });
            if now.duration_since(count.last) >= LONGEST {
                count.wrong = 0;
            }
            count.wrong = count.wrong.saturating_add(1);
            count.last = now;
        }
    }
}

fn of_account(email: &str, from: Option<IpAddr>) -> Key {
    Key {
        email: Some(email.to_owned()),
        network: from.map(network),
    }
}

fn of_network(from: Option<IpAddr>) -> Key {
    Key {
        email: None,
        network: from.map(network),
    }
}

/// One household or office: /24 or /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn waits_grow_and_end() {
        let mut counts = Counts::default();
        let start = Instant::now();
        for _ in 0..4 {
            counts.add("a@b.example", ip("192.0.2.1"), start);
        }
        assert_eq!(counts.wait("a@b.example", ip("192.0.2.1"), start), None);
        counts.add("a@b.example", ip("192.0.2.1"), start);
        let second = Duration::from_secs(1);
        assert_eq!(
            counts.wait("a@b.example", ip("192.0.2.77"), start),
            Some(second)
        );
        counts.add("a@b.example", ip("192.0.2.1"), start);
        assert_eq!(
            counts.wait("a@b.example", ip("192.0.2.1"), start),
            Some(second * 2)
        );
        assert_eq!(
            counts.wait("a@b.example", ip("192.0.2.1"), start + second * 2),
            None
        );
        for _ in 0..100 {
            counts.add("a@b.example", ip("192.0.2.1"), start);
        }
        assert_eq!(
            counts.wait("a@b.example", ip("192.0.2.1"), start),
            Some(LONGEST)
        );
        // The owner elsewhere is not kept waiting, but everybody from there is.
        assert_eq!(counts.wait("a@b.example", ip("198.51.100.1"), start), None);
        assert!(counts.wait("c@d.example", ip("192.0.2.9"), start).is_some());
        counts.add("a@b.example", ip("192.0.2.1"), start + LONGEST);
        assert_eq!(
            counts.wait("a@b.example", ip("192.0.2.1"), start + LONGEST),
            None
        );
    }

    #[test]
    fn networks_are_prefixes() {
        assert_eq!(ip("192.0.2.1").map(network), ip("192.0.2.0"));
        assert_eq!(ip("::ffff:192.0.2.1").map(network), ip("192.0.2.0"));
        assert_eq!(
            ip("2001:db8:1:2:3:4:5:6").map(network),
            ip("2001:db8:1:2::")
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut counts = Counts::default();
        let now = Instant::now();
        for number in 0..REMEMBERED + 10 {
            counts.add(&format!("{number}@b.example"), None, now);
        }
        assert!(counts.0.len() <= REMEMBERED);
    }
}
