//! The words of letters about accounts, from `templates/mail`. What people wrote themselves is cleaned before it is put
//! in, so that no name becomes a header, a link or a text of its own (S-105).

use super::links::Purpose;

/// The longest name that a letter greets with.
const LONGEST_NAME: usize = 60;

/// What is put into a letter.
pub struct Words<'a> {
    /// The hub's host.
    pub hub: &'a str,
    /// What the account calls itself.
    pub name: Option<&'a str>,
    pub email: &'a str,
    pub new_email: &'a str,
    pub link: &'a str,
    pub code: &'a str,
}

/// Subject and text.
pub fn write(purpose: Purpose, words: &Words<'_>) -> (String, String) {
    let template = match purpose {
        Purpose::Invite => include_str!("../../../templates/mail/invite.txt"),
        Purpose::MagicLink => include_str!("../../../templates/mail/magic_link.txt"),
        Purpose::Recovery => include_str!("../../../templates/mail/recovery.txt"),
        Purpose::EmailChangeNew => include_str!("../../../templates/mail/email_change_new.txt"),
        Purpose::EmailChangeCurrent => {
            include_str!("../../../templates/mail/email_change_current.txt")
        }
        Purpose::Reauthentication => include_str!("../../../templates/mail/reauthentication.txt"),
        Purpose::Signup | Purpose::FirstAccount | Purpose::Invitation => {
            include_str!("../../../templates/mail/signup.txt")
        }
    };
    let (subject, text) = template.split_once('\n').unwrap_or((template, ""));
    (filled(subject, words), filled(text.trim_start(), words))
}

/// A template with its places filled; what is put in is not looked at again.
fn filled(template: &str, words: &Words<'_>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match place {
            "hub" => text.push_str(&one_line(words.hub)),
            "greeting" => text.push_str(&greeting(words.name)),
            "email" => text.push_str(&one_line(words.email)),
            "new_email" => text.push_str(&one_line(words.new_email)),
            "link" => text.push_str(&one_line(words.link)),
            "code" => text.push_str(&one_line(words.code)),
            other => text.push_str(other),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// `Hello Ada Lovelace,` if that is a name: mail programs make links of anything with a dot or a slash in it.
fn greeting(name: Option<&str>) -> String {
    let kept: String = name
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_alphabetic() || "'-’".contains(c) {
                c
            } else {
                ' '
            }
        })
        .collect();
    let name = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        "Hello,".to_owned()
    } else {
        format!("Hello {name},")
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'a>(name: Option<&'a str>, link: &'a str) -> Words<'a> {
        Words {
            hub: "hub.example",
            name,
            email: "ada@example.org",
            new_email: "countess@example.org",
            link,
            code: "012345",
        }
    }

    #[test]
    fn every_letter_is_complete() {
        for purpose in [
            Purpose::Signup,
            Purpose::Invite,
            Purpose::MagicLink,
            Purpose::Recovery,
            Purpose::EmailChangeNew,
            Purpose::EmailChangeCurrent,
            Purpose::Reauthentication,
        ] {
            let (subject, text) = write(purpose, &words(Some("Ada"), "https://hub.example/v?a=b"));
            assert!(subject.contains("hub.example"), "{purpose:?}: {subject}");
            assert!(
                !subject.contains("012345"),
                "a code is not for lock screens"
            );
            assert!(text.starts_with("Hello Ada,\n"), "{purpose:?}: {text}");
            assert!(text.contains("012345"), "{purpose:?}: {text}");
            let has_link = text.lines().any(|line| line == "https://hub.example/v?a=b");
            assert_eq!(
                has_link,
                purpose != Purpose::Reauthentication,
                "{purpose:?}"
            );
            assert!(!text.contains(['{', '}']), "{purpose:?}: {text}");
        }
    }

    #[test]
    fn s_105_a_name_stays_a_name() {
        for (name, greets) in [
            ("Ada Lovelace", "Hello Ada Lovelace,"),
            ("Anne-Marie d'Été", "Hello Anne-Marie d'Été,"),
            ("a\r\nBcc: b@c.example", "Hello a Bcc b c example,"),
            ("{link}{code}", "Hello link code,"),
            ("https://evil.example/win", "Hello https evil example win,"),
            ("\u{202e}\u{0}\n", "Hello,"),
            (&"x".repeat(61), "Hello,"),
        ] {
            let (subject, text) =
                write(Purpose::Signup, &words(Some(name), "https://hub.example/"));
            assert_eq!(text.lines().next(), Some(greets));
            assert!(!subject.contains(['\r', '\n']));
        }
    }
}
