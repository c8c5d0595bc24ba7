//! Requests for letters: forgotten passwords, links to sign in, confirmations written again, invitations. All but the
//! last are answered with nothing at all, whoever has an account.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer, back, filled, no_phones, origin, read, service, session, unfit};
use crate::base::Result;
use crate::domains::identity::flows;
use crate::domains::identity::mails::{self, About, SendMail};
use crate::node::Node;

/// What these are asked with; what this door does not know is left aside.
#[derive(Default, Deserialize)]
pub struct Asked {
    email: Option<String>,
    phone: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    create_user: Option<bool>,
    data: Option<Map<String, Value>>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// A forgotten password.
pub async fn recover(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let asked: Asked = read(payload).await?;
        let (mail, _) = wanted(&node, &request, asked, About::Recovery)?;
        mails::ask(&node, mail, &origin(&request)).await?;
        Ok(json!({}))
    };
    answer(&request, done.await)
}

/// Signing in without a password.
pub async fn otp(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let asked: Asked = read(payload).await?;
        let creates = asked.create_user.unwrap_or(true);
        let (mail, data) = wanted(&node, &request, asked, About::MagicLink)?;
        let mail = SendMail {
            new_account: creates.then_some(data),
            ..mail
        };
        mails::ask(&node, mail, &origin(&request)).await?;
        Ok(json!({}))
    };
    answer(&request, done.await)
}

/// A letter that got lost.
pub async fn resend(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let asked: Asked = read(payload).await?;
        let about = match asked.kind.as_deref() {
            Some("signup") => About::Signup,
            Some("email_change") => About::EmailChange,
            Some("sms" | "phone_change") => return Err(no_phones()),
            _ => return Err(unfit("Missing one of these types: signup, email_change")),
        };
        let (mail, _) = wanted(&node, &request, asked, about)?;
        mails::ask(&node, mail, &origin(&request)).await?;
        Ok(json!({}))
    };
    answer(&request, done.await)
}

/// An account for somebody who is told of it; for programs that act for the hub.
pub async fn invite(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        service(&node, &request).await?;
        let asked: Asked = read(payload).await?;
        let (mail, data) = wanted(&node, &request, asked, About::Invite)?;
        Ok(mails::invite(&node, mail, data).await?.shown())
    };
    answer(&request, done.await)
}

/// Six digits for whoever is signed in.
pub async fn reauthenticate(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        mails::reauthenticate(&node, session, &origin(&request)).await?;
        Ok(json!({}))
    };
    answer(&request, done.await)
}

fn wanted(
    node: &Node,
    request: &HttpRequest,
    asked: Asked,
    about: About,
) -> Result<(SendMail, Map<String, Value>)> {
    let code_challenge = flows::challenge(asked.code_challenge, asked.code_challenge_method)?;
    let email = match (filled(asked.email), filled(asked.phone)) {
        (Some(email), _) => email,
        (None, Some(_)) => return Err(no_phones()),
        (None, None) => return Err(unfit("An email address is required")),
    };
    let mail = SendMail {
        redirect_to: back(node, request)?,
        code_challenge,
        ..SendMail::about(about, &email)
    };
    Ok((mail, asked.data.unwrap_or_default()))
}
