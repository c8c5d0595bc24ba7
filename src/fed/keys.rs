//! stub
use super::crypto::PrivateKey;
use crate::base::Result;
use crate::db::Tx;
use std::sync::Arc;
use uuid::Uuid;
pub struct Signer {
    pub actor_uri: String,
    pub rsa_id: String,
    pub rsa: PrivateKey,
    pub ed25519_id: String,
    pub ed25519: PrivateKey,
}
pub async fn signer(_tx: &mut Tx, _actor: Uuid) -> Result<Arc<Signer>> {
    todo!()
}
pub async fn rotate(_tx: &mut Tx, _actor: Uuid) -> Result<()> {
    todo!()
}
