//! Rooms import only those before them in the order of the house, domains only those to their left.
//! Other crates that belong to one room stay there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source::{self, What};
use crate::{nothing_wrong, read, rust_below};

/// The rooms in import order; those of one step do not know each other.
const ROOMS: &[&[&str]] = &[
    &["base"],
    &["net"],
    &["db"],
    &["kinds"],
    &["node"],
    &["jobs"],
    &["events"],
    &["search", "portability", "fed"],
    &["domains"],
    &["web", "cli"],
];

/// The domains in import order.
const DOMAINS: &[&str] = &[
    "identity",
    "vault",
    "graph",
    "social",
    "comms",
    "market",
    "commons",
    "governance",
    "work",
    "billing",
    "agents",
    "ops",
];

/// Files that may know the room beside theirs, with the reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[(
    "src/cli/serve.rs",
    "web",
    "starting the server is a command",
)];

/// Crates with a place of their own: nothing outside these rooms names them.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("actix_web", &["web", "cli"], "HTTP is the doors'"),
    (
        "reqwest",
        &["net"],
        "net is the only way out of the process",
    ),
    ("rustls", &["net"], "TLS outwards is the client's"),
    (
        "ipnet",
        &["net"],
        "which addresses are public is decided once",
    ),
    ("webpki_roots", &["net"], "whom to trust is the client's"),
    (
        "hickory_resolver",
        &["net"],
        "names are looked up where addresses are judged",
    ),
    (
        "activitypub_federation",
        &["fed"],
        "one adapter implements its traits",
    ),
    ("sfv", &["fed"], "signatures of RFC 9421 are read there"),
    ("serde_jcs", &["fed"], "proofs are made and read there"),
    ("bs58", &["fed"], "the spelling of keys and proofs"),
    (
        "http_signature_normalization",
        &["fed"],
        "requests are signed and read there",
    ),
    (
        "aws_lc_rs",
        &["base", "net", "db", "domains", "fed"],
        "doors and generic rows ask base for what they need of it",
    ),
    (
        "diesel",
        &[
            "db",
            "kinds",
            "jobs",
            "events",
            "search",
            "portability",
            "fed",
            "domains",
        ],
        "doors contain no SQL, base and node no database",
    ),
];

fn step_of(room: &str) -> Option<usize> {
    ROOMS.iter().position(|step| step.contains(&room))
}

/// The module path of a file below src: `src/db/mod.rs` is `db`, `src/db/tx.rs` is `db::tx`.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .skip(1)
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// What is wrong with one file's imports.
fn complaints(file: &Path, text: &str, macros: &BTreeSet<(String, String)>) -> Vec<String> {
    let name = file.display().to_string();
    if name == "src/lib.rs" {
        return Vec::new();
    }
    let module = module_of(file);
    let mut wrong = Vec::new();
    for import in source::imports(&source::words(text), &module) {
        let said = format!("{name}:{}: {}", import.line, import.path.join("::"));
        let Some(first) = import.path.first() else {
            wrong.push(format!("{said}: the whole crate; name the room"));
            continue;
        };
        // A macro lives at the crate's root, but belongs to the room whose file writes it.
        let written_in = macros
            .iter()
            .find(|(exported, _)| exported == first)
            .map(|(_, room)| room);
        let room = written_in.unwrap_or(first);
        let Some(theirs) = step_of(room) else {
            wrong.push(format!("{said}: {room} is not a room"));
            continue;
        };
        if name == "src/main.rs" {
            if room != "cli" {
                wrong.push(format!("{said}: main.rs calls cli, nothing else"));
            }
            continue;
        }
        let own_room = &module[0];
        let own = step_of(own_room).unwrap_or(usize::MAX);
        let sideways = SIDEWAYS
            .iter()
            .any(|(from, to, _)| *from == name && to == room);
        if own_room != room && theirs >= own && !sideways {
            wrong.push(format!(
                "{said}: {own_room} comes before {room} or beside it"
            ));
        }
        if own_room == "domains" && room == "domains" {
            let place = |domain: Option<&String>| {
                domain.and_then(|name| DOMAINS.iter().position(|known| known == name))
            };
            if let (Some(mine), Some(other)) = (place(module.get(1)), place(import.path.get(1)))
                && other > mine
            {
                wrong.push(format!(
                    "{said}: {} stands to the left; let the other one react",
                    DOMAINS[mine]
                ));
            }
        }
    }
    wrong
}

