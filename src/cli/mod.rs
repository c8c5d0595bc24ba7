//! The command line: what operators say to a hub. Each command finds its database, does one thing, says so.
//! Data goes to standard output, everything else to standard error.

pub mod accounts;
mod audit;
mod config;
mod database;
pub mod database_run;
mod doctor;
pub mod exit;
mod federation;
mod federation_blocks;
mod jobs;
mod kinds;
mod log;
mod mail;
mod open;
pub mod progress;
mod receipt;
mod recount;
mod serve;
mod tenants;
mod tokens;
mod users;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};

use crate::base::config::{self as settings, Flags};
use crate::base::door;

/// A person's or a community's hub: their data, a market, a commons and DAOs, federated over ActivityPub.
///
/// Without a command it serves.
#[derive(Parser)]
#[command(
    name = "made-open",
    version,
    max_term_width = 110,
    after_help = "Example: made-open serve --bind 127.0.0.1:3000"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings that every command takes; they win over the environment and the file.
#[derive(Args)]
struct Settings {
    /// Where the hub keeps its files (`MADE_OPEN_DATA_DIR`)
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A PostgreSQL with pgvector instead of the embedded one (`DATABASE_URL`)
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Address and port to listen on (`MADE_OPEN_BIND`)
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// The address others reach the hub by (`MADE_OPEN_PUBLIC_URL`)
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Say nothing but data and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more in the log
    #[arg(long, short, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the hub (the default)
    Serve(serve::Serve),
    /// Bring the database's schema up to this version
    #[command(after_help = "Example: made-open migrate --json")]
    Migrate(database::Migrate),
    /// The database: bootstrap, check, run
    #[command(subcommand)]
    Database(database::Database),
    /// Accounts
    #[command(subcommand)]
    User(accounts::User),
    /// Keys for apps and services
    #[command(subcommand)]
    Token(tokens::Token),
    /// Organizations
    #[command(subcommand)]
    Tenant(tenants::Tenant),
    /// The vault: its keys, and whether its secrets open
    #[command(subcommand)]
    Vault(vault::Vault),
    /// Kinds: the tables that the doors serve
    #[command(subcommand)]
    Kind(kinds::Kind),
    /// The audit log: verify, export, seal
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Jobs: those that died, and trying them again
    #[command(subcommand)]
    Job(jobs::Job),
    /// Other servers: how it stands with them, and trying deliveries again
    #[command(subcommand)]
    Federation(federation::Federation),
    /// Receipts of exchanges: verify
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Count a DAO's vote again from what it serves; exit code 1 when it is not as told
    #[command(
        after_help = "Example: made-open recount https://hub.example/ap/proposals/0197b0a2-… --json"
    )]
    Recount(recount::Recount),
    /// Settings: show, check, docs
    #[command(subcommand)]
    Config(config::Command),
    /// Mail: try whether it leaves
    #[command(subcommand)]
    Mail(mail::Command),
    /// Say in plain words what is wrong with this set-up and how to mend it
    #[command(after_help = "Example: made-open doctor --json")]
    Doctor(doctor::Doctor),
    /// The version, and with --licences what the binary carries
    #[command(after_help = "Example: made-open version --licences")]
    Version {
        /// Print origin and licences of what is carried inside
        #[arg(long)]
        licences: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Read the command line and do it; the exit code says how it went.
pub fn run() -> ExitCode {
    // The database's server is started by way of this program itself; then there is nothing else to do.
    crate::db::embedded::launch_if_asked();
    let as_json = std::env::args().any(|word| word == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) if as_json && wrong.use_stderr() => {
            let said = wrong.render().to_string();
            return exit::tell(&exit::usage(said.trim()), true).into();
        }
        Err(wrong) => wrong.exit(),
    };
    QUIET.store(cli.settings.quiet || as_json, Ordering::Relaxed);
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => exit::tell(&error, as_json).into(),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = Flags {
        bind: cli.settings.bind,
        public_url: cli.settings.public_url,
        data_dir: cli.settings.data_dir,
        database_url: cli.settings.database_url,
    };
    if let Some(Command::Version { licences, json }) = &cli.command {
        version(*licences, *json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(Command::Database(database::Database::Bootstrap(bootstrap))) = &cli.command {
        return bootstrap.run().map(|()| ExitCode::SUCCESS);
    }
    if let Some(Command::Config(command)) = &cli.command {
        return command.run(&flags).map(|()| ExitCode::SUCCESS);
    }
    if let Some(Command::Receipt(receipt)) = &cli.command {
        return receipt.run();
    }
    if let Some(Command::Audit(audit)) = &cli.command
        && let Some(done) = audit.without_hub()
    {
        return done;
    }
    let config = settings::load(&flags).map_err(|error| exit::usage(format!("{error:#}")))?;
    log::to_stderr(&config, cli.settings.verbose);
    if !matches!(cli.command, None | Some(Command::Serve(_))) {
        door::of_process("cli");
    }
    match cli.command {
        None => serve::run(&config, &serve::Serve::default()),
        Some(Command::Serve(serve)) => serve::run(&config, &serve),
        Some(Command::Migrate(migrate)) => migrate.run(&config),
        Some(Command::Database(database)) => database.run(&config),
        Some(Command::User(user)) => open::with_node(&config, async |node| user.run(node).await),
        Some(Command::Tenant(tenant)) => {
            open::with_node(&config, async |node| tenant.run(node).await)
        }
        Some(Command::Token(token)) => open::with_node(&config, async |node| token.run(node).await),
        Some(Command::Vault(vault)) => return vault.run(&config),
        Some(Command::Kind(kind)) => open::with_node(&config, async |node| kind.run(node).await),
        Some(Command::Audit(audit)) => return audit.run(&config),
        Some(Command::Recount(recount)) => return recount.run(&config),
        Some(Command::Job(job)) => open::with_node(&config, async |node| job.run(node).await),
        Some(Command::Federation(federation)) => {
            open::with_node(&config, async |node| federation.run(node).await)
        }
        Some(Command::Mail(mail)) => mail.run(&config),
        Some(Command::Doctor(doctor)) => doctor.run(&config),
        Some(Command::Version { .. } | Command::Config(_) | Command::Receipt(_)) => Ok(()),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn version(licences: bool, json: bool) -> anyhow::Result<()> {
    if licences {
        return print(crate::db::embedded::licences());
    }
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return print_json(&serde_json::json!({ "version": version, "licence": "AGPL-3.0-only" }));
    }
    print(&format!("made-open {version}"))
}

/// Whether only data and errors are said: with `--quiet`, and with `--json`, whose reader is a program.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether only data and errors are said.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A line for the person at the terminal, unless he wants none.
pub fn note(line: &str) {
    if !is_quiet() {
        always_note(line);
    }
}

/// A line on standard error; a closed one never stops the hub.
fn always_note(line: &str) {
    use std::io::Write;
    let mut to = std::io::stderr().lock();
    drop(writeln!(to, "{line}"));
}

/// Data for standard output.
pub fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut to = std::io::stdout().lock();
    writeln!(to, "{}", text.trim_end_matches('\n'))?;
    Ok(to.flush()?)
}

/// Data for standard output as one line of JSON.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&serde_json::to_string(value)?)
}
