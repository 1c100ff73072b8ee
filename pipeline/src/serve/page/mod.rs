//! The live page: one self-contained document at `/`, kept up by the events of `/events`.
//!
//! The document is made of three files beside this one and carries its style and its script inside, so that it
//! needs no other request and its policy can name them by their hashes: nothing else runs, and nothing is
//! fetched but the events of the worker itself. What is shown comes from released cells ([`model`]) and from
//! operational metrics ([`status`]), and from nowhere else.

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

use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use frame::Frame;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How many may listen to the events at once.
pub const MAX_LISTENERS: usize = 100;

/// What the page needs beside the board and the metrics.
pub struct Page {
    brands: Vec<Brand>,
    /// The persons behind a released cell.
    k: u64,
    /// Which process of how many this is, counted from 1.
    process: [usize; 2],
    /// The day that counts as the current one, where it is not that of the clock.
    today: RwLock<Option<Day>>,
    document: Document,
    listeners: Arc<Semaphore>,
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

/// A brand and the last model of it that was computed, which all its listeners share.
struct Brand {
    name: String,
    zone: TimeZone,
    last: Mutex<Option<Frame>>,
}

/// The page as it is sent.
struct Document {
    html: String,
    policy: String,
    /// Stands in the page and in its events, so that a page of another build notices.
    build: String,
}

impl Page {
    /// The page of a configuration's brands.
    pub fn new(config: &Config) -> Page {
        let brands = config.brands.iter().map(|brand| Brand {
            name: brand.name.clone(),
            zone: brand.timezone.clone(),
            last: Mutex::default(),
        });
        Page {
            brands: brands.collect(),
            k: config.release.k,
            process: [
                config.workers.process + 1,
                config.workers.hosts.len().max(1),
            ],
            today: RwLock::default(),
            document: Document::new(),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            ended: watch::Sender::new(false),
        }
    }

    /// Takes a day for the current one, for a world that has a clock of its own.
    pub fn stand_at(&self, day: Day) {
        *self.today.write().unwrap_or_else(PoisonError::into_inner) = Some(day);
    }

    /// The day that was taken for the current one.
    fn simulated(&self) -> Option<Day> {
        *self.today.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all events, so that nobody's open page keeps the server from ending.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

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
