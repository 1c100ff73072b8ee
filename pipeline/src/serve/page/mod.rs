//! The live page: one self-contained document at `/`, updated by the events of
//! `/events`.
//!
//! The document is made of three files beside this one. It contains its style
//! and its script, so that it needs no other request and its content security
//! policy can name them by their hashes (CSP Level 3): nothing else is
//! executed, and nothing is fetched except the events of the worker itself. Its
//! numbers come from released cells ([`model`]) and from operational metrics
//! ([`status`]), and from nowhere else.

pub mod events;
mod frame;
mod model;
mod money;
mod number;
mod paths;
mod status;
mod sums;

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Semaphore, watch};
use tributary_config::model::Config;
use tributary_operators::record::Day;

use super::access::Viewer;
use crate::report::metrics::Audience;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use frame::Frame;

/// The document, with placeholders for style, script, version and build.
const HTML: &str = include_str!("page.html");
/// The style sheet.
const STYLE: &str = include_str!("page.css");
/// The script.
const SCRIPT: &str = include_str!("page.js");

/// Maximum number of concurrent listeners to events.
pub const MAX_LISTENERS: usize = 100;

/// The page, and what it needs in addition to the cells and the metrics.
pub struct Page {
    /// The configured brands.
    brands: Vec<Brand>,
    /// Minimum number of contributors of a released cell.
    k: u64,
    /// The current day, if it is not that of the clock.
    today: RwLock<Option<Day>>,
    /// The document.
    document: Document,
    /// Limits the number of listeners.
    listeners: Arc<Semaphore>,
    /// Ends all events.
    ended: watch::Sender<bool>,
}

/// What the events of the page read.
#[derive(Clone)]
pub struct PageState {
    /// The page.
    pub page: Arc<Page>,
    /// The metrics and the health.
    pub telemetry: Telemetry,
    /// The released cells.
    pub cells: SharedCells,
}

impl PageState {
    /// What a viewer sees of the metrics.
    pub fn audience(&self, viewer: &Viewer) -> Audience<'_> {
        let brands = self.page.brands().filter(|brand| viewer.may_read(brand));
        Audience {
            is_operator: viewer.is_exact(None),
            brands: brands
                .map(|brand| (brand, viewer.is_exact(Some(brand))))
                .collect(),
        }
    }
}

/// A brand, and its last computed model, which all its listeners share.
struct Brand {
    /// Name of the brand.
    name: String,
    /// Its time zone.
    zone: TimeZone,
    /// Its last computed model.
    last: Mutex<Option<Frame>>,
}

/// The page as it is sent.
struct Document {
    /// The document.
    html: String,
    /// Its content security policy.
    policy: String,
    /// Identifies the document. The events contain it as well, so that a page of
    /// another build notices.
    build: String,
}

impl Page {
    /// The page for the brands of a configuration.
    pub fn new(config: &Config) -> Page {
        let brands = config.brands.iter().map(|brand| Brand {
            name: brand.name.clone(),
            zone: brand.timezone.clone(),
            last: Mutex::default(),
        });
        Page {
            brands: brands.collect(),
            k: config.release.k,
            today: RwLock::default(),
            document: Document::new(),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            ended: watch::Sender::new(false),
        }
    }

    /// Names of the configured brands.
    pub fn brands(&self) -> impl Iterator<Item = &str> {
        self.brands.iter().map(|brand| brand.name.as_str())
    }

    /// Whether the release gate hides anything.
    pub fn hides(&self) -> bool {
        self.k > 1
    }

    /// The current day of a brand by its name.
    pub fn today_of(&self, brand: &str) -> Option<Day> {
        let mut brands = self.brands.iter();
        let brand = brands.find(|known| known.name == brand)?;
        Some(self.today(brand))
    }

    /// Sets the current day, for a simulation with its own clock.
    pub fn stand_at(&self, day: Day) {
        *self.today.write().unwrap_or_else(PoisonError::into_inner) = Some(day);
    }

    /// The current day of a simulation.
    fn simulated(&self) -> Option<Day> {
        *self.today.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all events, so that no open page prevents the server from ending.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The current day of a brand.
    fn today(&self, brand: &Brand) -> Day {
        let clock = || crate::epochs::clock::day(jiff::Timestamp::now(), &brand.zone);
        self.simulated().unwrap_or_else(clock)
    }

    /// The document with its policy.
    pub fn response(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, &self.document.policy),
        ];
        (headers, self.document.html.clone()).into_response()
    }
}

impl Document {
    /// Assembles the document, and computes its policy.
    fn new() -> Document {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let (style, script) = (hash(STYLE), hash(SCRIPT));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let build: String = hash(&format!("{HTML}{style}{script}"))
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        let html = HTML
            .replace("{{build}}", &build)
            .replace("{{version}}", crate::version::TEXT)
            .replace("{{style}}", STYLE)
            .replace("{{script}}", SCRIPT);
        Document {
            html,
            policy,
            build,
        }
    }
}

#[cfg(test)]
mod tests;
