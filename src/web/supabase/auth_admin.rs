//! `/auth/v1/admin`: accounts as programs with the service key manage them, in GoTrue's dialect. Anyone else is
//! refused, whatever his role in a tenant; that the key still stands is read from its row on each request (S-121).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::auth::{answer, filled, parameter, read, refused, unfit};
use super::auth_factors::known as known_factor;
use crate::base::error::Told;
use crate::base::{Caller, Error, Result};
use crate::domains::identity::administration::{self, Ban, Changes};
use crate::domains::identity::handed::{self, Wanted};
use crate::kinds::Role;
use crate::node::Node;
use crate::web::who;

/// The routes of this door.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/auth/v1/admin/users", web::get().to(list))
        .route("/auth/v1/admin/users", web::post().to(add))
        .route("/auth/v1/admin/generate_link", web::post().to(hand_link))
        .route("/auth/v1/admin/users/{id}", web::get().to(show))
        .route("/auth/v1/admin/users/{id}", web::put().to(change))
        .route("/auth/v1/admin/users/{id}", web::delete().to(remove))
        .route("/auth/v1/admin/users/{id}/logout", web::post().to(log_out))
        .route(
            "/auth/v1/admin/users/{id}/factors",
            web::get().to(list_factors),
        )
        .route(
            "/auth/v1/admin/users/{id}/factors/{factor}",
            web::delete().to(remove_factor),
        );
}

/// What may be said of an account; `role` and what else GoTrue knows is left aside, for it means nothing here.
#[derive(Deserialize)]
struct Attributes {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    email_confirm: Option<bool>,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    ban_duration: Option<String>,
}

#[derive(Deserialize)]
struct LinkWanted {
    #[serde(rename = "type")]
    kind: String,
    email: String,
    password: Option<String>,
    data: Option<Map<String, Value>>,
    redirect_to: Option<String>,
}

#[derive(Default, Deserialize)]
struct Removal {
    #[serde(default)]
    should_soft_delete: bool,
}

impl Attributes {
    fn changes(self) -> Result<Changes> {
        if filled(self.phone).is_some() {
            return Err(Error::Invalid(Box::new(
                Told::new("phone_provider_disabled", "Phone logins are disabled").status(400),
            )));
        }
        Ok(Changes {
            email: filled(self.email),
            password: filled(self.password),
            is_confirmed: self.email_confirm,
            user_metadata: self.user_metadata,
            app_metadata: self.app_metadata,
            ban: filled(self.ban_duration)
                .map(|text| Ban::read(&text))
                .transpose()?,
        })
    }
}

/// A page of accounts.
async fn list(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let number = |name: &str| -> Result<Option<u32>> {
            filled(parameter(&request, name))
                .map(|text| text.parse().map_err(|_| unfit("Bad Pagination Parameters")))
                .transpose()
        };
        let (page, per_page) = (number("page")?, number("per_page")?);
        let (accounts, total) = administration::list(&node, &caller, page, per_page)
            .await
            .map_err(not_any_more)?;
        Ok((accounts, total, administration::page_of(page, per_page)))
    };
    match done.await {
        Ok((accounts, total, (page, size))) => {
            let shown: Vec<Value> = accounts.iter().map(|account| account.shown()).collect();
            HttpResponse::Ok()
                .insert_header(("X-Total-Count", total.to_string()))
                .insert_header((header::LINK, links(page, size, total)))
                .json(json!({ "users": shown, "aud": "authenticated" }))
        }
        Err(error) => refused(&request, &error),
    }
}

/// Make an account.
async fn add(node: web::Data<Node>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let changes = read::<Attributes>(payload).await?.changes()?;
        if changes.email.is_none() {
            return Err(unfit(
                "Cannot create a user without either an email or phone",
            ));
        }
        let account = administration::add(&node, &caller, changes).await;
        Ok(account.map_err(not_any_more)?.shown())
    };
    answer(&request, done.await)
}

/// One account.
async fn show(node: web::Data<Node>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let account = administration::show(&node, &caller, known(&id)?).await;
        Ok(account.map_err(not_any_more)?.shown())
    };
    answer(&request, done.await)
}

/// Change an account.
async fn change(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let id = known(&id)?;
        let changes = read::<Attributes>(payload).await?.changes()?;
        let account = administration::change(&node, &caller, id, changes).await;
        Ok(account.map_err(not_any_more)?.shown())
    };
    answer(&request, done.await)
}

