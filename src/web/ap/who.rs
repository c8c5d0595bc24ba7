//! Who reads: nobody in particular, or an actor of another server whose signature fits. A signature is looked at only where
//! it makes a difference, since looking may mean asking another server for a key.

use actix_web::{HttpRequest, HttpResponse};

use crate::base::caller::Remote;
use crate::base::{Caller, Error, Result};
use crate::fed::readers::{self, Reader};
use crate::fed::signature::Head;
use crate::node::Node;
use crate::web::reply;

/// What a reader whose signature did not do is asked for (R3).
const ACCEPT_SIGNATURE: &str = r#"sig1=("@method" "@target-uri");created;alg="rsa-v1_5-sha256""#;

/// The caller of a read. Without a signature that fits it is nobody, and then only what everybody may have is there;
/// where the hub wants signatures for everything, nobody gets nothing.
pub async fn asks(node: &Node, request: &HttpRequest) -> Result<Caller> {
    let reader = reader(node, request).await?;
    if !node.config.authorized_fetch {
        return Ok(match reader {
            Reader::Actor { id, uri } => Caller::Remote(Remote { id, uri }),
            Reader::Nobody(_) | Reader::Unwanted => Caller::Anonymous,
        });
    }
    match reader {
        Reader::Actor { id, uri } => Ok(Caller::Remote(Remote { id, uri })),
        Reader::Unwanted => Err(unwanted()),
        Reader::Nobody(reason) => Err(unsigned(reason)),
    }
}

/// Who signed the request, whatever the hub asks of its readers.
pub async fn reader(node: &Node, request: &HttpRequest) -> Result<Reader> {
    let headers = headers(request);
    readers::read(node, &head(request, &headers)).await
}

/// All headers of a request as signatures are read from them.
pub fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    headers.collect()
}

/// A request up to its body, with its headers as they were read.
pub fn head<'a>(request: &'a HttpRequest, headers: &'a [(String, String)]) -> Head<'a> {
    let path_and_query = request.uri().path_and_query();
    Head {
        method: request.method().as_str(),
        path_and_query: path_and_query.map_or("/", |path| path.as_str()),
        headers,
    }
}

/// A refusal, which tells a server how to sign.
pub fn refused(error: &Error) -> HttpResponse {
    let mut answer = reply::problem(error);
    if error.status() == 401 {
        let name = actix_web::http::header::HeaderName::from_static("accept-signature");
        let wanted = actix_web::http::header::HeaderValue::from_static(ACCEPT_SIGNATURE);
        answer.headers_mut().insert(name, wanted);
    }
    answer
}

/// What somebody hears whom the hub has nothing to do with.
pub fn unwanted() -> Error {
    Error::forbidden("reader.unwanted", "This hub shows nothing to that server.")
}

/// What a reader hears who must sign.
pub fn unsigned(reason: &'static str) -> Error {
    let told = crate::base::error::Told::new(
        "reader.unsigned",
        "Sign the request with the key of an actor of your server.",
    );
    Error::SignIn(Box::new(told.details(reason)))
}
