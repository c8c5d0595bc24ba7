//! The headers that answers carry: who else may read them, what a browser may do with them, where the asker stands.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::limits::Standing;
use super::peer::REQUEST_ID;
use super::route::Door;

/// Nothing from elsewhere, no script or style that stands in the page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What no page of the hub asks a browser for.
const PERMISSIONS_POLICY: &str = "accelerometer=(), autoplay=(), bluetooth=(), camera=(), display-capture=(), \
     encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), \
     microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
     usb=(), web-share=(), xr-spatial-tracking=()";

const EXPOSED: &str = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, ETag, Location, Server, \
     Preference-Applied, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotency-Replayed, \
     X-Request-Id, X-Supabase-Api-Version, Proxy-Status";

/// What of a request decides about the headers of its answer.
pub struct Asked {
    pub door: Door,
    pub is_preflight: bool,
    /// What a preflight asks leave to send.
    pub wanted_headers: Option<HeaderValue>,
    /// Whether the hub is reached by TLS.
    pub is_tls: bool,
}

impl Asked {
    /// Look at a request.
    pub fn of(door: Door, method: &Method, headers: &HeaderMap, is_tls: bool) -> Self {
        Self {
            door,
            is_preflight: *method == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
            wanted_headers: headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
            is_tls,
        }
    }

    /// Whether apps on any page may read the answer. They send no cookies there: what they may is in the token they show.
    pub fn is_open_to_all(&self) -> bool {
        matches!(self.door, Door::Rest | Door::Auth | Door::Wire)
    }
}

/// Put them on an answer.
pub fn put(headers: &mut HeaderMap, asked: &Asked, id: &str, standing: Option<Standing>) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if asked.is_tls {
        set(
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    if asked.is_open_to_all() {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    if asked.is_open_to_all() && asked.is_preflight {
        set(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
        );
        set(header::ACCESS_CONTROL_MAX_AGE, "86400");
        set(header::VARY, "Access-Control-Request-Headers");
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            asked
                .wanted_headers
                .clone()
                .unwrap_or(HeaderValue::from_static(
                    "authorization, apikey, content-type, idempotency-key, prefer",
                )),
        );
    }
    if !asked.is_open_to_all() || is_page(headers) {
        put_on_page(headers);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(standing) = standing {
        for (name, number) in [
            ("ratelimit-limit", u64::from(standing.limit)),
            ("ratelimit-remaining", u64::from(standing.remaining)),
            ("ratelimit-reset", standing.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"))
}

fn put_on_page(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::PERMISSIONS_POLICY, PERMISSIONS_POLICY),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        // Whoever made the answer may have been stricter.
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