/// Remove an account.
async fn remove(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let id = known(&id)?;
        let has_body = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
            || request.headers().contains_key(header::TRANSFER_ENCODING);
        let removal = match has_body {
            true => read(payload).await?,
            false => Removal::default(),
        };
        administration::remove(&node, &caller, id, removal.should_soft_delete)
            .await
            .map_err(not_any_more)?;
        Ok(json!({}))
    };
    answer(&request, done.await)
}

/// End all sessions of an account.
async fn log_out(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        administration::log_out(&node, &caller, known(&id)?)
            .await
            .map_err(not_any_more)
    };
    match done.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refused(&request, &error),
    }
}

/// Make a link that the program hands on itself.
async fn hand_link(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let asked: LinkWanted = read(payload).await?;
        let wanted = Wanted {
            kind: asked.kind,
            email: asked.email,
            password: filled(asked.password),
            data: asked.data.unwrap_or_default(),
            redirect_to: filled(parameter(&request, "redirect_to")).or(asked.redirect_to),
        };
        handed::link(&node, &caller, wanted)
            .await
            .map_err(not_any_more)
    };
    answer(&request, done.await)
}

/// The factors of an account.
async fn list_factors(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let account = administration::show(&node, &caller, known(&id)?)
            .await
            .map_err(not_any_more)?;
        Ok(account.factors.unwrap_or_else(|| json!([])))
    };
    answer(&request, done.await)
}

/// Take a factor away.
async fn remove_factor(
    node: web::Data<Node>,
    request: HttpRequest,
    ids: web::Path<(String, String)>,
) -> HttpResponse {
    let done = async {
        let caller = operator(&node, &request)?;
        let (id, factor) = (known(&ids.0)?, known_factor(&ids.1)?);
        administration::remove_factor(&node, &caller, id, factor)
            .await
            .map_err(not_any_more)
    };
    answer(&request, done.await)
}

/// The holder of a service key; whether it still stands shows when he enters a transaction.
pub(super) fn operator(node: &Node, request: &HttpRequest) -> Result<Caller> {
    match who::asks(request, node) {
        Ok((caller @ Caller::Session(_), Role::Service)) => Ok(caller),
        Ok((Caller::Anonymous, _)) if !request.headers().contains_key(header::AUTHORIZATION) => {
            Err(Error::sign_in(
                "no_authorization",
                "This endpoint requires a valid Bearer token",
            ))
        }
        Ok(_) => Err(Error::forbidden("not_admin", "User not allowed")),
        Err(error) if error.status() == 401 => Err(Error::sign_in(
            "bad_jwt",
            "invalid JWT: unable to parse or verify signature",
        )),
        Err(error) => Err(error),
    }
}

/// A key whose row is gone proves nothing any more.
pub(super) fn not_any_more(error: Error) -> Error {
    if error.is("PGRST301") {
        return Error::sign_in("session_not_found", "This key was revoked.");
    }
    error
}

fn known(id: &str) -> Result<Uuid> {
    Uuid::try_parse(id).map_err(|_| {
        Error::Missing(Box::new(
            Told::new("validation_failed", "user_id must be an UUID").status(404),
        ))
    })
}

/// Where the next and the last page are, as clients of GoTrue read it.
fn links(page: u32, size: u32, total: i64) -> String {
    let last = u32::try_from(total)
        .unwrap_or(u32::MAX)
        .div_ceil(size)
        .max(1);
    let link = |page: u32, name: &str| {
        format!("</admin/users?page={page}&per_page={size}>; rel=\"{name}\"")
    };
    match page < last {
        true => format!("{}, {}", link(page + 1, "next"), link(last, "last")),
        false => link(last, "last"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_next_and_the_last_page() {
        assert_eq!(
            links(1, 2, 5),
            "</admin/users?page=2&per_page=2>; rel=\"next\", </admin/users?page=3&per_page=2>; rel=\"last\""
        );
        assert_eq!(
            links(3, 2, 5),
            "</admin/users?page=3&per_page=2>; rel=\"last\""
        );
        assert_eq!(
            links(1, 50, 0),
            "</admin/users?page=1&per_page=50>; rel=\"last\""
        );
    }
}
