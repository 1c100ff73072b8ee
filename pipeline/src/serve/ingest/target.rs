//! The source that a request is for, and whether the request may write to it.
//!
//! A token belongs to one source, so that it also says which source a request
//! without one in its path is for. Tokens are compared as those of
//! [`crate::serve::access`]: by their SHA-256, with every configured digest and
//! in constant time; guesses are limited.
//!
//! | tokens in the configuration | a request needs |
//! |---|---|
//! | some | a token of its source |
//! | none: the server listens on loopback | nothing, unless a proxy forwards it |
//! | any; a `meraki` source | a token, or the secret that each post repeats |

use std::time::Instant;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tributary_config::model::{Format, Kind, Source};

use super::reply::Rejection;
use crate::live_config::LiveConfig;
use crate::serve::access::throttle::{REFILL, Throttle};
use crate::serve::access::{PROXIED, Peer, bearer};

/// A source of a brand.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The brand.
    pub(super) brand: String,
    /// The source.
    pub(super) source: Source,
}

impl Target {
    /// The subject of its messages, which names the source.
    pub(super) fn subject(&self) -> String {
        self.subject_with(self.source.kind.name(), true)
    }

    /// The subject with a word for the kind, with the source in it or not.
    fn subject_with(&self, word: &str, is_explicit: bool) -> String {
        match is_explicit {
            true => format!("tributary.in.{}.{word}.{}", self.brand, self.source.name),
            false => format!("tributary.in.{}.{word}", self.brand),
        }
    }
}

/// A request that may write to a source.
#[derive(Clone, Debug)]
pub(super) struct Admitted<'a> {
    /// The source.
    pub(super) target: &'a Target,
    /// The subject to publish to.
    pub(super) subject: String,
}

/// All sources, and their tokens.
pub(super) struct Targets {
    /// The sources, sorted by brand and name.
    all: Vec<Target>,
    /// The configuration, whose tokens may change.
    live: LiveConfig,
    /// Limits guesses of tokens.
    throttle: Throttle,
}

impl Targets {
    /// The sources and tokens of a configuration.
    pub(super) fn new(live: &LiveConfig) -> Targets {
        let config = live.now();
        let brands = config.brands.iter();
        let mut all: Vec<Target> = brands
            .flat_map(|brand| {
                brand.sources.iter().map(|source| Target {
                    brand: brand.name.clone(),
                    source: source.clone(),
                })
            })
            .collect();
        all.sort_by(|a, b| (&a.brand, &a.source.name).cmp(&(&b.brand, &b.source.name)));
        Targets {
            live: live.clone(),
            throttle: Throttle::default(),
            all,
        }
    }

    /// Whether any source takes what Segment's API does.
    pub(super) fn has_segment(&self) -> bool {
        self.all.iter().any(is_segment)
    }

    /// Every source.
    pub(super) fn all(&self) -> &[Target] {
        &self.all
    }

    /// The source that a path names; without a source the one that the decoder
    /// would take for the subject.
    fn find(&self, brand: &str, kind: &str, source: Option<&str>) -> Option<usize> {
        let kind = Kind::of_subject(kind)?;
        let is_of = |target: &Target| target.brand == brand && target.source.kind == kind;
        let position = |name: &str| {
            let mut all = self.all.iter();
            all.position(|target| is_of(target) && target.source.name == name)
        };
        match source {
            Some(name) => position(name),
            None => position(kind.name()).or_else(|| self.all.iter().position(is_of)),
        }
    }

    /// The source that a path names, before any proof.
    pub(super) fn named(&self, brand: &str, kind: &str, source: Option<&str>) -> Option<&Target> {
        self.all.get(self.find(brand, kind, source)?)
    }

