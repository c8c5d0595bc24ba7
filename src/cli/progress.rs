//! How far something is that takes longer than a moment. On a terminal only: a log, a pipe and `--json` stay quiet.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::is_quiet;

/// Something under way.
pub struct Progress(ProgressBar);

/// Begin to show something of which there are so many, or of which nobody knows how many.
pub fn start(what: &str, total: Option<u64>) -> Progress {
    let is_shown = !is_quiet() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let target = if is_shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(total, target);
    let form = match total {
        Some(_) => "{msg} {wide_bar} {pos}/{len} {eta}",
        None => "{spinner} {msg} {pos}",
    };
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    Progress(bar)
}

impl Progress {
    /// So far it is.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// One more is done.
    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
