//! The live page: one self-contained document at `/`, updated by the events of
//! `/events`.
//!
//! The [`document`] is made of files beside this one. It contains its style and
//! its script, so that it needs no other request for them and its content
//! security policy can name them by their hashes (CSP Level 3): nothing else is
//! executed, and nothing is fetched except from the worker itself. Its numbers
//! are answers of `/v1/cells` and `/v1/rights`, and operational metrics
//! ([`status`]); the events say when to ask again ([`model`]).

mod document;
pub mod events;
mod frame;
mod model;
mod source;
mod status;

use std::sync::{Arc, PoisonError, RwLock};

use axum::response::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{Mutex, Semaphore, watch};
use tributary_config::model::{Config, Ladder, Names, OtherBrand};
use tributary_operators::record::Day;

use super::access::Viewer;
use crate::live_config::LiveConfig;
use crate::report::metrics::Audience;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use document::Document;
use frame::Frame;
use model::Release;
use source::SourceRow;

/// Maximum number of concurrent listeners to events.
pub const MAX_LISTENERS: usize = 100;

/// The page, and what it needs in addition to the cells and the metrics.
pub struct Page {
    /// The configured brands.
    brands: Vec<Brand>,
    /// The current time, if it is not that of the clock.
    simulated_now: RwLock<Option<Timestamp>>,
    /// The brands of the file that other shards serve.
    others: Vec<OtherBrand>,
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
    /// The configuration, whose tokens may change.
    pub live: LiveConfig,
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
    /// Minimum number of contributors of its released cells.
    k: u64,
    /// The same of cells of traffic.
    k_traffic: u64,
    /// The days until all visits of a day count.
    days_to_settle: Option<Day>,
    /// `release.max_hold` in milliseconds.
    max_hold_ms: u64,
    /// What is published of its channels.
    ladder: Ladder,
    /// Its currency.
    currency: String,
    /// Display names.
    names: Names,
    /// Its sources.
    sources: Vec<SourceRow>,
    /// Its last computed model.
    last: Mutex<Option<Frame>>,
}

impl Brand {
    /// Whether the release gate hides anything of it.
    fn hides(&self) -> bool {
        self.k > 1
    }

    /// What the configuration says of its numbers.
    fn release(&self) -> Release<'_> {
        Release {
            hides: self.hides(),
            by_month: self.hides() && self.ladder == Ladder::Month,
            days_to_settle: self.days_to_settle.filter(|_| self.hides()),
            currency: &self.currency,
            names: &self.names,
        }
    }
}

impl Page {
    /// The page for the brands of a configuration.
    pub fn new(config: &Config) -> Page {
        let brands = config.brands.iter().map(|brand| Brand {
            name: brand.name.clone(),
            zone: brand.timezone.clone(),
            k: config.release.of_brand(&brand.release).k,
            k_traffic: config.release.of_brand(&brand.release).k_traffic,
            days_to_settle: brand.days_to_settle(),
            max_hold_ms: config.release.of_brand(&brand.release).max_hold_ms,
            ladder: config.release.ladder,
            currency: brand.currency.clone(),
            names: brand.names.clone(),
            sources: brand.sources.iter().map(SourceRow::of).collect(),
            last: Mutex::default(),
        });
        Page {
            brands: brands.collect(),
            simulated_now: RwLock::default(),
            others: config.others.clone(),
            document: Document::new(),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            ended: watch::Sender::new(false),
        }
    }

    /// Names of the configured brands.
    pub fn brands(&self) -> impl Iterator<Item = &str> {
        self.brands.iter().map(|brand| brand.name.as_str())
    }

    /// A brand of the file that another shard serves.
    pub fn other(&self, brand: &str) -> Option<&OtherBrand> {
        self.others.iter().find(|other| other.name == brand)
    }

    /// Whether the release gate hides anything of a brand.
    pub fn hides(&self, brand: &str) -> bool {
        let mut brands = self.brands.iter();
        brands
            .find(|known| known.name == brand)
            .is_none_or(Brand::hides)
    }

    /// The current day of a brand by its name.
    pub fn today_of(&self, brand: &str) -> Option<Day> {
        let mut brands = self.brands.iter();
        let brand = brands.find(|known| known.name == brand)?;
        Some(self.today(brand))
    }

    /// Sets the current time, for a simulation with its own clock. The current day
    /// of each brand follows from it, in the brand's time zone.
    pub fn stand_at(&self, now: Timestamp) {
        let of_page = self.simulated_now.write();
        *of_page.unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// The current time of a simulation.
    fn simulated(&self) -> Option<Timestamp> {
        let now = self.simulated_now.read();
        *now.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all events, so that no open page prevents the server from ending.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The current day of a brand.
    fn today(&self, brand: &Brand) -> Day {
        let now = self.simulated().unwrap_or_else(Timestamp::now);
        crate::epochs::clock::day(now, &brand.zone)
    }

    /// The document with its policy.
    pub fn response(&self) -> Response {
        self.document.response()
    }
}