#[test]
fn rooms_import_only_upwards() {
    let files = rust_below("src");
    let mut macros = BTreeSet::new();
    for file in &files {
        let words = source::words(&read(file));
        for three in words.windows(3) {
            if let (true, true, What::Name(exported), Some(room)) = (
                three[0].is("macro_rules"),
                three[1].is_sign('!'),
                &three[2].what,
                module_of(file).first(),
            ) {
                macros.insert((exported.clone(), room.clone()));
            }
        }
    }
    let wrong = files
        .iter()
        .flat_map(|file| complaints(file, &read(file), &macros))
        .collect();
    nothing_wrong(
        "A room may use those above it, never those below or beside it:",
        wrong,
    );
}

#[test]
fn every_folder_is_a_room_and_every_domain_has_its_place() {
    let mut wrong = Vec::new();
    for file in rust_below("src") {
        let module = module_of(&file);
        let Some(room) = module.first() else { continue };
        if step_of(room).is_none() {
            wrong.push(format!(
                "{}: {room} is not in the order of rooms",
                file.display()
            ));
        }
        if let (true, Some(domain)) = (room == "domains", module.get(1))
            && !DOMAINS.contains(&domain.as_str())
        {
            wrong.push(format!(
                "{}: {domain} is not in the order of domains",
                file.display()
            ));
        }
    }
    nothing_wrong(
        "A new room needs its place in tests/house/rooms.rs and docs/ARCHITECTURE.md:",
        wrong,
    );
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for file in rust_below("src") {
        let words = source::words(&read(&file));
        let module = module_of(&file);
        let room = module.first().map_or("", String::as_str);
        for (krate, rooms, reason) in CRATES {
            if let (false, Some(line)) = (
                rooms.contains(&room),
                source::begins_path_with(&words, krate),
            ) {
                wrong.push(format!(
                    "{}:{line}: {krate} belongs to {}: {reason}",
                    file.display(),
                    rooms.join(", ")
                ));
            }
        }
    }
    nothing_wrong("Some crates have rooms of their own:", wrong);
}

/// Acting on behalf of an account needs no proof of being it: what comes through a door never does.
#[test]
fn no_door_acts_on_behalf_of_somebody() {
    let mut wrong = Vec::new();
    for file in rust_below("src") {
        let module = module_of(&file);
        let room = module.first().map_or("", String::as_str);
        for word in source::words(&read(&file)) {
            if ["web", "cli"].contains(&room) && (word.is("Behalf") || word.is("For")) {
                wrong.push(format!("{}:{}", file.display(), word.line));
            }
        }
    }
    nothing_wrong("Caller::For is for jobs:", wrong);
}

#[test]
fn a_step_in_the_wrong_direction_is_noticed() {
    let wrong = |file: &str, text: &str| complaints(Path::new(file), text, &BTreeSet::new()).len();
    assert_eq!(
        wrong(
            "src/db/tx.rs",
            "use crate::base::{Caller, Error}; use super::scope;"
        ),
        0
    );
    assert_eq!(
        wrong(
            "src/db/tx.rs",
            "use crate::{base, kinds::Kind, domains::identity};"
        ),
        2
    );
    assert_eq!(
        wrong("src/fed/inbox.rs", "fn a() { crate::search::b() }"),
        1
    );
    assert_eq!(wrong("src/web/mod.rs", "use crate::cli;"), 1);
    assert_eq!(wrong("src/cli/serve.rs", "use crate::web;"), 0);
    assert_eq!(
        wrong(
            "src/domains/market/mod.rs",
            "use super::comms::notify; use crate::domains::commons;"
        ),
        1
    );
    assert_eq!(
        wrong("src/main.rs", "fn main() { made_open::cli::run() }"),
        0
    );
    assert_eq!(wrong("src/main.rs", "use made_open::db;"), 1);
    assert_eq!(wrong("src/base/ids.rs", "use crate::nowhere::X;"), 1);
}
