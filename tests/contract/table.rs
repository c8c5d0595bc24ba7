//! The contract table: reads `cases/*.txt` into cases, and tells where an answer differs from what a case expects.
//! The format, in short: `### name`, `METHOD /path?query`, request headers, `> body` lines, `=== status`, response headers, body.
//! Nothing here knows how a request is sent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what is wrong"
)]

use serde_json::Value;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: the public key, or no token at all.
    Anon,
    /// Any signed-in user.
    Authenticated,
    /// Whoever sends exactly this bearer token.
    Token(String),
}

/// One request and what must come back.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Line of the case's name in its file.
    pub line: usize,
    /// The rows are put back before this case.
    pub reset: bool,
    pub caller: Caller,
    pub method: String,
    /// Path and query, relative to the door, ready for the wire.
    pub target: String,
    /// The case's own headers and the defaults it did not name.
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub want: Want,
}

/// What must come back.
#[derive(Debug, Clone)]
pub struct Want {
    /// Any of these.
    pub status: Vec<u16>,
    pub headers: Vec<(String, HeaderWant)>,
    pub body: BodyWant,
}

/// What a response header must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderWant {
    Is(String),
    Contains(String),
    Absent,
}

/// What the response body must be.
#[derive(Debug, Clone)]
pub enum BodyWant {
    Anything,
    Empty,
    /// Equal as JSON, whatever the order of an object's keys.
    Json(Value),
    /// Equal as JSON, keys in this order.
    Ordered(Value),
    /// Objects need only have these keys.
    Partial(Value),
    /// Raw text that is (true) or is not (false) in the body.
    Text(Vec<(bool, String)>),
    /// Equal cell by cell.
    Csv(String),
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Reads one file of cases. The error says the line.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut cases: Vec<Case> = Vec::new();
    let mut reset = true;
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        at += 1;
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if line == "reset" {
            reset = true;
            continue;
        }
        let Some(name) = line.strip_prefix("### ") else {
            return Err(format!("line {at}: neither a case nor a comment: {line}"));
        };
        if cases.iter().any(|c| c.name == name) {
            return Err(format!("line {at}: a second case named {name}"));
        }
        let first = at;
        let end = lines[at..]
            .iter()
            .position(|l| l.is_empty() || l.starts_with("### "))
            .map_or(lines.len(), |n| at + n);
        let case = parse_case(name, first, reset, &lines[at..end])
            .map_err(|e| format!("line {first} ({name}): {e}"))?;
        cases.push(case);
        reset = false;
        at = end;
    }
    Ok(cases)
}

/// Every way in which the answer is not what the case expects.
pub fn differences(want: &Want, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if !want.status.contains(&answer.status) {
        let allowed: Vec<String> = want.status.iter().map(u16::to_string).collect();
        found.push(format!(
            "status: expected {}, got {}",
            allowed.join(" or "),
            answer.status
        ));
    }
    for (name, expected) in &want.headers {
        let values: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        let got = values.join(", ");
        let fits = match expected {
            HeaderWant::Is(v) => !values.is_empty() && got == *v,
            HeaderWant::Contains(v) => got.contains(v.as_str()),
            HeaderWant::Absent => values.is_empty(),
        };
        if !fits {
            found.push(format!(
                "header {name}: expected {expected:?}, got {values:?}"
            ));
        }
    }
    let text = String::from_utf8_lossy(&answer.body);
    let json = || {
        serde_json::from_slice::<Value>(&answer.body)
            .map_err(|e| format!("body: not JSON ({e}): {text}"))
    };
    let compared = match &want.body {
        BodyWant::Anything => Ok(()),
        BodyWant::Empty if answer.body.is_empty() => Ok(()),
        BodyWant::Empty => Err(format!("body: expected none, got {text}")),
        BodyWant::Json(v) => json().and_then(|got| same(v, &got, Mode::Whole, "")),
        BodyWant::Ordered(v) => json().and_then(|got| same(v, &got, Mode::Ordered, "")),
        BodyWant::Partial(v) => json().and_then(|got| same(v, &got, Mode::Partial, "")),
        BodyWant::Text(parts) => parts
            .iter()
            .find(|(there, part)| text.contains(part.as_str()) != *there)
            .map_or(Ok(()), |(there, part)| {
                let word = if *there { "expected" } else { "did not expect" };
                Err(format!("body: {word} the text {part:?} in {text}"))
            }),
        BodyWant::Csv(v) if cells(v) == cells(&text) => Ok(()),
        BodyWant::Csv(v) => Err(format!("body: expected csv\n{v}\ngot\n{text}")),
    };
    found.extend(compared.err());
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Whole,
    Ordered,
    Partial,
}

