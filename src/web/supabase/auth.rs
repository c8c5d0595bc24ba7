//! `/auth/v1`: sign up, sign in, stay signed in, as GoTrue's clients ask for it. Answers and errors have GoTrue's
//! shape; what may happen is decided in `domains::identity`. Letters and what is done with them are in the files below.

mod mails;
mod verify;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::base::config::Signup;
use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::db::scope;
use crate::domains::identity::accounts::{self, SignUp, SignedUp};
use crate::domains::identity::changes::{self, Change};
use crate::domains::identity::sessions::{self, Origin, Scope};
use crate::domains::identity::{flows, redirects};
use crate::kinds::Role;
use crate::node::Node;
use crate::web::{gate, reply, who};

/// From this version of its dialect on, a client reads `code` as text.
const VERSION_HEADER: &str = "x-supabase-api-version";
const VERSION: &str = "2024-01-01";

/// The longest body of this door.
const LONGEST: usize = 64 * 1024;

/// How much of a client's name is kept with its session.
const LONGEST_USER_AGENT: usize = 300;

/// The routes of this door.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/auth/v1/signup", web::post().to(sign_up))
        .route("/auth/v1/token", web::post().to(token))
        .route("/auth/v1/user", web::get().to(user))
        .route("/auth/v1/user", web::put().to(change_user))
        .route("/auth/v1/logout", web::post().to(log_out))
        .route("/auth/v1/recover", web::post().to(mails::recover))
        .route("/auth/v1/otp", web::post().to(mails::otp))
        .route("/auth/v1/magiclink", web::post().to(mails::otp))
        .route("/auth/v1/resend", web::post().to(mails::resend))
        .route("/auth/v1/invite", web::post().to(mails::invite))
        .route(
            "/auth/v1/reauthenticate",
            web::get().to(mails::reauthenticate),
        )
        .route("/auth/v1/verify", web::post().to(verify::shown))
        .route("/auth/v1/verify", web::get().to(verify::opened))
        .route("/auth/v1/.well-known/jwks.json", web::get().to(keys))
        .route("/auth/v1/settings", web::get().to(settings))
        .route("/auth/v1/health", web::get().to(health))
        .route("/auth/v1/{rest:.*}", web::to(nothing_here));
}

/// What signup, token and user are asked with; what this door does not know is left aside.
#[derive(Default, Deserialize)]
struct Asked {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    nonce: Option<String>,
    data: Option<Map<String, Value>>,
    refresh_token: Option<String>,
    auth_code: Option<String>,
    code_verifier: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// Make an account.
async fn sign_up(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let asked: Asked = read(payload).await?;
        let code_challenge = flows::challenge(asked.code_challenge, asked.code_challenge_method)?;
        let email = match (filled(asked.email), filled(asked.phone)) {
            (Some(email), _) => email,
            (None, Some(_)) => return Err(no_phones()),
            (None, None) => {
                return Err(Error::invalid(
                    "anonymous_provider_disabled",
                    "Anonymous sign-ins are disabled",
                ));
            }
        };
        let password =
            filled(asked.password).ok_or_else(|| unfit("Signup requires a valid password"))?;
        let wanted = SignUp {
            email,
            password,
            data: asked.data.unwrap_or_default(),
            redirect_to: back(&node, &request)?,
            code_challenge,
        };
        let from = origin(&request);
        match accounts::sign_up(&node, wanted, &from).await? {
            SignedUp::In(account) => sessions::start(&node, &account, &from).await,
            SignedUp::Waiting(account) => Ok(account.shown()),
        }
    };
    answer(&request, done.await)
}

/// Sign in, or stay signed in.
async fn token(node: web::Data<Node>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let done = async {
        match parameter(&request, "grant_type").as_deref() {
            Some("password") => {
                let asked: Asked = read(payload).await?;
                let email = match (filled(asked.email), filled(asked.phone)) {
                    (Some(email), _) => email,
                    (None, Some(_)) => return Err(no_phones()),
                    (None, None) => return Err(unfit("missing email or phone")),
                };
                let password = asked.password.unwrap_or_default();
                sessions::sign_in(&node, &email, &password, &origin(&request)).await
            }
            Some("refresh_token") => {
                let asked: Asked = read(payload).await?;
                let token =
                    filled(asked.refresh_token).ok_or_else(|| unfit("refresh_token required"))?;
                sessions::refresh(&node, &token).await
            }
            Some("pkce") => {
                let asked: Asked = read(payload).await?;
                match (filled(asked.auth_code), filled(asked.code_verifier)) {
                    (Some(code), Some(verifier)) => {
                        flows::exchange(&node, &code, &verifier, &origin(&request)).await
                    }
                    _ => Err(unfit(
                        "invalid request: both auth code and code verifier should be non-empty",
                    )),
                }
            }
            _ => Err(unfit("unsupported_grant_type")),
        }
    };
    answer(&request, done.await)
}

