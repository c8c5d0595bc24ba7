//! What kind of route a request goes to: which door it knocks at, and to which class of limits it belongs.
//! Decided by the matched route, never by the path as it was written.

use actix_web::http::Method;

/// Whose shape an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Rest,
    Auth,
    Api,
    /// What other servers read and write.
    Wire,
    Page,
}

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Whoever watches the hub.
    Probe,
    /// Where passwords, codes and addresses can be tried.
    SignIn,
    /// Reading.
    Read,
    /// Everything that may change something.
    Write,
    /// Pages for people, and whatever is not there.
    Page,
    /// What other servers post; counted by whose it proves to be.
    Inbox,
}

impl Class {
    /// Its name in figures and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::SignIn => "sign_in",
            Self::Read => "read",
            Self::Write => "write",
            Self::Page => "page",
            Self::Inbox => "inbox",
        }
    }
}

/// What a route is for; reading and writing part by the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Probe,
    SignIn,
    Rows,
    Page,
    /// A page whose form makes an account.
    SignInPage,
    /// Where other servers post.
    Inbox,
}

/// Every route of the hub; the names of places in a pattern don't matter.
const ROUTES: &[(&str, Use)] = &[
    ("/livez", Use::Probe),
    ("/readyz", Use::Probe),
    ("/metrics", Use::Probe),
    ("/openapi.json", Use::Rows),
    ("/ap/inbox", Use::Inbox),
    ("/ap/actors/{}/inbox", Use::Inbox),
    ("/ap/groups/{}/inbox", Use::Inbox),
    ("/", Use::Page),
    ("/first", Use::SignInPage),
    ("/api/kinds", Use::Rows),
    ("/ap/changes", Use::Rows),
    ("/ap/actor", Use::Rows),
    ("/ap/actor/{}", Use::Rows),
    ("/ap/{}/{}", Use::Rows),
    ("/ap/{}/{}/{}", Use::Rows),
    ("/ns/hub/v1", Use::Page),
    ("/.well-known/webfinger", Use::Page),
    ("/.well-known/host-meta", Use::Page),
    ("/.well-known/host-meta.json", Use::Page),
    ("/.well-known/nodeinfo", Use::Page),
    ("/nodeinfo/{}", Use::Page),
    ("/@{}", Use::Page),
    ("/posts/{}", Use::Page),
    ("/listings/{}", Use::Page),
    ("/declarations/{}", Use::Page),
    ("/export/{}", Use::Page),
    ("/dao/{}", Use::Page),
    ("/dao/{}/{}", Use::Page),
    ("/dao/{}/proposals/{}", Use::Page),
    ("/interact", Use::Page),
    ("/rest/v1", Use::Rows),
    ("/rest/v1/", Use::Rows),
    ("/rest/v1/rpc/{}", Use::Rows),
    ("/rest/v1/{}", Use::Rows),
    ("/auth/v1/signup", Use::SignIn),
    ("/auth/v1/token", Use::SignIn),
    ("/auth/v1/recover", Use::SignIn),
    ("/auth/v1/verify", Use::SignIn),
    ("/auth/v1/otp", Use::SignIn),
    ("/auth/v1/magiclink", Use::SignIn),
    ("/auth/v1/resend", Use::SignIn),
    ("/auth/v1/reauthenticate", Use::SignIn),
    ("/auth/v1/factors", Use::Rows),
    ("/auth/v1/factors/recovery-codes", Use::Rows),
    ("/auth/v1/factors/recovery-codes/regenerate", Use::SignIn),
    ("/auth/v1/factors/recovery-codes/verify", Use::SignIn),
    ("/auth/v1/factors/{}", Use::Rows),
    ("/auth/v1/factors/{}/challenge", Use::SignIn),
    ("/auth/v1/factors/{}/verify", Use::SignIn),
    ("/auth/v1/user", Use::Rows),
    ("/auth/v1/user/identities", Use::Rows),
    ("/auth/v1/logout", Use::Rows),
    ("/auth/v1/settings", Use::Rows),
    ("/auth/v1/health", Use::Rows),
    ("/auth/v1/invite", Use::Rows),
    ("/auth/v1/.well-known/jwks.json", Use::Rows),
    ("/auth/v1/admin/generate_link", Use::Rows),
    ("/auth/v1/admin/users", Use::Rows),
    ("/auth/v1/admin/users/{}", Use::Rows),
    ("/auth/v1/admin/users/{}/logout", Use::Rows),
    ("/auth/v1/admin/users/{}/factors", Use::Rows),
    ("/auth/v1/admin/users/{}/factors/{}", Use::Rows),
    ("/auth/v1/{}", Use::Rows),
];

/// Routes that send a letter to the address in their body.
const LETTERS: &[&str] = &[
    "/auth/v1/signup",
    "/auth/v1/recover",
    "/auth/v1/otp",
    "/auth/v1/magiclink",
    "/auth/v1/resend",
];

/// A pattern without the names of its places: `/a/{id}/{rest:.*}` is `/a/{}/{}`.
fn bare(pattern: &str) -> String {
    let mut depth = 0;
    let mut text = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '{' => {
                depth += 1;
                if depth == 1 {
                    text.push_str("{}");
                }
            }
            '}' => depth -= 1,
            _ if depth > 0 => {}
            c => text.push(c),
        }
    }
    text
}

