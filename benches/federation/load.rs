//! Many known senders who write to the hub's inbox over a few connections. Everything is signed before the first byte is
//! sent, so that what is timed is the hub.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use made_open::fed::crypto::{Algorithm, PrivateKey};
use made_open::fed::signature::{self, Scheme};
use made_open::fed::{proof, vocab};
use serde_json::{Value, json};
use url::Url;

/// What to send, and where.
pub struct Load<'a> {
    /// Where the hub listens.
    pub url: &'a str,
    /// What it is called by others, without a slash at the end.
    pub hub: &'a str,
    pub count: usize,
    pub connections: usize,
    /// tampered: other words than those that were signed;
    /// signed: the request's signature alone; named: the same, and it names the reader; both: a proof besides; proof: a proof alone; forged: a wrong signature.
    pub mode: &'a str,
    /// The number of the first note.
    pub from: usize,
}

struct Sender {
    uri: String,
    rsa: PrivateKey,
    ed25519: PrivateKey,
}

/// Make senders: their private keys into a file, the rest is printed.
pub fn senders(file: &str, count: usize) {
    let mut kept = Vec::new();
    let mut shown = Vec::new();
    for n in 0..count {
        let uri = format!("http://s{}.peer.test/u/{n}", n % 50);
        let rsa = PrivateKey::generate(Algorithm::Rsa).unwrap();
        let ed25519 = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        shown.push(json!({
            "uri": uri, "host": format!("s{}.peer.test", n % 50), "rsa": rsa.public().to_pem(), "ed25519": ed25519.public().to_multibase(),
        }));
        kept.push(json!({ "uri": uri, "rsa": STANDARD.encode(rsa.to_pkcs8().as_slice()), "ed25519": STANDARD.encode(ed25519.to_pkcs8().as_slice()) }));
    }
    std::fs::write(file, json!(kept).to_string()).unwrap();
    println!("{}", json!(shown));
}

/// A note of somebody's to his followers, as servers send it; perhaps it names somebody here.
pub fn note(sender: &str, number: usize, named: Option<&str>) -> Value {
    let id = format!("{sender}/notes/{number}");
    let mut cc = vec![format!("{sender}/followers")];
    cc.extend(named.map(str::to_owned));
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "@context": vocab::context(),
        "type": "Create", "id": format!("{id}/activity"), "actor": sender, "published": now,
        "to": [vocab::PUBLIC], "cc": cc,
        "object": {
            "type": "Note", "id": id, "attributedTo": sender, "published": now, "updated": now,
            "to": [vocab::PUBLIC], "cc": cc,
            "content": format!("<p>Number {number}. {}</p>", "Something that is worth reading. ".repeat(12)),
        },
    })
}

/// Send it all, and print how that went.
pub fn run(file: &str, load: &Load<'_>) {
    let senders = read(file);
    let inbox: Url = format!("{}/ap/inbox", load.hub).parse().unwrap();
    let reader = format!("{}/ap/actors/1", load.hub);
    let host = inbox.host_str().unwrap();
    let mut queues: Vec<Vec<Vec<u8>>> = vec![Vec::new(); load.connections];
    for n in 0..load.count {
        let sender = &senders[n % senders.len()];
        let request = request(sender, load, n, &inbox, host, &reader);
        queues[n % load.connections].push(request);
    }

    let address = load.url.trim_start_matches("http://").to_owned();
    let start = Arc::new(Barrier::new(load.connections + 1));
    let threads: Vec<_> = queues
        .into_iter()
        .map(|queue| {
            let (start, address) = (start.clone(), address.clone());
            std::thread::spawn(move || {
                let connection = TcpStream::connect(&address).unwrap();
                connection.set_nodelay(true).unwrap();
                start.wait();
                send(connection, &queue)
            })
        })
        .collect();
    start.wait();
    let began = Instant::now();
    let mut times = Vec::new();
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for thread in threads {
        for (status, time) in thread.join().unwrap() {
            *answers.entry(status).or_default() += 1;
            times.push(time);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        times
            .get(((times.len() - 1) as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{}",
        json!({ "seconds": seconds, "p50": at(0.5), "p99": at(0.99), "answers": answers })
    );
}

fn read(file: &str) -> Vec<Sender> {
    let kept: Vec<BTreeMap<String, String>> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let key = |algorithm, text: &str| {
        PrivateKey::from_pkcs8(algorithm, &STANDARD.decode(text).unwrap()).unwrap()
    };
    kept.iter()
        .map(|one| Sender {
            uri: one["uri"].clone(),
            rsa: key(Algorithm::Rsa, &one["rsa"]),
            ed25519: key(Algorithm::Ed25519, &one["ed25519"]),
        })
        .collect()
}

/// A request as bytes, headers and all.
fn request(
    sender: &Sender,
    load: &Load<'_>,
    n: usize,
    inbox: &Url,
    host: &str,
    reader: &str,
) -> Vec<u8> {
    let named = (load.mode == "named").then_some(reader);
    let mut activity = note(&sender.uri, load.from + n, named);
    if matches!(load.mode, "both" | "proof") {
        let key = format!("{}#ed25519-key", sender.uri);
        proof::prove(&mut activity, &key, &sender.ed25519, Utc::now()).unwrap();
    }
    let body = activity.to_string();
    let key = format!("{}#main-key", sender.uri);
    let headers = match load.mode {
        "proof" => vec![(
            "content-type".to_owned(),
            "application/activity+json".to_owned(),
        )],
        "forged" => {
            let mut headers = signature::sign(
                Scheme::Cavage,
                "POST",
                inbox,
                Some(body.as_bytes()),
                &key,
                &sender.rsa,
                Utc::now(),
            );
            // Signed for another minute than it says.
            for (name, value) in &mut headers {
                if name == "date" {
                    *value = (Utc::now() - chrono::TimeDelta::minutes(1))
                        .format("%a, %d %b %Y %H:%M:%S GMT")
                        .to_string();
                }
            }
            headers
        }
        _ => signature::sign(
            Scheme::Cavage,
            "POST",
            inbox,
            Some(body.as_bytes()),
            &key,
            &sender.rsa,
            Utc::now(),
        ),
    };
    let mut head = format!(
        "POST /ap/inbox HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n",
        body.len()
    );
    // Changed on its way.
    let body = match load.mode {
        "tampered" => body.replacen("worth", "Worth", 1),
        _ => body,
    };
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    [head.into_bytes(), body.into_bytes()].concat()
}

/// One after the other; the status of each answer and how many seconds it took.
fn send(connection: TcpStream, queue: &[Vec<u8>]) -> Vec<(u16, f64)> {
    let mut writing = connection.try_clone().unwrap();
    let mut reading = BufReader::new(connection);
    let mut told = Vec::with_capacity(queue.len());
    for request in queue {
        let began = Instant::now();
        writing.write_all(request).unwrap();
        let mut status = 0;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reading.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status == 0 {
                status = line
                    .split(' ')
                    .nth(1)
                    .and_then(|code| code.parse().ok())
                    .unwrap_or_default();
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reading.by_ref().take(length), &mut std::io::sink()).unwrap();
        told.push((status, began.elapsed().as_secs_f64()));
    }
    told
}