/// Who is signed in.
async fn user(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        Ok(sessions::account(&node, session).await?.shown())
    };
    answer(&request, done.await)
}

/// Change one's own account.
async fn change_user(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        let asked: Asked = read(payload).await?;
        if filled(asked.phone).is_some() {
            return Err(no_phones());
        }
        let change = Change {
            email: filled(asked.email),
            password: asked.password,
            nonce: filled(asked.nonce),
            data: asked.data,
            redirect_to: back(&node, &request)?,
            code_challenge: flows::challenge(asked.code_challenge, asked.code_challenge_method)?,
        };
        let changed = changes::change(&node, session, change, &origin(&request)).await?;
        Ok(changed.shown())
    };
    answer(&request, done.await)
}

/// Sign out: here, elsewhere or everywhere.
async fn log_out(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        let scope = match parameter(&request, "scope").as_deref() {
            None | Some("" | "global") => Scope::Global,
            Some("local") => Scope::Local,
            Some("others") => Scope::Others,
            Some(_) => return Err(unfit("Unsupported logout scope")),
        };
        sessions::end(&node, session, scope).await
    };
    match done.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refused(&request, &error),
    }
}

/// What a client may offer its people.
async fn settings(node: web::Data<Node>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "external": { "anonymous_users": false, "email": true, "phone": false },
        "disable_signup": node.config.signup == Signup::Closed,
        "mailer_autoconfirm": node.config.autoconfirm,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "mfa_enabled": true,
        "saml_enabled": false,
    }))
}

/// The keys that tokens can be checked with elsewhere: none, because the only one is a secret.
async fn keys() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "keys": [] }))
}

/// That this door is here.
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": "made-open",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Accounts of a Made Open hub, in GoTrue's dialect",
    }))
}

async fn nothing_here(request: HttpRequest) -> HttpResponse {
    let error = Error::missing(
        "not_found",
        format!("There is no {} {}.", request.method(), request.path()),
    );
    refused(&request, &error)
}

/// The session that the bearer token proves; whether it still stands is for the database to say.
pub(super) fn session(node: &Node, request: &HttpRequest) -> Result<Uuid> {
    let bad = |told: String| {
        let told = Told::new("bad_jwt", told).status(403);
        Error::Forbidden(Box::new(told))
    };
    let token = who::token(request)
        .ok()
        .flatten()
        .filter(|_| request.headers().contains_key(header::AUTHORIZATION))
        .ok_or_else(|| {
            Error::sign_in(
                "no_authorization",
                "This endpoint requires a valid Bearer token",
            )
        })?;
    match node.signer()?.caller(token) {
        Ok((Caller::Session(session), _)) => Ok(session),
        Ok(_) => Err(bad("invalid claim: missing sub claim".to_owned())),
        Err(error) => {
            let why = error.told().map_or("", |told| told.message.as_str());
            Err(bad(format!(
                "invalid JWT: unable to parse or verify signature, {why}"
            )))
        }
    }
}

/// Only for programs that act for the hub.
pub(super) async fn service(node: &Node, request: &HttpRequest) -> Result<()> {
    let not_allowed = || {
        let told = Told::new("not_admin", "User not allowed").status(403);
        Error::Forbidden(Box::new(told))
    };
    let token = who::token(request)?.ok_or_else(|| {
        Error::sign_in(
            "no_authorization",
            "This endpoint requires a valid Bearer token",
        )
    })?;
    match node.signer()?.caller(token) {
        Ok((caller, Role::Service)) => {
            scope::still_valid(&node.db, &caller)
                .await
                .map_err(|error| match error {
                    Error::SignIn(_) => not_allowed(),
                    other => other,
                })
        }
        _ => Err(not_allowed()),
    }
}

/// Where a mailed link of this request leads back to.
fn back(node: &Node, request: &HttpRequest) -> Result<Option<String>> {
    match filled(parameter(request, "redirect_to")) {
        Some(asked) => redirects::allowed(node, Some(&asked)).map(|url| Some(url.into())),
        None => Ok(None),
    }
}

