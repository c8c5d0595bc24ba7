//! Rust source as words: enough to tell code from comments and text, and to follow paths.
//! Not a parser; macros are read as they are written.

/// One word of a source file, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub line: usize,
    pub what: What,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An identifier, keyword or number.
    Name(String),
    /// The inside of a string literal, escapes as written.
    Text(String),
    /// One other character.
    Sign(char),
}

impl Word {
    pub fn is(&self, name: &str) -> bool {
        matches!(&self.what, What::Name(own) if own == name)
    }

    pub fn is_sign(&self, sign: char) -> bool {
        self.what == What::Sign(sign)
    }

    pub fn name(&self) -> Option<&str> {
        match &self.what {
            What::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// A path as the source names it, resolved to the crate's root, with the line.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    pub line: usize,
    pub path: Vec<String>,
}

/// Cut a source text into words, leaving comments out.
pub fn words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut words = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let c = at(i);
        let what = if c.is_whitespace() {
            i += 1;
            None
        } else if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
            None
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
            None
        } else if let Some((hashes, quote)) = raw_string(&chars, i) {
            let end: Vec<char> = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            i = quote + 1;
            while i < chars.len() && !chars[i..].starts_with(&end) {
                i += 1;
            }
            let inside = chars[quote + 1..i].iter().collect();
            i += end.len();
            Some(What::Text(inside))
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            let inside = chars[start + 1..i.min(chars.len())].iter().collect();
            i += 1;
            Some(What::Text(inside))
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character; anything else after a quote is a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
            None
        } else if c.is_alphanumeric() || c == '_' {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            Some(What::Name(chars[start..i].iter().collect()))
        } else {
            i += 1;
            Some(What::Sign(c))
        };
        if let Some(what) = what {
            words.push(Word { line, what });
        }
        i = i.min(chars.len());
        line += chars[start..i].iter().filter(|c| **c == '\n').count();
    }
    words
}

/// Where a raw string begins at `i` (`r"`, `br#"` and so on): how many hashes, and where its quote is.
fn raw_string(chars: &[char], mut i: usize) -> Option<(usize, usize)> {
    if i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_') {
        return None;
    }
    if matches!(chars.get(i), Some('b' | 'c')) {
        i += 1;
    }
    if chars.get(i) != Some(&'r') {
        return None;
    }
    let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(i + 1 + hashes) == Some(&'"')).then_some((hashes, i + 1 + hashes))
}

/// The words without `#[cfg(test)] mod … { … }`.
pub fn without_tests(words: &[Word]) -> Vec<Word> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let is_test = ["#", "[", "cfg", "(", "test", ")", "]", "mod"]
            .iter()
            .enumerate()
            .all(|(n, expected)| {
                words.get(i + n).is_some_and(|word| match &word.what {
                    What::Name(name) => name == expected,
                    What::Sign(sign) => expected.starts_with(*sign),
                    What::Text(_) => false,
                })
            });
        if !is_test {
            kept.push(words[i].clone());
            i += 1;
            continue;
        }
        while i < words.len() && !words[i].is_sign('{') && !words[i].is_sign(';') {
            i += 1;
        }
        let mut depth = 0;
        while i < words.len() {
            depth += i32::from(words[i].is_sign('{')) - i32::from(words[i].is_sign('}'));
            i += 1;
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

/// Every path that starts at the crate's root, at the module itself or at the one around it, resolved to the
/// root; `use` groups one by one. `module` is the path of the file's own module.
pub fn imports(words: &[Word], module: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    // One entry for each open brace, with its name where it is a module's.
    let mut open: Vec<Option<String>> = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let word = &words[i];
        if word.is_sign('{') {
            let module = i >= 2 && words[i - 2].is("mod");
            open.push(
                words[i - usize::from(i > 0)]
                    .name()
                    .filter(|_| module)
                    .map(str::to_owned),
            );
        } else if word.is_sign('}') {
            open.pop();
        }
        let starts = ["crate", "super", "self", "made_open"]
            .iter()
            .any(|root| word.is(root));
        let goes_on_before = i >= 2 && words[i - 1].is_sign(':') && words[i - 2].is_sign(':');
        if !starts || goes_on_before || !is_path_sign(words, i + 1) {
            i += 1;
            continue;
        }
        let mut here: Vec<String> = module.to_vec();
        here.extend(open.iter().flatten().cloned());
        let mut prefix = match word.name() {
            Some("crate" | "made_open") => Vec::new(),
            Some("super") => up(here),
            _ => here,
        };
        i += 3;
        while words.get(i).is_some_and(|word| word.is("super")) && is_path_sign(words, i + 1) {
            prefix = up(prefix);
            i += 3;
        }
        i = follow(words, i, prefix, &mut found);
    }
    found
}

