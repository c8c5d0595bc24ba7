//! What one RSA-2048 signature and one verification take on this machine by the hub's own code: the units that the figures of
//! federation are told in. Prints seconds of processor time for each, the signature first.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, and stops where it can't measure"
)]

use made_open::fed::crypto::{Algorithm, Hash, PrivateKey};

fn main() {
    let rounds: u32 = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(3000);
    let key = PrivateKey::generate(Algorithm::Rsa).unwrap();
    let message =
        b"(request-target): post /ap/inbox\nhost: hub.example\ndate: Fri, 20 Nov 2026 12:00:00 GMT";
    let signature = key.sign(message);

    let sign = each(rounds, || drop(key.sign(message)));
    let verify = each(rounds * 10, || {
        assert!(key.public().verify(Hash::Sha256, message, &signature));
    });
    println!("{sign:.9} {verify:.9}");
}

fn each(rounds: u32, work: impl Fn()) -> f64 {
    let before = processor_seconds();
    for _ in 0..rounds {
        work();
    }
    (processor_seconds() - before) / f64::from(rounds)
}

/// User and system time of this process.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks: f64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}
