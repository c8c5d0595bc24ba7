//! Mailed secrets come back: shown by an app, or opened as a link in a browser, which is sent on with a session or with
//! what was wrong in the address's fragment, where no server sees it.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{answer, filled, no_phones, origin, parameter, read, refused, unfit};
use crate::base::{Error, Result};
use crate::domains::identity::links::FOR_AN_APP;
use crate::domains::identity::proofs::{self, Kind, Proven, Shown};
use crate::domains::identity::redirects;
use crate::node::Node;
use crate::web::reply;

/// One of two addresses agreed to a change.
const HALFWAY: &str =
    "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// What an app shows.
#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(rename = "type")]
    kind: Option<String>,
    token: Option<String>,
    token_hash: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

/// By an app: a link's secret, or six digits and an address.
pub async fn shown(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let asked: Asked = read(payload).await?;
        let kind = kind(asked.kind)?;
        let shown = match (filled(asked.token_hash), filled(asked.token)) {
            (Some(_), Some(_)) => {
                return Err(unfit("Verify requires either a token or a token hash"));
            }
            (Some(token), None) => Shown::Token(token),
            (None, Some(code)) => match (filled(asked.email), filled(asked.phone)) {
                (Some(email), None) => Shown::Code { email, code },
                (None, Some(_)) => return Err(no_phones()),
                _ => {
                    return Err(unfit(
                        "Only an email address or phone number should be provided on verify",
                    ));
                }
            },
            (None, None) => return Err(unfit("Verify requires a token or a token hash")),
        };
        match proofs::show(&node, kind, shown, &origin(&request)).await? {
            Proven::In(session) => Ok(session),
            Proven::Halfway => Ok(json!({ "code": 200, "msg": HALFWAY })),
            Proven::Code(_) => Err(Error::broken(anyhow::anyhow!("a code for no app"))),
        }
    };
    answer(&request, done.await)
}

/// As a link in a browser.
pub async fn opened(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let asked = filled(parameter(&request, "redirect_to"));
    let (kind, token, back) = match opened_with(&node, &request, asked.as_deref()) {
        Ok(asked) => asked,
        Err(error) => return refused(&request, &error),
    };
    let for_app = token.starts_with(FOR_AN_APP);
    let name = parameter(&request, "type").unwrap_or_default();
    match proofs::show(&node, kind, Shown::Link(token), &origin(&request)).await {
        Ok(Proven::In(session)) => see(with_fragment(back, &of_session(&session, &name))),
        Ok(Proven::Code(code)) => see(with_query(back, &[("code", &code)])),
        Ok(Proven::Halfway) => {
            let said = [("message", HALFWAY)];
            let back = if for_app {
                with_query(back, &said)
            } else {
                back
            };
            see(with_fragment(back, &said))
        }
        Err(error) => {
            reply::log(&error);
            let (code, message) = match error.told() {
                Some(told) => (told.code.to_string(), told.message.clone()),
                None => (
                    "unexpected_failure".to_owned(),
                    "Something went wrong on our side.".to_owned(),
                ),
            };
            let class = match error.status() {
                500.. => "server_error",
                _ => "access_denied",
            };
            let said = [
                ("error", class),
                ("error_code", code.as_str()),
                ("error_description", message.as_str()),
            ];
            let back = if for_app {
                with_query(back, &said)
            } else {
                back
            };
            see(with_fragment(back, &said))
        }
    }
}

fn opened_with(
    node: &Node,
    request: &HttpRequest,
    asked: Option<&str>,
) -> Result<(Kind, String, Url)> {
    let token = filled(parameter(request, "token"))
        .ok_or_else(|| unfit("Verify requires a token or a token hash"))?;
    let kind = kind(parameter(request, "type"))?;
    Ok((kind, token, redirects::allowed(node, asked)?))
}

fn kind(name: Option<String>) -> Result<Kind> {
    let name = filled(name).ok_or_else(|| unfit("Verify requires a verification type"))?;
    match name.as_str() {
        "sms" | "phone_change" => Err(no_phones()),
        name => Kind::named(name).ok_or_else(|| unfit("Invalid email verification type")),
    }
}

fn of_session<'a>(session: &'a Value, kind: &'a str) -> Vec<(&'a str, String)> {
    let mut said: Vec<(&str, String)> = [
        "access_token",
        "expires_at",
        "expires_in",
        "refresh_token",
        "token_type",
    ]
    .into_iter()
    .map(|name| {
        let value = session.get(name);
        let text = value.and_then(Value::as_str).map(str::to_owned);
        let text = text.or_else(|| value.map(Value::to_string));
        (name, text.unwrap_or_default())
    })
    .collect();
    said.push(("type", kind.to_owned()));
    said
}

fn with_fragment<T: AsRef<str>>(mut back: Url, said: &[(&str, T)]) -> Url {
    back.set_fragment(Some(&encoded(said)));
    back
}

fn with_query<T: AsRef<str>>(mut back: Url, said: &[(&str, T)]) -> Url {
    back.query_pairs_mut().extend_pairs(said);
    back
}

fn encoded<T: AsRef<str>>(said: &[(&str, T)]) -> String {
    Serializer::new(String::new()).extend_pairs(said).finish()
}

/// Go on there, with a GET. The address holds secrets, so nobody is told where the browser came from.
fn see(there: Url) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, there.as_str()))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}
