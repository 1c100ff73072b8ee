//! Access to the HTTP server: bearer tokens (RFC 6750), each with a role and
//! mostly for one brand.
//!
//! [`Access`] turns the headers of a request into a [`Viewer`], and the viewer
//! answers what it may see. Handlers ask it before they read anything, so that
//! a route without a question shows nothing of a brand.
//!
//! | viewer | page, cells, business metrics | OpenDSR | the page's Privacy tab, `/v1/rights`, `/v1/audit` | exact metrics | `/config` |
//! |---|---|---|---|---|---|
//! | the machine itself: loopback, no tokens, no proxy | all brands | all | all | yes | yes |
//! | everyone, without tokens (`http.open`, or behind a proxy) | all brands | all | no | no | no |
//! | `read` | its brand | no | no | no | no |
//! | `privacy` | no | its brand | its brand | no | no |
//! | `operate` | its brand, or all | no | no | of its brand, or all | with all brands |
//! | nobody: tokens exist, none is given | no | no | no | no | no |
//!
//! A token is compared by its SHA-256, with every configured digest and in
//! constant time, so that neither content nor position of a digest shows in the
//! time of an answer. [`throttle`] limits guesses. No log line contains a token.

pub(in crate::serve) mod throttle;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use axum::http::header::{AUTHORIZATION, FORWARDED, RETRY_AFTER, VIA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use sha2::{Digest, Sha256};
use tributary_config::model::{Config, HttpToken, Role};

use super::response::{TEXT, text};
use crate::live_config::LiveConfig;
use throttle::Throttle;

/// Headers by which a proxy says that a request comes from elsewhere.
pub(in crate::serve) const PROXIED: [HeaderName; 4] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Address of the other end of a connection, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The configuration by which the viewer of a request was identified, as an
/// extension of it.
#[derive(Clone, Debug)]
pub struct Identified(pub Arc<Config>);

/// Whoever sends a request, by its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A process of the same machine, without configured tokens.
    Local,
    /// Anyone, without configured tokens.
    Everyone,
    /// The holder of a token.
    Token {
        /// What the token permits.
        role: Role,
        /// Its brand; `None` for all.
        brand: Option<Arc<str>>,
    },
    /// Anyone without a token, although tokens are configured.
    Nobody,
}

impl Viewer {
    /// Whether the viewer may see released cells of a brand.
    pub fn may_read(&self, brand: &str) -> bool {
        match self {
            Viewer::Local | Viewer::Everyone => true,
            Viewer::Token { role, brand: own } => {
                *role != Role::Privacy && own.as_deref().is_none_or(|own| own == brand)
            }
            Viewer::Nobody => false,
        }
    }

    /// Whether the viewer may see exact operational numbers of a brand, or with
    /// `None` those of the process, which count the acts of all brands.
    pub fn is_exact(&self, brand: Option<&str>) -> bool {
        match self {
            Viewer::Local => true,
            Viewer::Token {
                role: Role::Operate,
                brand: own,
            } => own.is_none() || own.as_deref() == brand,
            _ => false,
        }
    }

    /// Whether the viewer may submit and follow rights requests of a brand.
    pub fn may_request_rights(&self, brand: &str) -> bool {
        match self {
            Viewer::Local | Viewer::Everyone => true,
            Viewer::Token { role, brand: own } => {
                *role == Role::Privacy && own.as_deref() == Some(brand)
            }
            Viewer::Nobody => false,
        }
    }

    /// Whether the viewer may see the rights requests of a brand and its audit log.
    /// An open server shows them to nobody without a token.
    pub fn may_list_rights(&self, brand: &str) -> bool {
        *self != Viewer::Everyone && self.may_request_rights(brand)
    }

    /// Whether the viewer may see the configuration.
    pub fn may_configure(&self) -> bool {
        self.is_exact(None)
    }

