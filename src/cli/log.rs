//! Log lines on standard error, as text or JSON. What one peer causes again and again for the same reason is said once a
//! minute, with how often it came: an attack fills no disk.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::note;
use crate::base::config::{self, Config};

/// How long the same from the same is not said again.
const WINDOW: Duration = Duration::from_secs(60);

/// How many reasons and peers are told apart; beyond it peers count as one.
const MOST: usize = 10_000;

static SAID: LazyLock<Mutex<Said>> = LazyLock::new(Mutex::default);

/// Write log lines from now on.
pub fn to_stderr(config: &Config, is_verbose: bool) {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer()
        .with_ansi(is_terminal && !config::no_color())
        .with_writer(std::io::stderr);
    let filter = EnvFilter::new(config::log_filter(is_verbose));
    let started = tracing_subscriber::registry().with(filter);
    let set = if config.log_format == "json" {
        started
            .with(lines.json().with_filter(OncePerMinute))
            .try_init()
    } else {
        started
            .with(lines.with_target(false).with_filter(OncePerMinute))
            .try_init()
    };
    if set.is_err() {
        note("logging was set up already");
    }
}

/// Sum up what was not said, for reasons whose minute is over.
pub fn tell_repeated() {
    let due = SAID
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .due(Instant::now());
    for (what, peer, times) in due {
        tracing::warn!(event = "repeated", what, peer, times);
    }
}

#[derive(Default)]
struct Said(HashMap<u64, Line>);

struct Line {
    what: String,
    peer: String,
    since: Instant,
    unsaid: u64,
}

impl Said {
    /// Whether a line is to be said now; else it is counted.
    fn may_say(&mut self, what: &str, of: u64, peer: &str, now: Instant) -> bool {
        let key = |peer: &str| {
            let mut hasher = DefaultHasher::new();
            (of, peer).hash(&mut hasher);
            hasher.finish()
        };
        let mut peer = peer;
        if self.0.len() >= MOST && !self.0.contains_key(&key(peer)) {
            peer = "many";
        }
        match self.0.get_mut(&key(peer)) {
            Some(line) => {
                line.unsaid += 1;
                false
            }
            None => {
                let line = Line {
                    what: what.to_owned(),
                    peer: peer.to_owned(),
                    since: now,
                    unsaid: 0,
                };
                self.0.insert(key(peer), line);
                true
            }
        }
    }

    fn due(&mut self, now: Instant) -> Vec<(String, String, u64)> {
        let mut due = Vec::new();
        self.0.retain(|_, line| {
            if now.duration_since(line.since) < WINDOW {
                return true;
            }
            if line.unsaid == 0 {
                return false;
            }
            due.push((line.what.clone(), line.peer.clone(), line.unsaid));
            line.since = now;
            line.unsaid = 0;
            true
        });
        due
    }
}

/// Lets warnings and errors of a request through once a minute for each reason and peer. Lines that belong to no request,
/// and those that the operator asked for, always pass.
struct OncePerMinute;

/// Whose request a span is about.
struct Peer(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for OncePerMinute {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut words = Words::default();
        attributes.record(&mut words);
        if let (Some(peer), Some(span)) = (words.peer, context.span(id)) {
            span.extensions_mut().insert(Peer(peer));
        }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let peer = context.event_scope(event).and_then(|scope| {
            scope
                .into_iter()
                .find_map(|span| span.extensions().get::<Peer>().map(|peer| peer.0.clone()))
        });
        let Some(peer) = peer else {
            return true;
        };
        let mut words = Words::default();
        event.record(&mut words);
        let mut hasher = DefaultHasher::new();
        (event.metadata().name(), &words.event, &words.rest).hash(&mut hasher);
        let what = words.event.as_deref().unwrap_or(event.metadata().name());
        let what = format!("{what}{}", words.rest);
        SAID.lock().unwrap_or_else(PoisonError::into_inner).may_say(
            &what,
            hasher.finish(),
            &peer,
            Instant::now(),
        )
    }
}

/// The words of a line that make it another reason: what happened, where, with which status.
#[derive(Default)]
struct Words {
    event: Option<String>,
    peer: Option<String>,
    rest: String,
}

impl Words {
    fn word(&mut self, field: &Field, value: String) {
        match field.name() {
            "event" => self.event = Some(value),
            "peer" => self.peer = Some(value),
            "route" | "status" => self.rest = format!("{} {value}", self.rest),
            _ => {}
        }
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.word(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if ["event", "peer", "route", "status"].contains(&field.name()) {
            self.word(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_from_the_same_is_said_once_a_minute_with_a_count() {
        let (mut said, start) = (Said::default(), Instant::now());
        assert!(said.may_say("busy", 1, "a", start));
        for _ in 0..500 {
            assert!(!said.may_say("busy", 1, "a", start + Duration::from_secs(5)));
        }
        assert!(said.may_say("busy", 1, "b", start), "another peer");
        assert!(said.may_say("slow", 2, "a", start), "another reason");
        assert!(said.due(start + Duration::from_secs(59)).is_empty());
        let due = said.due(start + WINDOW);
        assert_eq!(due, [("busy".to_owned(), "a".to_owned(), 500)]);
        // It goes on: still no more than one line a minute.
        assert!(!said.may_say("busy", 1, "a", start + WINDOW));
        assert!(
            said.due(start + WINDOW * 2 - Duration::from_secs(1))
                .is_empty()
        );
        assert_eq!(said.due(start + WINDOW * 2).len(), 1);
        // It is over, and forgotten.
        assert!(said.due(start + WINDOW * 3).is_empty());
        assert!(said.0.is_empty());
    }

    #[test]
    fn however_many_peers_come_the_memory_is_bounded() {
        let (mut said, now) = (Said::default(), Instant::now());
        for n in 0..MOST * 2 {
            said.may_say("busy", 1, &n.to_string(), now);
        }
        assert!(said.0.len() <= MOST + 1);
    }
}