fn of(pattern: &str) -> Option<Use> {
    let pattern = bare(pattern);
    ROUTES
        .iter()
        .find(|(known, _)| *known == pattern)
        .map(|(_, used)| *used)
}

/// The class of a request. `renews` says that it shows a refresh token, which nobody can guess. A route that nobody has
/// classed is held as tightly as signing in.
pub fn class(pattern: Option<&str>, method: &Method, renews: bool) -> Class {
    let Some(pattern) = pattern else {
        return Class::Page;
    };
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match of(pattern) {
        Some(Use::Probe) => Class::Probe,
        Some(Use::Page) => Class::Page,
        Some(Use::SignInPage) if is_read => Class::Page,
        Some(Use::Rows | Use::Inbox) if is_read => Class::Read,
        Some(Use::Inbox) => Class::Inbox,
        Some(Use::Rows) => Class::Write,
        Some(Use::SignIn) if renews && pattern == "/auth/v1/token" => Class::Write,
        Some(Use::SignIn | Use::SignInPage) | None => Class::SignIn,
    }
}

/// Whether a request makes the hub send a letter.
pub fn sends_letter(pattern: Option<&str>, method: &Method) -> bool {
    *method == Method::POST && pattern.is_some_and(|pattern| LETTERS.contains(&pattern))
}

/// The door of a path.
pub fn door(path: &str) -> Door {
    let begins = |door: &str| {
        path.strip_prefix(door)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if begins("/rest") {
        Door::Rest
    } else if begins("/auth") {
        Door::Auth
    } else if begins("/api") {
        Door::Api
    } else if begins("/ap") || begins("/.well-known") || begins("/nodeinfo") || begins("/ns") {
        Door::Wire
    } else {
        Door::Page
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use actix_web::App;
    use actix_web::dev::ServiceRequest;
    use actix_web::middleware::{Next, from_fn};
    use actix_web::test as calls;

    use super::*;

    /// The patterns of all routes, as the router itself has them.
    async fn patterns() -> Vec<String> {
        let seen = Arc::new(Mutex::new(String::new()));
        let note = seen.clone();
        let app = calls::init_service(
            App::new()
                .wrap(from_fn(
                    move |request: ServiceRequest, next: Next<actix_web::body::BoxBody>| {
                        *note.lock().unwrap() = format!("{:?}", request.resource_map());
                        next.call(request)
                    },
                ))
                .configure(crate::web::routes),
        )
        .await;
        let request = calls::TestRequest::with_uri("/no/such/path").to_request();
        calls::call_service(&app, request).await;
        let map = seen.lock().unwrap().clone();
        // Each is a `Single("/livez")` or the like in the debug text.
        map.split("Single(\"")
            .skip(1)
            .filter_map(|rest| rest.split_once("\")"))
            .map(|(pattern, _)| pattern.to_owned())
            .filter(|pattern| !pattern.is_empty())
            .collect()
    }

    #[actix_web::test]
    async fn every_route_has_a_class() {
        let patterns = patterns().await;
        assert!(
            patterns.iter().any(|pattern| pattern == "/livez") && patterns.len() > 15,
            "{patterns:?}"
        );
        let without: Vec<&String> = patterns.iter().filter(|p| of(p).is_none()).collect();
        assert!(
            without.is_empty(),
            "give them a class in src/web/gate/route.rs: {without:?}"
        );
    }

    #[test]
    fn a_route_that_nobody_classed_is_held_tightly() {
        assert_eq!(class(Some("/new"), &Method::GET, false), Class::SignIn);
        assert_eq!(class(None, &Method::POST, false), Class::Page);
    }

    #[test]
    fn the_class_goes_by_route_and_method() {
        let of = |pattern: &str, method: Method| class(Some(pattern), &method, false);
        assert_eq!(of("/rest/v1/{table:.*}", Method::GET), Class::Read);
        assert_eq!(of("/rest/v1/{table:.*}", Method::PATCH), Class::Write);
        assert_eq!(of("/rest/v1/rpc/{name:.*}", Method::POST), Class::Write);
        assert_eq!(of("/auth/v1/token", Method::POST), Class::SignIn);
        assert_eq!(
            class(Some("/auth/v1/token"), &Method::POST, true),
            Class::Write
        );
        assert_eq!(
            class(Some("/auth/v1/signup"), &Method::POST, true),
            Class::SignIn
        );
        assert_eq!(of("/ap/inbox", Method::POST), Class::Inbox);
        assert_eq!(of("/ap/actors/{id}/inbox", Method::GET), Class::Read);
        assert_eq!(of("/first", Method::POST), Class::SignIn);
        assert_eq!(of("/first", Method::GET), Class::Page);
    }

    #[test]
    fn a_door_is_a_whole_part_of_the_path() {
        assert_eq!(door("/rest/v1/persons"), Door::Rest);
        assert_eq!(door("/restaurant"), Door::Page);
        assert_eq!(door("/auth/v1/token"), Door::Auth);
        assert_eq!(door("/api/kinds"), Door::Api);
        assert_eq!(door("/ap/inbox"), Door::Wire);
        assert_eq!(door("/apple"), Door::Page);
        assert_eq!(door("/"), Door::Page);
    }
}
