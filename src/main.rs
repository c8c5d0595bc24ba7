//! Parse the command line, call the command; nothing else.

fn main() -> std::process::ExitCode {
    made_open::cli::run()
}
