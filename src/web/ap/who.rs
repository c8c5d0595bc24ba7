//! Who reads: nobody in particular, or an actor of another server whose signature fits.

use actix_web::HttpRequest;

use crate::base::{Caller, Result};
use crate::node::Node;

/// The caller of a read. Without a signature it is nobody, and then only what everybody may have is there.
pub async fn asks(_node: &Node, _request: &HttpRequest) -> Result<Caller> {
    Ok(Caller::Anonymous)
}
