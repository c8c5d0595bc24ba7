//! What this process holds in its hands: hosts with their letters, which may fly now, and what an answer means for the
//! letter, its lane and its host. No database and no network here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::back_off;
use super::rows::{Health, State, Told, Word};
use super::send::{Answer, Letter, Verdict};
use crate::fed::signature::Scheme;

/// So many answers of the kind of 500 in a row, and the host as a whole is ill.
const ILL_IN_A_ROW: u32 = 3;

/// Who takes longer than this to answer gets one letter at a time.
const SLOW: Duration = Duration::from_secs(3);

/// When an inbox that was not there is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Room for letters under way.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    pub per_host: usize,
    pub total: usize,
}

/// All hosts that are held.
pub struct Lanes {
    width: Width,
    hosts: HashMap<String, Host>,
    flying: usize,
    /// Of those, to hosts that are slow.
    flying_slow: usize,
    /// Letters whose end is not written down yet.
    held: HashSet<Uuid>,
}

/// A host that is held.
struct Host {
    /// By our own clock: after this nothing is sent.
    until: Instant,
    waiting: VecDeque<Letter>,
    flying: usize,
    /// The lanes under way.
    busy: HashSet<String>,
    failures: i32,
    ill_in_a_row: u32,
    scheme: Option<Scheme>,
    is_slow: bool,
    /// It was given up for now: what ends changes nothing more.
    is_down: bool,
    /// More is due than is at hand.
    has_more: bool,
}

impl Lanes {
    /// Nothing is held.
    pub fn new(width: Width) -> Self {
        Self {
            width,
            hosts: HashMap::new(),
            flying: 0,
            flying_slow: 0,
            held: HashSet::new(),
        }
    }

    /// What is held.
    pub fn held(&self) -> Vec<Uuid> {
        self.held.iter().copied().collect()
    }