    /// The target of a request by its path and its bearer token.
    ///
    /// # Errors
    /// 401, and 429 after too many wrong tokens.
    pub(super) fn by_path(
        &self,
        path: (&str, &str, Option<&str>),
        headers: &HeaderMap,
        peer: Option<Peer>,
    ) -> Result<Admitted<'_>, Rejection> {
        let (brand, kind, source) = path;
        let found = self.find(brand, kind, source);
        if !self.has_tokens() && !headers.contains_key(AUTHORIZATION) {
            return self.admit_local(headers, found, kind, source.is_some());
        }
        let token = single(headers).and_then(bearer);
        let of = self.check(token, peer)?;
        if found == Some(of) {
            return self.admitted(of, kind, source.is_some());
        }
        // The token names the source that the path leaves open.
        let named = found.and_then(|found| self.all.get(found));
        let own = self.all.get(of);
        match (named, own) {
            (Some(named), Some(own))
                if source.is_none()
                    && named.brand == own.brand
                    && named.source.kind == own.source.kind =>
            {
                self.admitted(of, kind, true)
            }
            _ => Err(Rejection::unauthorized()),
        }
    }

    /// The target of a request to Segment's API, by the write key: the user of
    /// Basic authentication, else a bearer token, else what the body says.
    ///
    /// # Errors
    /// As [`Targets::by_path`]; also 401 if the source has another format.
    pub(super) fn by_write_key(
        &self,
        headers: &HeaderMap,
        in_body: Option<&str>,
        peer: Option<Peer>,
    ) -> Result<Admitted<'_>, Rejection> {
        if !self.has_tokens() {
            let mut sources = self.all.iter().enumerate();
            let mut sources = sources.by_ref().filter(|(_, target)| is_segment(target));
            let only = match (sources.next(), sources.next()) {
                (Some((at, _)), None) => Some(at),
                _ => None,
            };
            return self.admit_local(headers, only, Kind::Web.name(), true);
        }
        let header = single(headers);
        let basic = header.and_then(user);
        let token = match (&basic, header) {
            (Some(user), _) => Some(user.as_slice()),
            (None, Some(header)) => bearer(header),
            (None, None) => in_body.map(str::as_bytes),
        };
        let of = self.check(token, peer)?;
        match self.all.get(of).is_some_and(is_segment) {
            true => self.admitted(of, Kind::Web.name(), true),
            false => Err(Rejection::unauthorized()),
        }
    }

    /// The target of a post that proves its origin by the secret of its source.
    ///
    /// # Errors
    /// As [`Targets::by_path`]: a wrong secret counts as a wrong token.
    pub(super) fn by_secret<'a>(
        &'a self,
        target: &'a Target,
        is_right: bool,
        peer: Option<Peer>,
    ) -> Result<Admitted<'a>, Rejection> {
        // A proof of a secret has no position among the tokens: one for all of them.
        self.throttle(is_right.then_some(usize::MAX), peer)?;
        match is_right {
            true => Ok(Admitted {
                subject: target.subject(),
                target,
            }),
            false => Err(Rejection::unauthorized()),
        }
    }

    /// Admits a request of the machine itself.
    fn admit_local(
        &self,
        headers: &HeaderMap,
        found: Option<usize>,
        word: &str,
        is_explicit: bool,
    ) -> Result<Admitted<'_>, Rejection> {
        if PROXIED.iter().any(|header| headers.contains_key(header)) {
            return Err(Rejection::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "requests through a proxy need a token: configure [[http_ingest.token]]",
            ));
        }
        let found = found.ok_or_else(Rejection::unauthorized)?;
        self.admitted(found, word, is_explicit)
    }

    /// Admits a request to a source, with a word for its kind, and with the source in
    /// the subject or not.
    fn admitted(
        &self,
        at: usize,
        word: &str,
        is_explicit: bool,
    ) -> Result<Admitted<'_>, Rejection> {
        let target = self.all.get(at).ok_or_else(Rejection::unauthorized)?;
        Ok(Admitted {
            subject: target.subject_with(word, is_explicit),
            target,
        })
    }

    /// The target of a token.
    ///
    /// # Errors
    /// 401, and 429 after too many wrong tokens.
    fn check(&self, token: Option<&[u8]>, peer: Option<Peer>) -> Result<usize, Rejection> {
        let Some(token) = token else {
            return Err(Rejection::unauthorized());
        };
        // The comparison of these hashes takes the same time wherever they differ.
        let given = blake3::Hash::from_bytes(Sha256::digest(token).into());
        let mut found = None;
        let config = self.live.now();
        let tokens = &config.http_ingest.tokens;
        for (at, token) in tokens.iter().enumerate() {
            if blake3::Hash::from_bytes(token.digest.sha256) == given {
                found = Some(at);
            }
        }
        self.throttle(found, peer)?;
        let token = found.and_then(|at| tokens.get(at));
        let target = token.and_then(|token| {
            let is_it =
                |target: &Target| target.brand == token.brand && target.source.name == token.source;
            self.all.iter().position(is_it)
        });
        target.ok_or_else(Rejection::unauthorized)
    }

    /// Whether any token is configured.
    fn has_tokens(&self) -> bool {
        !self.live.now().http_ingest.tokens.is_empty()
    }

    /// Counts a proof, and refuses an address that has sent too many wrong ones.
    fn throttle(&self, found: Option<usize>, peer: Option<Peer>) -> Result<(), Rejection> {
        let peer = peer.map(|peer| peer.0);
        match self.throttle.admit(peer, found, Instant::now()) {
            true => Ok(()),
            false => Err(Rejection {
                retry_after: Some(REFILL.as_secs()),
                ..Rejection::busy("too many wrong tokens from this address: wait a minute")
            }),
        }
    }
}

fn is_segment(target: &Target) -> bool {
    matches!(target.source.format, Format::Segment)
}

/// The only `Authorization` of a request; `None` if there are several.
fn single(headers: &HeaderMap) -> Option<&axum::http::HeaderValue> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let first = given.next()?;
    given.next().is_none().then_some(first)
}

/// The user of `Basic …` (RFC 7617); `None` for another scheme.
fn user(header: &axum::http::HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = header.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut pair = STANDARD.decode(rest.trim_ascii()).ok()?;
    let end = pair.iter().position(|byte| *byte == b':');
    pair.truncate(end.unwrap_or(pair.len()));
    (!pair.is_empty()).then_some(pair)
}
