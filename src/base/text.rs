//! Text of people and of strangers as HTML that is safe to show: Markdown rendered and cleaned, foreign HTML cleaned by a
//! list of what is allowed, and plain text out of either.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;

/// What may stand in a text (FEP-b2b8 and what Markdown makes).
const TAGS: &[&str] = &[
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::empty();
    cleaner
        .tags(TAGS.iter().copied().collect::<HashSet<_>>())
        .add_tag_attributes("a", &["href"])
        .add_tag_attributes("ol", &["start", "reversed"])
        .add_tag_attributes("li", &["value"])
        .add_allowed_classes("a", &["mention", "hashtag", "u-url"])
        .add_allowed_classes("span", &["h-card", "invisible", "ellipsis"])
        .url_schemes(["http", "https", "mailto"].into_iter().collect())
        .link_rel(Some("nofollow noopener noreferrer ugc"))
        .clean_content_tags(
            [
                "script", "style", "svg", "math", "iframe", "template", "noscript", "title",
            ]
            .into_iter()
            .collect(),
        );
    cleaner
});

/// Foreign HTML, with nothing left in it that acts.
pub fn clean(html: &str) -> String {
    CLEANER.clean(html).to_string()
}

/// Markdown as safe HTML.
pub fn html(markdown: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.table = true;
    options.render.hardbreaks = true;
    // Raw HTML is taken through and cleaned with everything else.
    options.render.r#unsafe = true;
    let rendered = comrak::markdown_to_html(markdown, &options);
    clean(&rendered).trim_end().to_owned()
}

/// One line of Markdown as safe HTML without a paragraph around it.
pub fn inline(markdown: &str) -> String {
    let html = html(markdown);
    html.strip_prefix("<p>")
        .and_then(|rest| rest.strip_suffix("</p>"))
        .filter(|inner| !inner.contains("<p>"))
        .map_or(html.clone(), str::to_owned)
}

/// Text as HTML writes it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// What HTML says, without marks: blocks and breaks become line ends.
pub fn plain(html: &str) -> String {
    static BARE: LazyLock<Builder<'static>> = LazyLock::new(|| {
        let mut bare = Builder::empty();
        bare.clean_content_tags(["script", "style"].into_iter().collect());
        bare
    });
    let broken = html
        .replace("</p>", "</p>\n\n")
        .replace("<br>", "<br>\n")
        .replace("<br/>", "<br/>\n")
        .replace("<br />", "<br />\n")
        .replace("</li>", "</li>\n");
    let bare = BARE.clean(&broken).to_string();
    unescaped(&bare).trim().to_owned()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&")
}

/// A name of a stranger for people's eyes: one line, no control or direction marks, nothing invisible (S-50). The two marks
/// that join or part letters stay where a script or an emoji needs them.
pub fn name(given: &str) -> String {
    short_name(given, 200)
}

/// The same with another limit of characters.
pub fn short_name(given: &str, longest: usize) -> String {
    let shown: Vec<char> = given
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| is_joiner(*c) || !is_hidden(*c))
        .collect();
    let at = |place: Option<usize>| place.and_then(|place| shown.get(place)).copied();
    let kept = shown.iter().enumerate().filter_map(|(place, c)| {
        let joins = || is_joined(at(place.checked_sub(1))) && is_joined(at(place.checked_add(1)));
        (!is_joiner(*c) || joins()).then_some(*c)
    });
    let line: String = kept.collect();
    line.split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(longest)
        .collect()
}

/// The zero width non-joiner and joiner.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether it may be joined: Latin, Greek and Cyrillic letters, where a joiner could only hide, are written without one.
fn is_joined(c: Option<char>) -> bool {
    c.is_some_and(|c| c >= '\u{590}' && !matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'))
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether it looks like the tag of a language.
pub fn is_language(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// A short name for what a text says, the same on every machine.
pub fn tag(text: &str) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let short = sum.as_ref().iter().take(12);
    short.map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a text, whole characters.
pub fn excerpt(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_101_nothing_that_acts_is_left() {
        for bad in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=\"data:text/html,x\">x</a>",
            "<svg onload=alert(1)>",
            "<math><annotation-xml><p></p></annotation-xml></math>",
            "<iframe srcdoc=\"<script>\"></iframe>",
            "<base href=//evil>",
            "<form action=x><input></form>",
            "<meta http-equiv=refresh>",
            "<p style=\"background:url(//evil)\">x</p>",
            "<p onclick=x>y</p>",
        ] {
            for cleaned in [clean(bad), html(bad)] {
                for sign in [
                    "<script",
                    "onerror",
                    "javascript:",
                    "data:",
                    "<svg",
                    "<math",
                    "<iframe",
                    "<base",
                    "<form",
                    "<meta",
                    "style=",
                    "onclick",
                    "<img",
                ] {
                    assert!(!cleaned.contains(sign), "{bad} left {cleaned}");
                }
                assert_eq!(clean(&cleaned), cleaned, "cleaning twice changes nothing");
            }
        }
    }

    #[test]
    fn markdown_reads_well() {
        assert_eq!(
            html("Some *rust*, rides\nwell."),
            "<p>Some <em>rust</em>, rides<br>\nwell.</p>"
        );
        assert_eq!(inline("bike repair"), "bike repair");
        assert!(
            html("see https://hub.example/x").contains("rel=\"nofollow noopener noreferrer ugc\"")
        );
    }

    #[test]
    fn plain_text_comes_out_again() {
        assert_eq!(plain("<p>a &amp; b</p><p>c<br>d</p>"), "a & b\n\nc\nd");
        assert_eq!(plain("&amp;lt;b&gt;"), "&lt;b>");
    }

    #[test]
    fn s_50_names_hide_nothing() {
        for (given, shown) in [
            ("A\u{202e}l\u{200b}ice\n Liddell ", "Alice Liddell"),
            ("\u{202e}ecila", "ecila"),
            ("a\u{0}b\u{9}c", "ab c"),
            ("\u{2066}x\u{2069}", "x"),
            ("раураl", "раураl"),
            ("ali\u{200d}ce", "alice"),
            ("р\u{200c}а", "ра"),
            ("\u{200d}\u{200c}x\u{200d}", "x"),
            ("\u{1f469}\u{200d}\u{200d}\u{1f4bb}", "\u{1f469}\u{1f4bb}"),
        ] {
            assert_eq!(name(given), shown, "{given:?}");
        }
        assert_eq!(name(&"x".repeat(300)).len(), 200);
    }

    #[test]
    fn joiners_stay_where_scripts_need_them() {
        for given in [
            "\u{1f469}\u{200d}\u{1f4bb}",
            "\u{1f468}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f468}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
        ] {
            assert_eq!(name(given), given);
        }
    }
}
