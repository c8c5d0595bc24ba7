//! Names and hashtags in what somebody writes: found in the Markdown, and made links where they stand in running text.

use std::collections::HashMap;

use crate::base::text;

/// Marks around the number of a piece while Markdown is rendered; they mean nothing and are taken out of what is written.
const MARKS: (char, char) = ('\u{e000}', '\u{e001}');

/// The most pieces that are looked at in one text.
const MOST: usize = 200;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `@name` or `@name@host`, as it was written.
    Mention(String),
    /// `#tag`, without the sign.
    Tag(String),
}

/// A text with its pieces marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    text: String,
    pub pieces: Vec<Piece>,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub href: String,
    /// What is shown: `@name`.
    pub shown: String,
}

/// Find names and hashtags.
pub fn marked(markdown: &str) -> Marked {
    let chars: Vec<char> = markdown
        .chars()
        .filter(|c| *c != MARKS.0 && *c != MARKS.1)
        .collect();
    let mut out = String::with_capacity(markdown.len());
    let mut pieces = Vec::new();
    let mut before = ' ';
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let rest = chars.get(at + 1..).unwrap_or_default();
        let is_free = !(before.is_alphanumeric() || matches!(before, '/' | '@' | '#' | '&' | '_'));
        let found = match c {
            '@' if is_free => mention(rest),
            '#' if is_free => tag(rest),
            _ => None,
        };
        match found {
            Some((piece, length)) if pieces.len() < MOST => {
                out.push(MARKS.0);
                out.push_str(&pieces.len().to_string());
                out.push(MARKS.1);
                pieces.push(piece);
                before = 'x';
                at += length + 1;
            }
            _ => {
                out.push(c);
                before = c;
                at += 1;
            }
        }
    }
    Marked { text: out, pieces }
}

fn mention(rest: &[char]) -> Option<(Piece, usize)> {
    let name = run(rest, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
    });
    let name = trimmed(rest, name);
    if name == 0 || name > 64 {
        return None;
    }
    let mut length = name;
    if rest.get(name) == Some(&'@') {
        let after = rest.get(name + 1..).unwrap_or_default();
        let host = trimmed(
            after,
            run(after, |c| c.is_alphanumeric() || matches!(c, '.' | '-')),
        );
        if host > 0 && host <= 253 {
            length = name + 1 + host;
            let port = after.get(host + 1..).unwrap_or_default();
            let digits = run(port, |c| c.is_ascii_digit());
            if after.get(host) == Some(&':') && (1..=5).contains(&digits) {
                length += 1 + digits;
            }
        }
    }
    let written: String = rest.iter().take(length).collect();
    Some((Piece::Mention(format!("@{written}")), length))
}

fn tag(rest: &[char]) -> Option<(Piece, usize)> {
    let length = run(rest, |c| c.is_alphanumeric() || c == '_');
    let word: String = rest.iter().take(length).collect();
    let is_tag = length <= 100 && word.chars().any(|c| !c.is_ascii_digit() && c != '_');
    is_tag.then_some((Piece::Tag(word), length))
}

fn run(chars: &[char], is_part: impl Fn(char) -> bool) -> usize {
    chars.iter().take_while(|c| is_part(**c)).count()
}

/// Without the full stops and dashes at its end.
fn trimmed(chars: &[char], length: usize) -> usize {
    let taken = chars.get(..length).unwrap_or_default();
    let tail = taken
        .iter()
        .rev()
        .take_while(|c| matches!(c, '.' | '-'))
        .count();
    length - tail
}

impl Marked {
    /// The text as safe HTML. Names that lead somewhere and hashtags are links, but not in code and not within links.
    pub fn html(&self, links: &HashMap<String, Link>, base: &str) -> String {
        let rendered = text::html(&self.text);
        let mut out = String::with_capacity(rendered.len());
        let mut rest = rendered.as_str();
        let mut closed_in = 0_usize;
        while let Some(c) = rest.chars().next() {
            if c == '<' {
                let (whole, tail) = match rest.find('>') {
                    Some(end) => rest.split_at(end + 1),
                    None => (rest, ""),
                };
                let name = whole.trim_start_matches(['<', '/']);
                let is_closed = ["a ", "a>", "code", "pre"]
                    .iter()
                    .any(|tag| name.starts_with(tag));
                match (is_closed, whole.starts_with("</")) {
                    (true, true) => closed_in = closed_in.saturating_sub(1),
                    (true, false) => closed_in += 1,
                    _ => {}
                }
                // A mark within a tag is only text there.
                out.push_str(&self.unmarked(whole));
                rest = tail;
            } else if c == MARKS.0 {
                let (number, tail) = split_mark(rest);
                if let Some(piece) = number.and_then(|number| self.pieces.get(number)) {
                    match closed_in {
                        0 => out.push_str(&said(piece, links, base)),
                        _ => out.push_str(&text::escaped(&written(piece))),
                    }
                }
                rest = tail;
            } else {
                let end = rest.find(['<', MARKS.0]).unwrap_or(rest.len());
                let (plain, tail) = rest.split_at(end);
                out.push_str(plain);
                rest = tail;
            }
        }
        out
    }

