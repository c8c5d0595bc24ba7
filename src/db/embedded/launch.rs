//! How PostgreSQL's programs are started: through this executable, called again with a hidden first argument.
//!
//! Between fork and exec only unsafe code could drop the rights and tie the child's life to ours. A fresh process that
//! does both and then becomes the program needs none.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Gid, Uid};

use super::account::Account;

/// The hidden first argument: `made-open --as-postgres <parent> <uid> <gid> <directory> <program> <arguments>…`.
pub const LAUNCH_ARG: &str = "--as-postgres";

/// What the process exits with when it could not become the program; PostgreSQL's programs don't use it.
pub(super) const NOT_LAUNCHED: i32 = 125;

/// Becomes the named program if this process was started for that, and returns at once if not.
///
/// It has to be the first thing `main` does: rights are dropped for one thread, so there must be no other.
#[expect(
    clippy::disallowed_methods,
    reason = "this process was to become the server; nothing of a hub runs in it"
)]
pub fn launch_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != LAUNCH_ARG) {
        return;
    }
    let Err(cause) = launch(args);
    eprintln!("{cause:#}");
    std::process::exit(NOT_LAUNCHED);
}

/// Whoever starts programs: our executable, the account they run under and the directory they must be able to enter.
pub(super) struct Launcher {
    pub executable: PathBuf,
    pub account: Account,
    pub dir: PathBuf,
}

impl Launcher {
    /// A command for `program` that stops with us, under the account, with nothing of our environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .arg(LAUNCH_ARG)
            .arg(std::process::id().to_string())
            .arg(self.account.uid.to_string())
            .arg(self.account.gid.to_string())
            .arg(&self.dir)
            .arg(program)
            .env_clear()
            // initdb would otherwise compare every zone of the world with the machine's clock.
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null())
            // A group of its own: Ctrl-C must reach the hub first, which then stops the server.
            .process_group(0);
        command
    }
}

fn launch(mut args: impl Iterator<Item = OsString>) -> anyhow::Result<Infallible> {
    let parent = number(args.next())?;
    let uid = number(args.next())?;
    let gid = number(args.next())?;
    let dir = args.next().context("no directory was named")?;
    let program = args.next().context("no program was named")?;

    become_account(uid, gid).with_context(|| format!("cannot become uid {uid}, gid {gid}"))?;
    follow_parent(parent)?;
    // As the account, which may be less welcome there than we are.
    std::env::set_current_dir(&dir)
        .with_context(|| format!("cannot enter {}", Path::new(&dir).display()))?;

    let cause = Command::new(&program).args(args).exec();
    Err(cause).with_context(|| format!("cannot run {}", Path::new(&program).display()))
}

#[cfg(target_os = "linux")]
fn become_account(uid: u32, gid: u32) -> anyhow::Result<()> {
    use rustix::thread::{
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    };

    if rustix::process::geteuid().as_raw() != uid {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&[]).context("dropping groups")?;
        set_thread_res_gid(gid, gid, gid).context("changing group")?;
        set_thread_res_uid(uid, uid, uid).context("changing user")?;
    }
    set_no_new_privs(true).context("giving up new rights")?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn become_account(uid: u32, _gid: u32) -> anyhow::Result<()> {
    if rustix::process::geteuid() != Uid::from_raw(uid) {
        bail!("changing the user is only supported on Linux");
    }
    Ok(())
}

/// The signal is asked for after the change of user, which would clear it; exec keeps it.
#[cfg(target_os = "linux")]
fn follow_parent(parent: u32) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::INT)).context("following the hub")?;
    // A parent that died before the line above would never be noticed.
    if Pid::as_raw(getppid()) != i32::try_from(parent)? {
        bail!("the hub is gone already");
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn follow_parent(_parent: u32) -> anyhow::Result<()> {
    Ok(())
}

fn number(arg: Option<OsString>) -> anyhow::Result<u32> {
    let arg = arg.context("too few arguments")?;
    let text = arg.to_str().context("not a number")?;
    text.parse()
        .with_context(|| format!("{text}: not a number"))
}
