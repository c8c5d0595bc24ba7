//! How files begin and what they are called; what the generic rooms must not know by name.

use crate::migrations::kinds;
use crate::source::{self, What};
use crate::{files_below, nothing_wrong, read, rust_below, top};

/// Words that say nothing about what is inside.
const EMPTY_WORDS: &[&str] = &[
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "misc",
    "service",
    "services",
    "processor",
];

/// Texts in src/kinds that are called like a kind and mean something else: file, text, meaning.
const OTHER_MEANING: &[(&str, &str, &str)] = &[];

#[test]
fn every_file_says_what_lives_in_it() {
    let mut wrong = Vec::new();
    for file in rust_below("src").into_iter().chain(rust_below("tests")) {
        if !read(&file).starts_with("//! ") {
            wrong.push(file.display().to_string());
        }
    }
    if top().join("build.rs").exists() && !read("build.rs").starts_with("//! ") {
        wrong.push("build.rs".to_owned());
    }
    nothing_wrong(
        "Every file opens with `//!`: what lives here, and what deliberately does not:",
        wrong,
    );
}

#[test]
fn nothing_has_an_empty_name() {
    let mut wrong = Vec::new();
    for file in files_below("src").into_iter().chain(files_below("tests")) {
        for part in &file {
            let stem = part.to_str().unwrap().split('.').next().unwrap();
            if stem
                .split(['_', '-'])
                .any(|word| EMPTY_WORDS.contains(&word))
            {
                wrong.push(format!("{}: {stem}", file.display()));
            }
        }
    }
    for file in rust_below("src") {
        for two in source::words(&read(&file)).windows(2) {
            if let (true, Some(name)) = (two[0].is("mod"), two[1].name())
                && name.split('_').any(|word| EMPTY_WORDS.contains(&word))
            {
                wrong.push(format!("{}:{}: mod {name}", file.display(), two[1].line));
            }
        }
    }
    nothing_wrong(
        "These words say nothing about what is inside; name the noun:",
        wrong,
    );
}

#[test]
fn the_generic_room_knows_no_kind_by_name() {
    let kinds = kinds();
    let mut wrong = Vec::new();
    for file in rust_below("src")
        .into_iter()
        .filter(|file| file.starts_with("src/kinds"))
    {
        for word in source::without_tests(&source::words(&read(&file))) {
            let What::Text(text) = &word.what else {
                continue;
            };
            let bare = text.trim().trim_start_matches("public.");
            let excused = OTHER_MEANING
                .iter()
                .any(|(place, said, _)| file.ends_with(place) && said == text);
            if kinds.contains(bare) && !excused {
                wrong.push(format!("{}:{}: \"{text}\"", file.display(), word.line));
            }
        }
    }
    nothing_wrong(
        "What all kinds share is written against the catalogue; a kind's own manners are in its registry row:",
        wrong,
    );
}
