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

/// A name of a stranger for people's eyes: one line, no control or direction marks, nothing invisible (S-50).
pub fn name(given: &str) -> String {
    let kept: String = given
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_hidden(*c))
        .collect();
    kept.split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
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
        assert_eq!(name("A\u{202e}l\u{200b}ice\n Liddell "), "Alice Liddell");
    }
}
