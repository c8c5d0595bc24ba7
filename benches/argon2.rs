//! What one Argon2 computation of the hub's cost takes on this machine: the unit that `scripts/bench auth` compares
//! a sign-in with. Prints seconds of processor time for each.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, and stops where it can't measure"
)]

use made_open::domains::identity::passwords;

fn main() {
    let rounds: u32 = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(100);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let kept = passwords::hash("measure twice, cut once").await.unwrap();
        let verify = || passwords::verify("measure twice, cut once", Some(kept.clone()));
        // The one for accounts that do not exist is made at the first call.
        verify().await.unwrap();
        let before = processor_seconds();
        for _ in 0..rounds {
            assert_eq!(verify().await.unwrap(), passwords::Verdict::Right);
        }
        println!("{:.6}", (processor_seconds() - before) / f64::from(rounds));
    });
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
