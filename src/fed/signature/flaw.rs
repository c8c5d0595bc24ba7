//! Why the signature of a request is refused: a word for the log and the status to answer with.

/// What is wrong with a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A header that decides something came twice.
    #[error("a header that decides something came twice")]
    DuplicateHeader,
    /// Two signatures that are not the same.
    #[error("the request carries two signatures")]
    TwoSignatures,
    /// A header longer than any honest one.
    #[error("a header of the signature is too long")]
    TooLong,
    /// The signature cannot be read.
    #[error("the signature cannot be read")]
    Malformed,
    /// An algorithm that is not accepted.
    #[error("the algorithm of the signature is not accepted")]
    Algorithm,
    /// Something that must be signed is not.
    #[error("the signature leaves out something that must be signed")]
    Coverage,
    /// The body has no digest, or one that is not signed.
    #[error("the digest of the body is missing or not signed")]
    DigestUnsigned,
    /// A digest of a kind that is not accepted.
    #[error("the kind of digest is not accepted")]
    DigestAlgorithm,
    /// The body is another than the signed one.
    #[error("the digest does not fit the body")]
    DigestMismatch,
    /// The request was signed for another host.
    #[error("the request was signed for another host")]
    WrongHost,
    /// Signed too long ago.
    #[error("the signature is too old")]
    Expired,
    /// Signed in the future.
    #[error("the signature is from the future")]
    NotYetValid,
    /// No key of the signer fits.
    #[error("the signature is not the signer's")]
    Invalid,
}

impl Flaw {
    /// The word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::DuplicateHeader => "duplicate_header",
            Self::TwoSignatures => "two_signatures",
            Self::TooLong => "header_too_long",
            Self::Malformed => "signature_malformed",
            Self::Algorithm => "signature_algorithm",
            Self::Coverage => "signature_coverage",
            Self::DigestUnsigned => "digest_unsigned",
            Self::DigestAlgorithm => "digest_algorithm",
            Self::DigestMismatch => "digest_mismatch",
            Self::WrongHost => "wrong_host",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Invalid => "signature_invalid",
        }
    }

    /// The status to answer with: 401 invites to try the other scheme, 400 does not.
    pub fn status(&self) -> u16 {
        match self {
            Self::DuplicateHeader | Self::TwoSignatures | Self::TooLong => 400,
            _ => 401,
        }
    }
}