fn parse_case(name: &str, line: usize, reset: bool, lines: &[&str]) -> Result<Case, String> {
    let mut rest = lines.iter().copied().peekable();
    let mut caller = Caller::Anon;
    if let Some(who) = rest.peek().and_then(|l| l.strip_prefix("as: ")) {
        caller = match who.split_once(' ') {
            None if who == "anon" => Caller::Anon,
            None if who == "authenticated" => Caller::Authenticated,
            Some(("token", token)) => Caller::Token(token.to_owned()),
            _ => return Err(format!("unknown caller {who}")),
        };
        rest.next();
    }
    let request = rest.next().ok_or("no request line")?;
    let (method, target) = request
        .split_once(' ')
        .ok_or("no path in the request line")?;
    if !target.starts_with('/') {
        return Err(format!("the path must begin with a slash: {target}"));
    }
    let mut own: Vec<(String, String)> = Vec::new();
    let mut body: Option<String> = None;
    let status = loop {
        let line = rest.next().ok_or("no status line")?;
        if let Some(status) = line.strip_prefix("=== ") {
            break status;
        }
        if let Some(part) = line.strip_prefix('>') {
            let part = part.strip_prefix(' ').unwrap_or(part);
            match &mut body {
                None => body = Some(part.to_owned()),
                Some(b) => {
                    b.push('\n');
                    b.push_str(part);
                }
            }
        } else {
            own.push(header(line).ok_or_else(|| format!("not a header: {line}"))?);
        }
    };
    let status = status
        .split('|')
        .map(|s| s.parse().map_err(|_| format!("not a status: {s}")))
        .collect::<Result<Vec<u16>, String>>()?;
    let mut headers = Vec::new();
    while let Some((name, value)) = rest.peek().and_then(|l| header(l)) {
        let want = match (value.strip_prefix('~'), value.as_str()) {
            (Some(part), _) => HeaderWant::Contains(part.to_owned()),
            (None, "-") => HeaderWant::Absent,
            _ => HeaderWant::Is(value),
        };
        headers.push((name, want));
        rest.next();
    }
    let body_want = parse_body(&rest.collect::<Vec<_>>())?;
    let body = body.map(|b| expand(&b)).transpose()?;
    Ok(Case {
        name: name.to_owned(),
        line,
        reset,
        caller,
        method: method.to_owned(),
        target: encode(&expand(target)?),
        headers: with_defaults(method, body.is_some(), own),
        body,
        want: Want {
            status,
            headers,
            body: body_want,
        },
    })
}

fn parse_body(lines: &[&str]) -> Result<BodyWant, String> {
    let Some(&first) = lines.first() else {
        return Ok(BodyWant::Anything);
    };
    let joined = lines.join("\n");
    let json =
        |s: &str| serde_json::from_str::<Value>(s).map_err(|e| format!("expected body: {e}"));
    if joined == "\"\"" {
        return Ok(BodyWant::Empty);
    }
    if first.starts_with('|') {
        let rows = lines
            .iter()
            .map(|l| l.strip_prefix('|').ok_or(format!("not a csv line: {l}")));
        return Ok(BodyWant::Csv(
            rows.collect::<Result<Vec<_>, _>>()?.join("\n"),
        ));
    }
    if first.starts_with('~') || first.starts_with("!~") {
        let parts = lines
            .iter()
            .map(|l| match (l.strip_prefix("!~"), l.strip_prefix('~')) {
                (Some(part), _) => Ok((false, part.to_owned())),
                (None, Some(part)) => Ok((true, part.to_owned())),
                (None, None) => Err(format!("not a text line: {l}")),
            });
        return Ok(BodyWant::Text(parts.collect::<Result<_, _>>()?));
    }
    if let Some(rest) = joined.strip_prefix("<=") {
        return Ok(BodyWant::Partial(json(rest)?));
    }
    if let Some(rest) = joined.strip_prefix('!') {
        return Ok(BodyWant::Ordered(json(rest)?));
    }
    Ok(BodyWant::Json(json(&joined)?))
}