/// A body of JSON, whatever its type is said to be.
pub(super) async fn read<T: DeserializeOwned>(payload: web::Payload) -> Result<T> {
    let bytes = gate::body(payload, LONGEST).await.map_err(|error| {
        let status = error.status();
        let message = error
            .told()
            .map_or_else(String::new, |told| told.message.clone());
        Error::Invalid(Box::new(
            Told::new("validation_failed", message).status(status),
        ))
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::Invalid(Box::new(
            Told::new(
                "bad_json",
                format!("Could not parse request body as JSON: {error}"),
            )
            .status(400),
        ))
    })
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

pub(super) fn origin(request: &HttpRequest) -> Origin {
    Origin {
        address: gate::address(request),
        user_agent: request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|agent| agent.chars().take(LONGEST_USER_AGENT).collect()),
    }
}

pub(super) fn unfit(message: &str) -> Error {
    Error::Invalid(Box::new(
        Told::new("validation_failed", message).status(400),
    ))
}

fn no_phones() -> Error {
    Error::Invalid(Box::new(
        Told::new("phone_provider_disabled", "Phone logins are disabled").status(400),
    ))
}

pub(super) fn answer(request: &HttpRequest, done: Result<Value>) -> HttpResponse {
    match done {
        Ok(value) => HttpResponse::Ok().json(value),
        Err(error) => refused(request, &error),
    }
}

/// An error in GoTrue's shape: since 2024 `code` is text; older clients, who say no version, read `error_code`.
pub fn refused(request: &HttpRequest, error: &Error) -> HttpResponse {
    reply::log(error);
    let is_dated = request
        .headers()
        .get(VERSION_HEADER)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|version| version >= VERSION);
    let (status, body) = body_of(error, is_dated);
    let mut answer = HttpResponse::build(reply::code(status));
    if is_dated {
        answer.insert_header((VERSION_HEADER, VERSION));
    }
    if let Some(wait) = error.retry_after() {
        answer.insert_header((header::RETRY_AFTER, wait.as_secs().max(1).to_string()));
    }
    answer.json(body)
}

fn body_of(error: &Error, is_dated: bool) -> (u16, Value) {
    let (status, code, message) = match error.told() {
        // What the database refused was not foreseen here, and its words are not for strangers.
        Some(told) if is_sqlstate(&told.code) => match error {
            Error::Busy(..) | Error::TooMuch(..) => (
                error.status(),
                "request_timeout",
                "The hub is busy; try again soon.",
            ),
            _ => (400, "validation_failed", "This cannot be stored."),
        },
        Some(told) if told.code == "busy" => {
            (error.status(), "request_timeout", told.message.as_str())
        }
        Some(told) => (error.status(), &*told.code, told.message.as_str()),
        None => (
            500,
            "unexpected_failure",
            "Unexpected failure, please check server logs for more information",
        ),
    };
    let mut body = Map::new();
    if is_dated {
        body.insert("code".to_owned(), code.into());
        body.insert("message".to_owned(), message.into());
    } else {
        body.insert("code".to_owned(), status.into());
        body.insert("error_code".to_owned(), code.into());
        body.insert("msg".to_owned(), message.into());
    }
    if code == "weak_password"
        && let Some(reasons) = error.told().and_then(|told| told.details.clone())
    {
        body.insert(code.to_owned(), reasons);
    }
    (status, body.into())
}

fn is_sqlstate(code: &str) -> bool {
    code.len() == 5
        && code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_shape_that_the_client_reads() {
        let error = unfit("missing email or phone");
        assert_eq!(
            body_of(&error, true),
            (
                400,
                json!({ "code": "validation_failed", "message": "missing email or phone" })
            )
        );
        assert_eq!(
            body_of(&error, false),
            (
                400,
                json!({ "code": 400, "error_code": "validation_failed", "msg": "missing email or phone" })
            )
        );
        let weak = Error::Invalid(Box::new(
            Told::new("weak_password", "Too short.").details(json!({ "reasons": ["length"] })),
        ));
        let (status, body) = body_of(&weak, true);
        assert_eq!(
            (status, &body["weak_password"]["reasons"][0]),
            (422, &json!("length"))
        );
    }

    #[test]
    fn what_the_database_says_stays_inside() {
        let (status, body) = body_of(&Error::invalid("22P05", "unsupported Unicode escape"), true);
        assert_eq!(
            (status, body["code"].as_str()),
            (400, Some("validation_failed"))
        );
        assert!(!body.to_string().contains("Unicode"));
        let (status, body) = body_of(&Error::broken(anyhow::anyhow!("secret")), false);
        assert_eq!(
            (status, body["error_code"].as_str()),
            (500, Some("unexpected_failure"))
        );
        assert!(!body.to_string().contains("secret"));
    }
}