    /// The refusal of what the viewer may not do: 401 without a token, 403 with
    /// one. `needs` says what would be permitted to do it.
    pub fn refuse(&self, needs: &str) -> Response {
        match self {
            Viewer::Token { role, brand } => {
                let brand = brand.as_deref().unwrap_or("all");
                tracing::warn!(role = role.name(), brand, needs, "HTTP access refused");
            }
            // Anybody could fill the log with these.
            _ => tracing::debug!(needs, "HTTP access refused"),
        }
        match self {
            Viewer::Nobody => unauthorized(&format!(
                "an access token is required: {needs}, as `Authorization: Bearer TOKEN`\n"
            )),
            Viewer::Everyone => text(
                StatusCode::FORBIDDEN,
                TEXT,
                format!("refused: {needs}; configure one as [[http.token]]\n"),
            ),
            _ => text(StatusCode::FORBIDDEN, TEXT, format!("refused: {needs}\n")),
        }
    }
}

/// Checks the address of the server, which an option of the command line may have
/// changed since the configuration was checked.
///
/// # Errors
///
/// An address other than loopback without tokens that the operator has not opened.
pub fn refuse_unprotected(config: &Config) -> anyhow::Result<()> {
    match config.http.is_protected() {
        true => Ok(()),
        false => bail!(
            "others can reach {} and no access token is set: add [[http.token]], listen on 127.0.0.1, or set http.open = true",
            config.http.listen
        ),
    }
}

/// 401 with the challenge of RFC 6750.
fn unauthorized(sentence: &str) -> Response {
    let mut response = text(StatusCode::UNAUTHORIZED, TEXT, sentence.to_owned());
    let challenge = HeaderValue::from_static("Bearer realm=\"tributary\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// Who may see what, from the configuration.
pub struct Access {
    /// The configuration, whose tokens may change.
    live: LiveConfig,
    /// Whether the server listens on loopback only.
    is_loopback: bool,
    /// Limits guesses of tokens.
    throttle: Throttle,
}

impl Access {
    /// Access by the configuration of a process.
    pub fn new(live: &LiveConfig) -> Access {
        Access {
            live: live.clone(),
            is_loopback: live.now().http.listen.ip().is_loopback(),
            throttle: Throttle::default(),
        }
    }

    /// The viewer of a request.
    ///
    /// # Errors
    ///
    /// The answer to a wrong token, or to a peer that has sent too many of them.
    pub fn viewer(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<Viewer, Box<Response>> {
        let config = self.live.now();
        let tokens = &config.http.tokens;
        if tokens.is_empty() {
            let is_proxied = PROXIED.iter().any(|header| headers.contains_key(header));
            return Ok(match self.is_loopback && !is_proxied {
                true => Viewer::Local,
                false => Viewer::Everyone,
            });
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let Some(first) = given.next() else {
            return Ok(Viewer::Nobody);
        };
        let token = match given.next() {
            None => bearer(first),
            Some(_) => None,
        };
        let found = token.and_then(|token| find(tokens, token));
        let now = Instant::now();
        if !self.throttle.admit(peer.map(|peer| peer.0), found, now) {
            let mut response = text(
                StatusCode::TOO_MANY_REQUESTS,
                TEXT,
                "too many wrong access tokens from this address: wait a minute\n",
            );
            let seconds = HeaderValue::from(throttle::REFILL.as_secs());
            response.headers_mut().insert(RETRY_AFTER, seconds);
            return Err(Box::new(response));
        }
        match found.and_then(|at| tokens.get(at)) {
            Some(token) => Ok(Viewer::Token {
                role: token.role,
                brand: token.brand.as_deref().map(Arc::from),
            }),
            None => {
                let peer = peer.map(|peer| peer.0.to_string()).unwrap_or_default();
                tracing::warn!(peer, "a wrong HTTP access token was refused");
                Err(Box::new(unauthorized("the access token is unknown\n")))
            }
        }
    }
}

/// Position of a token, by its digest. All digests are compared, each in
/// constant time.
fn find(tokens: &[HttpToken], token: &[u8]) -> Option<usize> {
    // The comparison of these hashes takes the same time wherever they differ.
    let given = blake3::Hash::from_bytes(Sha256::digest(token).into());
    let mut found = None;
    for (at, token) in tokens.iter().enumerate() {
        if blake3::Hash::from_bytes(token.digest.sha256) == given {
            found = Some(at);
        }
    }
    found
}

/// The token of `Bearer TOKEN`; `None` for another scheme.
pub(in crate::serve) fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