/// `Name: value`, the name of letters and dashes.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    named.then(|| (name.to_owned(), value.trim().to_owned()))
}

fn with_defaults(
    method: &str,
    has_body: bool,
    own: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let mut defaults = vec![("Accept", "application/json")];
    if matches!(method, "GET" | "HEAD") {
        defaults.push(("Accept-Profile", "shop"));
    } else {
        defaults.push(("Content-Profile", "shop"));
    }
    if has_body {
        defaults.push(("Content-Type", "application/json"));
    }
    defaults.retain(|(name, _)| !own.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)));
    let defaults = defaults
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let own = own.into_iter().filter(|(_, v)| v != "-");
    defaults.chain(own).collect()
}

/// `{{3*ab}}` is ababab; of a run of closing braces the last two close.
fn expand(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let inside = &rest[start + 2..];
        let counted = inside
            .split_once('*')
            .and_then(|(n, after)| Some((n.parse::<usize>().ok()?, after)));
        let Some((count, after)) = counted else {
            out.push_str(&rest[..start + 2]);
            rest = inside;
            continue;
        };
        let mut close = after.find("}}").ok_or("a repetition that is not closed")?;
        while after[close + 2..].starts_with('}') {
            close += 1;
        }
        out.push_str(&rest[..start]);
        out.push_str(&after[..close].repeat(count));
        rest = &after[close + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// What HTTP does not carry as it stands; percent signs are the case's own.
fn encode(target: &str) -> String {
    let mut out = String::new();
    for byte in target.bytes() {
        match byte {
            b'"'
            | b'<'
            | b'>'
            | b'`'
            | b'^'
            | b'{'
            | b'}'
            | b'|'
            | b'\\'
            | b'['
            | b']'
            | b' '
            | 0..=31
            | 127.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn same(want: &Value, got: &Value, mode: Mode, at: &str) -> Result<(), String> {
    let differs = || {
        Err(format!(
            "body at {}: expected {want}, got {got}",
            if at.is_empty() { "the top" } else { at }
        ))
    };
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            if mode != Mode::Partial && w.len() != g.len()
                || mode == Mode::Ordered && !w.keys().eq(g.keys())
            {
                return differs();
            }
            w.iter().try_for_each(|(key, value)| {
                let missing = if mode == Mode::Partial {
                    Some(&Value::Null)
                } else {
                    None
                };
                match g.get(key).or(missing) {
                    Some(found) => same(value, found, mode, &format!("{at}.{key}")),
                    None => differs(),
                }
            })
        }
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() => {
            let mut pairs = w.iter().zip(g).enumerate();
            pairs.try_for_each(|(i, (w, g))| same(w, g, mode, &format!("{at}[{i}]")))
        }
        (Value::Number(w), Value::Number(g)) => {
            let equal = match (w.as_i64(), g.as_i64()) {
                (Some(w), Some(g)) => w == g,
                _ => w.as_f64() == g.as_f64(),
            };
            if equal { Ok(()) } else { differs() }
        }
        (Value::String(w), Value::String(g)) if mode == Mode::Partial => {
            let fits = match (w.strip_prefix('~'), w.strip_prefix('=')) {
                (Some(part), _) => g.contains(part),
                (None, Some(any)) => any.split('|').any(|one| one == g),
                (None, None) => w == g,
            };
            if fits { Ok(()) } else { differs() }
        }
        _ if want == got => Ok(()),
        _ => differs(),
    }
}

fn cells(text: &str) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .records()
        .map(|row| {
            row.map_or_else(
                |e| vec![format!("unreadable: {e}")],
                |r| r.iter().map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Range".into(), "0-1/*".into())],
            body: body.into(),
        }
    }

    #[test]
    fn a_case_with_everything() {
        let text = "# a comment\n\n### one\nas: authenticated\nPOST /t?a={{3*xy}}&b=\"\nPrefer: x\nContent-Profile: -\n> {\"a\":\n>\n> 1}\n=== 200|201\nA: b\nC: ~d\nE: -\n<={\"a\":\"~x\"}\n\nreset\n\n### two\nGET /\n=== 204\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.len(), 2);
        let one = &cases[0];
        assert_eq!(
            (one.line, one.reset, &one.caller),
            (3, true, &Caller::Authenticated)
        );
        assert_eq!(one.target, "/t?a=xyxyxy&b=%22");
        assert_eq!(one.body.as_deref(), Some("{\"a\":\n\n1}"));
        assert_eq!(one.want.status, [200, 201]);
        assert_eq!(one.want.headers[1].1, HeaderWant::Contains("d".into()));
        assert!(!one.headers.iter().any(|(n, _)| n == "Content-Profile"));
        assert!(
            one.headers
                .iter()
                .any(|(n, v)| n == "Content-Type" && v == "application/json")
        );
        assert!(cases[1].reset && matches!(cases[1].want.body, BodyWant::Anything));
    }

    #[test]
    fn what_is_no_case_is_an_error() {
        for text in [
            "hello",
            "### a",
            "### a\nGET x\n=== 200",
            "### a\nGET /x\n=== ok",
            "### a\nGET /x\n=== 200\n{",
            "### a\nGET /\n=== 200\n\n### a\nGET /\n=== 200",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn repetitions() {
        assert_eq!(
            expand("[{\"a\":0}{{2*,{\"a\":1}}}]").unwrap(),
            "[{\"a\":0},{\"a\":1},{\"a\":1}]"
        );
        assert_eq!(expand("{{2*[}}{{2*]}} }").unwrap(), "[[]] }");
        assert_eq!(
            expand("{{plain}} {\"a\":{}}").unwrap(),
            "{{plain}} {\"a\":{}}"
        );
        assert!(expand("{{2*x").is_err());
    }

    #[test]
    fn bodies_are_compared() {
        let check = |body: &str, got: &str| {
            let want = Want {
                status: vec![200],
                headers: vec![],
                body: parse_body(&body.lines().collect::<Vec<_>>()).unwrap(),
            };
            differences(&want, &answer(200, got)).is_empty()
        };
        assert!(check("[{\"a\":1,\"b\":2.50}]", "[{\"b\":2.5,\"a\":1}]"));
        assert!(!check("[{\"a\":1}]", "[{\"a\":1,\"b\":2}]"));
        assert!(check("<=[{\"a\":1,\"c\":null}]", "[{\"a\":1,\"b\":2}]"));
        assert!(!check("<=[{\"a\":1}]", "[]"));
        assert!(check(
            "<={\"a\":\"~x\",\"b\":\"=1|2\"}",
            "{\"a\":\"axb\",\"b\":\"2\"}"
        ));
        assert!(!check("<={\"a\":\"~\"}", "{\"a\":null}"));
        assert!(!check("![{\"a\":1,\"b\":2}]", "[{\"b\":2,\"a\":1}]"));
        assert!(check("~x\n!~y", "axb") && !check("~x\n!~y", "xy"));
        assert!(check("|a,b\n|1,\"x,y\"", "a,b\n\"1\",\"x,y\"\n") && !check("|a\n|1", "a\n2"));
        assert!(check("\"\"", "") && !check("\"\"", " "));
    }

    #[test]
    fn headers_and_status_are_compared() {
        let want = |name: &str, w: HeaderWant| Want {
            status: vec![200, 206],
            headers: vec![(name.into(), w)],
            body: BodyWant::Anything,
        };
        let got = answer(206, "");
        assert!(
            differences(&want("content-range", HeaderWant::Is("0-1/*".into())), &got).is_empty()
        );
        assert!(
            differences(
                &want("content-range", HeaderWant::Contains("-1/".into())),
                &got
            )
            .is_empty()
        );
        assert_eq!(
            differences(&want("content-range", HeaderWant::Absent), &got).len(),
            1
        );
        assert!(differences(&want("location", HeaderWant::Absent), &got).is_empty());
        assert_eq!(
            differences(
                &want("location", HeaderWant::Contains(String::new())),
                &answer(404, "")
            )
            .len(),
            1
        );
    }
}