    /// Hosts that need no more letters at the moment.
    pub fn full(&self) -> Vec<String> {
        let enough = self.width.per_host * 2;
        self.hosts
            .iter()
            .filter(|(_, host)| host.waiting.len() >= enough || host.is_down)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether a host will soon have nothing at hand while more is due there.
    pub fn is_hungry(&self) -> bool {
        self.hosts
            .values()
            .any(|host| host.has_more && !host.is_down && host.waiting.len() < self.width.per_host)
    }

    /// It is being looked what is due; hosts that are full are left out.
    pub fn looking(&mut self) {
        let enough = self.width.per_host * 2;
        for host in self.hosts.values_mut() {
            host.has_more &= host.waiting.len() >= enough;
        }
    }

    /// There is more for this host than was taken.
    pub fn has_more(&mut self, name: &str) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.has_more = true;
        }
    }

    /// Whether more could be sent than is at hand.
    pub fn has_room(&self) -> bool {
        let waiting: usize = self.hosts.values().map(|host| host.waiting.len()).sum();
        self.flying + waiting < self.width.total * 2
    }

    /// Hosts whose lease is to be kept.
    pub fn in_use(&self) -> Vec<String> {
        self.hosts
            .iter()
            .filter(|(_, host)| host.flying > 0 || !host.waiting.is_empty())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// A host is held until then; `failures` as its row has them.
    pub fn hold(&mut self, name: &str, until: Instant, failures: i32, scheme: Option<Scheme>) {
        let host = self.hosts.entry(name.to_owned()).or_insert_with(|| Host {
            until,
            waiting: VecDeque::new(),
            flying: 0,
            busy: HashSet::new(),
            failures,
            ill_in_a_row: 0,
            scheme,
            is_slow: false,
            is_down: false,
            has_more: false,
        });
        host.until = until;
        if host.flying == 0 {
            host.is_down = false;
            host.failures = failures;
        }
        host.scheme = scheme.or(host.scheme);
    }

    /// The lease of a host was renewed.
    pub fn renewed(&mut self, name: &str, until: Instant) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.until = until;
        }
    }

    /// The host is another's: nothing more is sent there.
    pub fn lost(&mut self, name: &str) {
        if let Some(host) = self.hosts.get_mut(name) {
            for letter in host.waiting.drain(..) {
                self.held.remove(&letter.id);
            }
            host.is_down = true;
        }
        self.forget_idle(name);
    }

    /// A letter to be sent in its turn.
    pub fn put(&mut self, letter: Letter) {
        if let Some(host) = self.hosts.get_mut(&letter.host)
            && !host.is_down
            && self.held.insert(letter.id)
        {
            host.waiting.push_back(letter);
        }
    }

    /// The letters that may fly now, of each host in turn so that no one's crowd keeps others waiting.
    pub fn take(&mut self) -> Vec<Letter> {
        let now = Instant::now();
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for host in self.hosts.values_mut() {
                if self.flying >= self.width.total {
                    return taken;
                }
                // Slow hosts never have more than half of the room.
                if host.is_slow && self.flying_slow >= self.width.total / 2 {
                    continue;
                }
                let Some(letter) = host.next(self.width.per_host, now) else {
                    continue;
                };
                self.flying += 1;
                self.flying_slow += usize::from(host.is_slow);
                taken.push(letter);
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// A letter came back: what is to be written of it.
    pub fn landed(&mut self, letter: &Letter, answer: &Answer, health: &mut Health) -> Told {
        self.flying -= 1;
        let mut word = Word::Later;
        if let Some(host) = self.hosts.get_mut(&letter.host) {
            self.flying_slow = self.flying_slow.saturating_sub(usize::from(host.is_slow));
            host.flying -= 1;
            host.busy.remove(&letter.lane);
            let was_slow = host.is_slow;
            host.is_slow = answer.took > SLOW;
            if host.is_slow != was_slow {
                let moved = host.flying;
                self.flying_slow = match host.is_slow {
                    true => self.flying_slow + moved,
                    false => self.flying_slow.saturating_sub(moved),
                };
            }
            word = host.heard(letter, answer, health);
            // What follows in its lane waits with it.
            let put_off = |other: &Letter| match word {
                _ if host.is_down => true,
                Word::Again(_) => other.lane == letter.lane,
                Word::Gone(_) | Word::Refused(_) => other.inbox == letter.inbox,
                _ => false,
            };
            host.waiting.retain(|other| {
                let stays = !put_off(other);
                if !stays {
                    self.held.remove(&other.id);
                }
                stays
            });
        }
        Told {
            id: letter.id,
            host: letter.host.clone(),
            word,
            status: answer.status,
            why: answer.why.clone(),
        }
    }

    /// A letter's end is written down, or somebody else's business.
    pub fn settled(&mut self, id: &Uuid, host: &str) {
        self.held.remove(id);
        self.forget_idle(host);
    }

    /// Forget hosts that nothing is left of and that are not held any more.
    pub fn tidy(&mut self) {
        let now = Instant::now();
        self.hosts
            .retain(|_, host| host.flying > 0 || !host.waiting.is_empty() || host.until > now);
    }

    fn forget_idle(&mut self, name: &str) {
        let is_idle = self
            .hosts
            .get(name)
            .is_some_and(|host| host.flying == 0 && host.waiting.is_empty() && host.is_down);
        if is_idle {
            self.hosts.remove(name);
        }
    }
}

impl Host {
    fn next(&mut self, per_host: usize, now: Instant) -> Option<Letter> {
        // After a failure one letter goes ahead and looks.
        let most = match self.failures > 0 || self.is_slow {
            true => 1,
            false => per_host,
        };
        if self.is_down || self.flying >= most || now >= self.until {
            return None;
        }
        // The letters of a lane are in order, so the first of a free lane is the one.
        let at = self
            .waiting
            .iter()
            .position(|letter| !self.busy.contains(&letter.lane))?;
        let mut letter = self.waiting.remove(at)?;
        self.flying += 1;
        self.busy.insert(letter.lane.clone());
        letter.scheme = self.scheme;
        Some(letter)
    }

    /// What an answer means for the letter and for the host.
    fn heard(&mut self, letter: &Letter, answer: &Answer, health: &mut Health) -> Word {
        if answer.learned.is_some() {
            self.scheme = answer.learned;
            health.learned = answer.learned;
        }
        let own_wait = back_off::after(letter.attempts + 1);
        let (weight, word) = match answer.verdict {
            Verdict::Away(weight) => (weight, Word::Later),
            Verdict::Unwanted => (0, Word::Dropped),
            Verdict::Ill => {
                self.ill_in_a_row += 1;
                let is_ill = self.failures > 0 || self.ill_in_a_row >= ILL_IN_A_ROW;
                let wait = answer.wait.unwrap_or(own_wait);
                (i32::from(is_ill), Word::Again(wait))
            }
            _ => {
                self.ill_in_a_row = 0;
                if !self.is_down {
                    self.failures = 0;
                    health.state = State::Up;
                }
                let word = match answer.verdict {
                    Verdict::Done => Word::Done,
                    Verdict::Gone => Word::Gone(LOOK_AGAIN),
                    Verdict::NotThere => Word::Refused(LOOK_AGAIN),
                    Verdict::Skewed => Word::Again(own_wait),
                    _ => Word::Dead,
                };
                (0, word)
            }
        };
        if weight > 0 && !self.is_down {
            self.is_down = true;
            self.failures = self.failures.saturating_add(weight);
            // Who fails one letter again and again is not begun anew with when that becomes the host's failure.
            let failures = self.failures.max(letter.attempts + 1);
            let wait = answer.wait.unwrap_or_else(|| back_off::after(failures));
            health.state = State::Down(weight, wait);
            return Word::Later;
        }
        word
    }
}