/// Follow one tree of a path from word `i` on; give the place behind it.
fn follow(words: &[Word], mut i: usize, mut path: Vec<String>, found: &mut Vec<Import>) -> usize {
    while let Some(word) = words.get(i) {
        match &word.what {
            What::Name(name) => {
                if name != "self" {
                    path.push(name.clone());
                }
                i += 1;
                if !is_path_sign(words, i) {
                    break;
                }
                i += 2;
            }
            What::Sign('{') => {
                i += 1;
                while words.get(i).is_some_and(|word| !word.is_sign('}')) {
                    let before = i;
                    i = follow(words, i, path.clone(), found);
                    // Over `as name`, to the comma or the end of the group.
                    while words
                        .get(i)
                        .is_some_and(|word| !word.is_sign(',') && !word.is_sign('}'))
                    {
                        i += 1;
                    }
                    if words.get(i).is_some_and(|word| word.is_sign(',')) {
                        i += 1;
                    }
                    assert!(i > before, "line {}: a group that does not end", word.line);
                }
                return i + 1;
            }
            What::Sign('*') => {
                i += 1;
                break;
            }
            _ => break,
        }
    }
    let line = words.get(i.saturating_sub(1)).map_or(0, |word| word.line);
    found.push(Import { line, path });
    i
}

fn is_path_sign(words: &[Word], i: usize) -> bool {
    words.get(i).is_some_and(|word| word.is_sign(':'))
        && words.get(i + 1).is_some_and(|word| word.is_sign(':'))
}

fn up(mut module: Vec<String>) -> Vec<String> {
    module.pop();
    module
}

/// Names of other crates that begin a path: `actix_web` in `use actix_web::web` and in `actix_web::get`.
pub fn begins_path_with(words: &[Word], krate: &str) -> Option<usize> {
    (0..words.len())
        .find(|&i| {
            let goes_on_before = i >= 2 && words[i - 1].is_sign(':') && words[i - 2].is_sign(':');
            let used_whole = i >= 1 && (words[i - 1].is("use") || words[i - 1].is("crate"));
            words[i].is(krate) && (used_whole || (!goes_on_before && is_path_sign(words, i + 1)))
        })
        .map(|i| words[i].line)
}

#[test]
fn words_are_told_from_comments_and_text() {
    let text =
        "//! crate::a\n/* b /* c */ d */ use r#\"x \" y\"#; 'e' '\\'' &'f str \"g\\\"h\" // i\nj";
    let told: Vec<String> = words(text)
        .iter()
        .map(|word| match &word.what {
            What::Name(name) => format!("{}:{name}", word.line),
            What::Text(text) => format!("{}:<{text}>", word.line),
            What::Sign(sign) => format!("{}:{sign}", word.line),
        })
        .collect();
    assert_eq!(
        told,
        [
            "2:use",
            "2:<x \" y>",
            "2:;",
            "2:&",
            "2:'",
            "2:f",
            "2:str",
            "2:<g\\\"h>",
            "3:j"
        ]
    );
}

#[test]
fn paths_are_followed_through_groups_supers_and_inline_modules() {
    let text = "use crate::{db::{self, tx::Tx}, base::*, kinds as k};
        pub(crate) fn a() { crate::fed::go(); super::b::c::<X>(); other::crate_thing(); }
        mod tests { use super::*; use super::super::d; }";
    let module = ["room".to_owned(), "file".to_owned()];
    let paths: Vec<String> = imports(&words(text), &module)
        .iter()
        .map(|import| import.path.join("::"))
        .collect();
    assert_eq!(
        paths,
        [
            "db",
            "db::tx::Tx",
            "base",
            "kinds",
            "fed::go",
            "room::b::c",
            "room::file",
            "room::d"
        ]
    );
}

#[test]
fn test_modules_are_left_out() {
    let kept = without_tests(&words(
        "a #[cfg(test)] mod tests { b { c } } d #[cfg(test)] mod e; f",
    ));
    assert_eq!(
        kept.iter().filter_map(Word::name).collect::<Vec<_>>(),
        ["a", "d", "f"]
    );
}
