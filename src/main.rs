//! Parses the command line and calls `cli`; nothing else.

use std::path::Path;

use made_open::{cli, db};

fn main() -> anyhow::Result<()> {
    db::embedded::launch_if_asked();

    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["database", "run", "--data-dir", dir] => cli::database_run::run(Path::new(dir)),
        ["version", "--licences"] => {
            print!("{}", db::embedded::licences());
            Ok(())
        }
        _ => anyhow::bail!("usage: made-open database run --data-dir DIR"),
    }
}
