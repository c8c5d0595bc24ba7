//! `/auth/v1/factors`: second factors and recovery codes, as GoTrue's clients ask for them.
//! What a right code is and what follows from it is decided in `domains::identity`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;

use super::auth::{answer, filled, read, session, unfit};
use crate::base::error::Told;
use crate::base::{Error, Result};
use crate::domains::identity::factors::{self, Enroll};
use crate::domains::identity::recovery;
use crate::node::Node;

/// The routes of this door.
pub fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/auth/v1/factors", web::post().to(enroll))
        .route(
            "/auth/v1/factors/recovery-codes",
            web::post().to(make_codes),
        )
        .route(
            "/auth/v1/factors/recovery-codes",
            web::get().to(count_codes),
        )
        .route(
            "/auth/v1/factors/recovery-codes",
            web::delete().to(remove_codes),
        )
        .route(
            "/auth/v1/factors/recovery-codes/regenerate",
            web::post().to(replace_codes),
        )
        .route(
            "/auth/v1/factors/recovery-codes/verify",
            web::post().to(verify_code),
        )
        .route("/auth/v1/factors/{id}", web::delete().to(remove))
        .route("/auth/v1/factors/{id}/challenge", web::post().to(challenge))
        .route("/auth/v1/factors/{id}/verify", web::post().to(verify));
}

#[derive(Deserialize)]
struct Enrolled {
    friendly_name: Option<String>,
    factor_type: Option<String>,
    issuer: Option<String>,
}

#[derive(Deserialize)]
struct Answered {
    challenge_id: Option<String>,
    code: Option<String>,
    recovery_code: Option<String>,
}

/// Begin to add a factor.
async fn enroll(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        let asked: Enrolled = read(payload).await?;
        match asked.factor_type.as_deref() {
            Some("totp") => {}
            Some("phone") => return Err(disabled("mfa_phone_enroll_not_enabled", "phone")),
            Some("webauthn") => {
                return Err(disabled("mfa_webauthn_enroll_not_enabled", "WebAuthn"));
            }
            _ => return Err(unfit("factor_type needs to be totp")),
        }
        let wanted = Enroll {
            friendly_name: asked.friendly_name.unwrap_or_default(),
            issuer: asked.issuer,
        };
        factors::enroll(&node, session, wanted).await
    };
    answer(&request, done.await)
}

/// Ask for a code.
async fn challenge(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        factors::challenge(&node, session, known(&id)?).await
    };
    answer(&request, done.await)
}

/// Answer with a code, or with a recovery code in its place.
async fn verify(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        let factor = known(&id)?;
        let asked: Answered = read(payload).await?;
        if let Some(code) = filled(asked.recovery_code) {
            return recovery::verify(&node, session, &code).await;
        }
        let challenge = asked
            .challenge_id
            .as_deref()
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| unfit("challenge_id must be a UUID"))?;
        let code = asked.code.unwrap_or_default();
        factors::verify(&node, session, factor, challenge, &code).await
    };
    answer(&request, done.await)
}

/// Take a factor away.
async fn remove(
    node: web::Data<Node>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        factors::remove(&node, session, known(&id)?).await
    };
    answer(&request, done.await)
}

/// Make recovery codes.
async fn make_codes(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async { recovery::generate(&node, session(&node, &request)?, false).await };
    answer(&request, done.await)
}

/// Make new ones in place of the old.
async fn replace_codes(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async { recovery::generate(&node, session(&node, &request)?, true).await };
    answer(&request, done.await)
}

/// How many are left.
async fn count_codes(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async { recovery::left(&node, session(&node, &request)?).await };
    answer(&request, done.await)
}

/// Give them up.
async fn remove_codes(node: web::Data<Node>, request: HttpRequest) -> HttpResponse {
    let done = async { recovery::remove(&node, session(&node, &request)?).await };
    answer(&request, done.await)
}

/// Use one up.
async fn verify_code(
    node: web::Data<Node>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let done = async {
        let session = session(&node, &request)?;
        let asked: Answered = read(payload).await?;
        recovery::verify(&node, session, &asked.code.unwrap_or_default()).await
    };
    answer(&request, done.await)
}

/// A factor's id; what is none is answered like one that is somebody else's.
pub(super) fn known(id: &str) -> Result<Uuid> {
    Uuid::try_parse(id).map_err(|_| Error::missing("mfa_factor_not_found", "Factor not found"))
}

fn disabled(code: &'static str, what: &str) -> Error {
    Error::Invalid(Box::new(
        Told::new(code, format!("MFA enroll is disabled for {what}")).status(422),
    ))
}
