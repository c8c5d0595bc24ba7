//! Pages for people; they work without JavaScript. The door step: what this is, and the first account; and, in `seen`, what others see of
//! the people here.

pub mod seen;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::base::Error;
use crate::domains::identity::accounts;
use crate::node::Node;
use crate::web::reply;

const LAYOUT: &str = include_str!("../../../templates/layout.html");
const HOME: &str = include_str!("../../../templates/home.html");
const FIRST: &str = include_str!("../../../templates/first.html");
const FIRST_DONE: &str = include_str!("../../../templates/first_done.html");

/// The form of the first account.
#[derive(Deserialize)]
pub struct FirstAccount {
    token: String,
    email: String,
    password: String,
}

/// The one-time link.
#[derive(Deserialize)]
pub struct Link {
    #[serde(default)]
    token: String,
}

/// What this hub is and how to reach it.
pub async fn home(node: web::Data<Node>) -> HttpResponse {
    let signup = match node.config.signup {
        crate::base::config::Signup::Closed => "New accounts are made by the operator.",
        crate::base::config::Signup::Invite => "New accounts need an invitation.",
        crate::base::config::Signup::Approval => "New accounts wait for the operator's approval.",
        crate::base::config::Signup::Open => "Everybody may make an account.",
    };
    page(
        200,
        "This is a Made Open hub",
        &HOME.replace("{signup}", signup),
    )
}

/// The form behind the one-time link; showing it changes nothing.
pub async fn first_form(link: web::Query<Link>) -> HttpResponse {
    page(200, "Make the first account", &form(&link.token, ""))
}

/// Make the first account; it becomes the hub's developer.
pub async fn first_account(node: web::Data<Node>, form: web::Form<FirstAccount>) -> HttpResponse {
    match accounts::first_account(&node.db, &form.token, &form.email, &form.password).await {
        Ok(_) => page(201, "The first account is made", FIRST_DONE),
        Err(error) => refused(&form, &error),
    }
}

/// An error as a page.
pub fn refusal(error: &Error) -> HttpResponse {
    reply::log(error);
    let said = error
        .told()
        .map_or("Something went wrong on our side.", |told| {
            told.message.as_str()
        });
    let mut answer = page(
        error.status(),
        "That did not work",
        &format!("<p>{}</p>", escaped(said)),
    );
    if let Some(wait) = error.retry_after() {
        answer.headers_mut().insert(
            header::RETRY_AFTER,
            header::HeaderValue::from(wait.as_secs().max(1)),
        );
    }
    answer
}

fn refused(given: &FirstAccount, error: &Error) -> HttpResponse {
    reply::log(error);
    let said = error
        .told()
        .map_or("Something went wrong on our side.", |told| {
            told.message.as_str()
        });
    let alert = format!("<p role=\"alert\" id=\"problem\">{}</p>", escaped(said));
    page(
        error.status(),
        "Make the first account",
        &form(&given.token, &alert).replace(
            "name=\"email\"",
            &format!("name=\"email\" value=\"{}\"", escaped(&given.email)),
        ),
    )
}

fn form(token: &str, alert: &str) -> String {
    FIRST
        .replace("{alert}", alert)
        .replace("{token}", &escaped(token))
}

/// A page; title and body are HTML already.
pub fn page(status: u16, title: &str, body: &str) -> HttpResponse {
    HttpResponse::build(reply::code(status))
        .content_type("text/html; charset=utf-8")
        .body(LAYOUT.replace("{title}", title).replace("{body}", body))
}

/// Text as a page writes it.
pub fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            // A brace of a stranger must not be taken for a place of the template.
            '{' => "&#123;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_text() {
        let shown = form("\"><script>{alert}", "");
        assert!(shown.contains("&quot;&gt;&lt;script&gt;&#123;alert}"));
    }
}
