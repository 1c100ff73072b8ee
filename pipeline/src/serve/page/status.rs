//! The status: what the page shows of the process, whether its numbers can be
//! relied upon, and its counts.

use jiff::Timestamp;
use serde::Serialize;
use tributary_connectors::dead_letter::Reason;

use super::{Brand, PageState};
use crate::epochs::clock::next_release;
use crate::report::health::NotReady;
use crate::report::metrics::label::{Label, OUTCOMES};
use crate::report::metrics::table::Id;
use crate::report::metrics::{Audience, Metrics};
use crate::serve::access::Viewer;

/// The process as it is now. Its field names are part of the interface to the
/// script.
#[derive(PartialEq, Serialize)]
pub struct Status<'a> {
    /// Build of the page that this process serves.
    build: &'a str,
    /// Names of the brands of which the viewer may see anything.
    brands: Vec<&'a str>,
    /// What the viewer may see of the chosen brand: `read` its numbers, `privacy` its
    /// rights requests.
    may: Vec<&'static str>,
    /// Whether the current day is not that of the clock.
    simulated: bool,
    /// Whether the process is ready.
    ready: bool,
    /// Reasons why it is not ready, as sentences.
    reasons: Vec<NotReady>,
    /// Minimum number of contributors of a released cell of the chosen brand.
    k: u64,
    /// The same of cells of traffic: visits and contacts.
    k_traffic: u64,
    /// When changes of few contributors are published next, and months, of the chosen
    /// brand, Unix seconds; `None` if they do not wait, or in a simulation.
    next_release: Option<i64>,
    /// How far closed epochs trail the input.
    lag_seconds: f64,
    /// When the newest epoch closed, Unix seconds; `None` before the first.
    epoch: Option<f64>,
    /// Number of stored records.
    held: Option<f64>,
    /// Number of released cells.
    released: Option<f64>,
    /// Number of suppressed cells.
    hidden: Option<f64>,
    /// Number of accepted records and pings; `None` without a dataflow.
    accepted: Option<f64>,
    /// The sources of the chosen brand; none for a viewer who may not read it.
    sources: Vec<Accepted<'a>>,
    /// Rejected lines: reason, its meaning, and number.
    dead: Vec<(String, &'static str, f64)>,
    /// Rights requests.
    rights: Rights,
    /// Uses that require permission: name, identifiers that allow it, identifiers
    /// that refuse it.
    consents: Vec<(&'static str, f64, f64)>,
    /// Time of the last retention pass, Unix seconds, of the brand whose pass is
    /// the oldest; `None` before each brand had one.
    retention: Option<f64>,
}

/// A source with what it has delivered.
#[derive(PartialEq, Serialize)]
struct Accepted<'a> {
    /// Its name.
    name: &'a str,
    /// The kind of its records.
    kind: &'static str,
    /// Its format.
    format: &'static str,
    /// Who can write to it.
    trust: &'static str,
    /// Accepted records of sources with its name, of all brands that the viewer may
    /// read; `None` without a dataflow.
    accepted: Option<f64>,
}

/// Rights requests of all brands: answered since the start, and waiting.
#[derive(PartialEq, Serialize)]
struct Rights {
    /// Completed requests.
    completed: f64,
    /// Rejected requests.
    rejected: f64,
    /// Waiting requests.
    open: f64,
    /// Age of the oldest one.
    oldest_seconds: f64,
}

impl Rights {
    /// Reads the numbers that an audience sees from the metrics.
    fn of(metrics: &Metrics, audience: &Audience<'_>) -> Rights {
        let ended = metrics.seen(Id::RightsRequests, Label::Outcome, audience);
        let [completed, rejected] =
            OUTCOMES.map(|outcome| ended.get(outcome).copied().unwrap_or(0.0));
        let of_brands = |id| metrics.seen(id, Label::Brand, audience).into_values();
        let oldest = of_brands(Id::RightsOldest);
        Rights {
            completed,
            rejected,
            open: of_brands(Id::RightsOpen).sum(),
            oldest_seconds: oldest.fold(0.0, f64::max).round(),
        }
    }
}

impl Status<'_> {
    /// Reads health and metrics as a viewer of a brand sees them.
    pub fn of<'a>(state: &'a PageState, viewer: &Viewer, brand: &'a Brand) -> Status<'a> {
        let (page, metrics) = (&state.page, &*state.telemetry.metrics);
        let reasons = state.telemetry.health.reasons();
        let audience = state.audience(viewer);
        let seen = |id, by| metrics.seen(id, by, &audience);
        let one = |id| seen(id, Label::Commit).into_values().next();
        let accepted = seen(Id::Accepted, Label::Source);
        let dead = seen(Id::DeadLetters, Label::Reason);
        let lag = match audience.is_operator {
            true => state.telemetry.health.lag_seconds(),
            false => one(Id::Lag).unwrap_or(0.0),
        };
        let help = |name: &str| {
            let reason = Reason::ALL.into_iter().find(|reason| reason.name() == name);
            reason.map_or("", Reason::help)
        };
        Status {
            build: &page.document.build,
            brands: page
                .brands()
                .filter(|brand| viewer.may_read(brand) || viewer.may_list_rights(brand))
                .collect(),
            may: [
                ("read", viewer.may_read(&brand.name)),
                ("privacy", viewer.may_list_rights(&brand.name)),
            ]
            .into_iter()
            .filter_map(|(what, may)| may.then_some(what))
            .collect(),
            sources: (brand.sources.iter())
                .filter(|_| viewer.may_read(&brand.name))
                .map(|source| Accepted {
                    name: &source.name,
                    kind: source.kind.name(),
                    format: source.format,
                    trust: source.trust,
                    accepted: accepted.get(source.name.as_str()).copied(),
                })
                .collect(),
            simulated: page.simulated().is_some(),
            ready: reasons.is_empty(),
            reasons,
            k: brand.k,
            k_traffic: brand.k_traffic,
            next_release: match page.simulated() {
                None if brand.hides() => next_release(Timestamp::now(), brand.max_hold_ms),
                _ => None,
            },
            lag_seconds: (lag * 10.0).round() / 10.0,
            epoch: one(Id::Epoch).filter(|epoch| *epoch > 0.0),
            held: one(Id::Held),
            released: one(Id::Released),
            hidden: one(Id::Hidden),
            accepted: (!accepted.is_empty()).then(|| accepted.values().sum()),
            rights: Rights::of(metrics, &audience),
            consents: metrics
                .consents(&audience)
                .into_iter()
                .map(|(step, [allow, refuse])| (step.name(), allow, refuse))
                .collect(),
            retention: seen(Id::RetentionPass, Label::Brand)
                .into_values()
                .min_by(f64::total_cmp)
                .filter(|pass| *pass > 0.0),
            dead: dead
                .into_iter()
                .map(|(name, count)| (help(&name), name, count))
                .map(|(help, name, count)| (name, help, count))
                .collect(),
        }
    }
}