    fn unmarked(&self, part: &str) -> String {
        let mut out = String::with_capacity(part.len());
        let mut rest = part;
        while let Some(start) = rest.find(MARKS.0) {
            let (plain, marked) = rest.split_at(start);
            out.push_str(plain);
            let (number, tail) = split_mark(marked);
            if let Some(piece) = number.and_then(|number| self.pieces.get(number)) {
                out.push_str(&text::escaped(&written(piece)));
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

/// The number of a mark at the beginning, and what comes after it.
fn split_mark(rest: &str) -> (Option<usize>, &str) {
    let inside = rest.get(MARKS.0.len_utf8()..).unwrap_or_default();
    match inside.split_once(MARKS.1) {
        Some((number, tail)) if number.len() <= 4 => (number.parse().ok(), tail),
        _ => (None, inside),
    }
}

fn written(piece: &Piece) -> String {
    match piece {
        Piece::Mention(name) => name.clone(),
        Piece::Tag(tag) => format!("#{tag}"),
    }
}

fn said(piece: &Piece, links: &HashMap<String, Link>, base: &str) -> String {
    match piece {
        Piece::Mention(name) => match links.get(name) {
            Some(link) => format!(
                "<span class=\"h-card\"><a href=\"{}\" class=\"u-url mention\" rel=\"nofollow noopener noreferrer ugc\">{}</a></span>",
                text::escaped(&link.href),
                text::escaped(&link.shown),
            ),
            None => text::escaped(name),
        },
        Piece::Tag(tag) => format!(
            "<a href=\"{}\" class=\"mention hashtag\" rel=\"nofollow noopener noreferrer ugc\">#{}</a>",
            text::escaped(&tag_url(base, tag)),
            text::escaped(tag),
        ),
    }
}

/// Where a hashtag leads.
pub fn tag_url(base: &str, tag: &str) -> String {
    let word: String =
        url::form_urlencoded::byte_serialize(tag.to_lowercase().as_bytes()).collect();
    format!("{base}/tags/{word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        let link = |href: &str, shown: &str| Link {
            href: href.into(),
            shown: shown.into(),
        };
        let links = HashMap::from([
            (
                "@bob@masto.example".to_owned(),
                link("https://masto.example/@bob", "@bob"),
            ),
            (
                "@alice".to_owned(),
                link("https://hub.example/@alice", "@alice"),
            ),
        ]);
        marked(markdown).html(&links, "https://hub.example")
    }

    #[test]
    fn names_and_tags_become_links_where_they_are_text() {
        let said = html(
            "Hi @bob@masto.example, see #Rust and `@alice #x` or [@alice](https://x.example/#Rust).",
        );
        assert!(said.contains("<span class=\"h-card\"><a href=\"https://masto.example/@bob\" class=\"u-url mention\""), "{said}");
        assert!(
            said.contains("href=\"https://hub.example/tags/rust\""),
            "{said}"
        );
        assert!(said.contains("<code>@alice #x</code>"), "{said}");
        assert!(said.contains("href=\"https://x.example/#Rust\""), "{said}");
        assert_eq!(said.matches("u-url").count(), 1, "{said}");
        assert!(!said.contains('\u{e000}') && !said.contains('\u{e001}'));
        assert!(!said.contains("mailto:"), "{said}");
    }

    #[test]
    fn what_is_no_name_stays_as_it_is() {
        let none = |text: &str| assert_eq!(marked(text).pieces, [], "{text}");
        none("mail me at bob@masto.example");
        none("issue #12, a & b, https://x.example/@bob, C#sharp");
        none("@ # @@ ##");
        assert_eq!(
            marked("@bob@masto.example:8443. #été_2").pieces,
            [
                Piece::Mention("@bob@masto.example:8443".into()),
                Piece::Tag("été_2".into())
            ],
        );
        assert_eq!(html("@nobody is here"), "<p>@nobody is here</p>");
    }

    #[test]
    fn marks_that_somebody_writes_are_nothing() {
        assert_eq!(html("a\u{e000}0\u{e001}b #x"), html("a0b #x"));
    }

    #[test]
    fn s_101_a_name_cannot_carry_html() {
        let said = html("@<script>alert(1)</script> #<b> @bob\"onclick=1");
        assert!(
            !said.contains("<script") && !said.contains("onclick=\""),
            "{said}"
        );
    }

    #[test]
    fn what_was_made_safe_stays_safe() {
        for text in [
            "#a <a href=\"https://x.example/?@bob@masto.example\">@alice</a>",
            "> #a\n\n* @alice",
        ] {
            let said = html(text);
            assert_eq!(crate::base::text::clean(&said), said);
        }
    }
}
