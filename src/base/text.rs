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

/// More marks than a text of somebody's has, and what reading them may cost at most: marks that are open are opened again in
/// each block, and looked through for each end (S-84).
const MOST_MARKS: usize = 10_000;
const MOST_COST: usize = 1_000_000;

/// For each reference to a character the text before it is gone through once more.
const MOST_REFERENCES: usize = 5_000;

/// Without attributes no more than three of each of these are opened again.
const REOPENED: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

/// Foreign HTML, with nothing left in it that acts. What is nothing but marks is taken for text without any.
pub fn clean(html: &str) -> String {
    match is_dear(html) {
        true => format!("<p>{}</p>", escaped(&unmarked(html)).replace('\n', "<br>")),
        false => CLEANER.clean(html).to_string(),
    }
}

/// Whether reading it would take out of all proportion longer than it is long. Whatever looks like a mark counts as one, so
/// that nothing hides one.
fn is_dear(html: &str) -> bool {
    let (mut marks, mut reopened) = (0_usize, 3 * REOPENED.len());
    for part in html.split('<').skip(1) {
        let name = part.strip_prefix('/').unwrap_or(part);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        marks += 1;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric());
        let (name, rest) = name.split_at(end.unwrap_or(name.len()));
        let is_bare = rest.starts_with('>');
        if !is_bare && REOPENED.iter().any(|tag| name.eq_ignore_ascii_case(tag)) {
            reopened += 1;
        }
    }
    let references = html.bytes().filter(|byte| *byte == b'&').count();
    marks > MOST_MARKS || marks * reopened > MOST_COST || references > MOST_REFERENCES
}

/// A text without its marks, in one pass; blocks and breaks end a line.
fn unmarked(html: &str) -> String {
    let mut parts = html.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (mark, rest) = part.split_once('>').unwrap_or((part, ""));
        let name = mark.trim_start_matches('/').to_ascii_lowercase();
        let ends_line = ["p", "br", "li", "div", "h", "tr", "blockquote"];
        if ends_line.iter().any(|tag| name.starts_with(tag)) && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(rest);
    }
    unescaped(&text).trim().to_owned()
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
    if is_dear(html) {
        return unmarked(html);
    }
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
    fn s_84_nothing_but_marks_is_read_as_text() {
        let many = |part: &str| part.repeat(900_000 / part.len());
        let mut open: String = (0..200).map(|n| format!("<b id={n}>")).collect();
        open += &many("<p>x");
        for bad in [
            many("<b><i>"),
            many("<ul>"),
            many("<b a=1></b>"),
            many("<table><tr>"),
            many("<b a=1><table></b></table>"),
            many("</p></div></x>"),
            many("<a href='https://a.example'>x"),
            many("&#"),
            many("&amp"),
            many("<p>&amp;"),
            open,
        ] {
            let began = std::time::Instant::now();
            for told in [clean(&bad), html(&bad), plain(&bad)] {
                assert!(told.len() <= bad.len() * 4);
                assert!(
                    !told.contains("<b>") && !told.contains("<b "),
                    "{}",
                    excerpt(&told, 80)
                );
            }
            // Ten times as long as a build for use takes, and more.
            assert!(
                began.elapsed() < std::time::Duration::from_secs(8),
                "{}",
                excerpt(&bad, 80)
            );
        }
        // It is the text that is left, and nothing of it acts.
        let loud = format!(
            "<p>One &amp; two</p><p>three<script>four</script>{}",
            many("<b>")
        );
        assert_eq!(plain(&loud), "One & two\nthreefour");
        assert_eq!(clean(&loud), "<p>One &amp; two<br>threefour</p>");
        let sly = format!("&lt;script&gt;x&lt;/script&gt;{}", many("<i>"));
        assert_eq!(clean(&sly), "<p>&lt;script&gt;x&lt;/script&gt;</p>");
        // Long texts of people keep their marks.
        let long =
            "<p>Some <strong>words</strong> and <a href=\"https://a.example/\">links</a>.</p>"
                .repeat(300);
        assert!(clean(&long).contains("<strong>words</strong>"));
    }

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
