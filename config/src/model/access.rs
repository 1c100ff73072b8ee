//! `[[http.token]]` and `[[http_ingest.token]]`: access to the HTTP servers.

use std::path::PathBuf;

/// What a token of the HTTP server permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The page, the cells and the business metrics of a brand.
    Read,
    /// Rights requests of a brand, and nothing else.
    Privacy,
    /// What [`Role::Read`] permits, and exact operational metrics; for all
    /// brands, also the configuration.
    Operate,
}

impl Role {
    /// Name in the configuration and in log messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Privacy => "privacy",
            Role::Operate => "operate",
        }
    }
}

/// The SHA-256 of a token, and the file that it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenDigest {
    /// The file, an absolute path.
    pub file: PathBuf,
    /// The digest (FIPS 180-4).
    pub sha256: [u8; 32],
}

/// `[[http_ingest.token]]`: a token with which records are sent to one source.
#[derive(Clone, Debug)]
pub struct IngestToken {
    /// The brand, a configured one.
    pub brand: String,
    /// The source of the brand that the token may write to; one that is
    /// configured, or that a kind has by itself.
    pub source: String,
    /// Its digest.
    pub digest: TokenDigest,
}

/// `[[http.token]]`: a bearer token (RFC 6750) of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpToken {
    /// The brand that it is for, a configured one; `None` for all brands, with
    /// [`Role::Operate`] only.
    pub brand: Option<String>,
    /// What it permits.
    pub role: Role,
    /// Its digest.
    pub digest: TokenDigest,
}
