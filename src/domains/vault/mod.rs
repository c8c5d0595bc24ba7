//! Secrets of people and of the hub: sealed before they are stored, opened by services and by the hub's own behaviour,
//! never told to a client again. No door serves their table.

pub mod credentials;
pub mod keys;
pub mod rotation;
pub mod sealing;
pub mod secrets;
pub mod state;

use crate::action;
use crate::node::domain::Domain;

/// What this domain plugs in.
pub const DOMAIN: Domain = Domain {
    name: "vault",
    actions: &[
        action!("vault_secrets"."create" as "create_vault_secret", "Keep a secret in the vault; its vault id comes back.",
            ["p_secret": "text", "p_name": "text", "p_description": "text"] => secrets::create),
        action!("vault_secrets"."decrypt" as "vault_decrypt", "What a secret of the vault says; for services only.",
            ["vault_id": "text"] => secrets::decrypt),
        action!(reads "vault_secrets"."unreadable", "The caller's secrets that no key opens any more and that he has to enter again.",
            [] => secrets::unreadable),
        action!("user_credentials"."store", "Store a credential for a connector; its secrets go into the vault.",
            ["credential_type": "text", "secrets": "jsonb", "display_info": "text"] => credentials::store),
        action!("user_credentials"."remove", "Remove a credential with its secrets.",
            ["credential_type": "text"] => credentials::remove),
        action!("user_integration_credentials"."connect", "Connect with a provider, or renew a connection; its tokens go into the vault.",
            ["service_provider_id": "uuid", "credential_type": "text", "access_token": "text", "refresh_token": "text",
             "connection_name": "text", "connection_metadata": "jsonb", "scopes_granted": "text[]",
             "token_expires_at": "timestamptz", "id": "uuid"] => credentials::connect),
    ],
    hooks: sealing::HOOKS,
    ..Domain::EMPTY
};
