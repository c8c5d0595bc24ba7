//! Parses the command line and calls `cli`; nothing else.

fn main() -> std::process::ExitCode {
    made_open::cli::run()
}
