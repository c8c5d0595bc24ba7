//! Which user the server runs as: ourselves, or, since PostgreSQL refuses root, somebody with fewer rights.
//!
//! Reads /etc/passwd itself; accounts that only a directory service knows are not found.

use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::process::{getegid, geteuid};

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
}

impl Account {
    /// The account to run the server under, given where its cluster is or will be.
    ///
    /// # Errors
    /// When the cluster belongs to somebody we cannot become, or root finds no other account.
    pub fn for_server(cluster: &Path) -> anyhow::Result<Account> {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let us = geteuid().as_raw();
        let owner = cluster.metadata().ok();

        if us != 0 {
            if let Some(owner) = owner.filter(|owner| owner.uid() != us) {
                let whose = named(&users, owner.uid());
                bail!(
                    "{} belongs to {whose}: run as that user, or as root if root made it",
                    cluster.display()
                );
            }
            return Ok(Account {
                uid: us,
                gid: getegid().as_raw(),
                name: named(&users, us),
            });
        }
        // Stay with whom the files belong to, even if a `postgres` account appeared since.
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Account {
                uid: owner.uid(),
                gid: owner.gid(),
                name: named(&users, owner.uid()),
            });
        }
        let found = ["postgres", "nobody"]
            .iter()
            .find_map(|name| with_name(&users, name));
        found.context(
            "PostgreSQL doesn't run as root and there is no user `postgres` or `nobody` to run it as: \
             start the hub as an ordinary user",
        )
    }

    /// Gives a file or directory to the account; only root can and needs to.
    pub fn own(&self, path: &Path) -> anyhow::Result<()> {
        if is_root() {
            lchown(path, Some(self.uid), Some(self.gid))
                .with_context(|| format!("cannot give {} to {}", path.display(), self.name))?;
        }
        Ok(())
    }
}

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

fn with_name(users: &str, wanted: &str) -> Option<Account> {
    users
        .lines()
        .filter_map(parse)
        .find(|account| account.name == wanted && account.uid != 0)
}

fn named(users: &str, uid: u32) -> String {
    let found = users.lines().filter_map(parse).find(|user| user.uid == uid);
    found.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// `name:password:uid:gid:comment:home:shell`
fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\n+nis\nnobody:x:65534:65533:n:/:/none\n";

    #[test]
    fn finds_users_by_name_and_number() {
        let nobody = with_name(USERS, "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
        assert_eq!(with_name(USERS, "root"), None);
        assert_eq!(named(USERS, 0), "root");
        assert_eq!(named(USERS, 7), "uid 7");
    }
}
