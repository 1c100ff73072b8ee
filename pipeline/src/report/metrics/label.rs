//! Labels of metrics: closed sets of values, and the few whose values come from
//! records.
//!
//! A pseudonym or anything else that identifies a person is never a label. The
//! values of an open label (channel, store, platform) are those of released
//! cells, and their number is capped.

use tributary_config::model::Kind;
use tributary_connectors::dead_letter::Reason;
use tributary_operators::allowed_uses::Use;
use tributary_operators::attribution::Model;
use tributary_operators::record::{SaleKind, WalletPlatform};
use tributary_rights::Right;

use crate::otlp::queue::Signal;
use crate::report::published_cells::Window;
use crate::report::released_share::Part;

/// Value under which the cap sums the channels, stores or platforms beyond it.
pub const OTHER: &str = "other";

/// Value of what the release gate publishes of a whole period together.
pub const REST: &str = "*";

/// Whether a value of an open label is what the release gate publishes of
/// several channels or stores together.
pub fn is_rest(value: &str) -> bool {
    value == REST || value.ends_with("/*")
}

/// Value for a brand or a kind that is not configured.
pub const UNKNOWN: &str = "unknown";

/// The types of contacts, in the order of the values of a `campaign_day` cell.
pub const CONTACTS: [&str; 3] = ["impression", "click", "view"];

/// Whether members of a panel were exposed to a channel, in the order of the values of a `visit_lift` cell.
pub const EXPOSURES: [&str; 2] = ["exposed", "unexposed"];

/// What was answered by a box, in the order of the values of a `notice_day` cell.
pub const ANSWERS: [&str; 4] = ["ticked", "unticked", "preticked", "withdrawn"];

/// Outcomes of a rights request.
pub const OUTCOMES: [&str; 2] = ["completed", "rejected"];

/// Outcomes of an attempt to post a callback.
pub const CALLBACK_OUTCOMES: [&str; 3] = ["sent", "failed", "given_up"];

/// Outcomes of a sighting of a partner.
pub const SIGHTING_OUTCOMES: [&str; 3] = ["accepted", "late", "rejected"];

/// Choices about a use.
pub const CHOICES: [&str; 2] = ["allow", "refuse"];

/// Status codes of the responses of the HTTP ingest server.
pub const HTTP_CODES: [&str; 14] = [
    "200", "202", "400", "401", "403", "404", "405", "408", "409", "413", "415", "429", "500",
    "503",
];

/// One label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A configured brand.
    Brand,
    /// The brand that a refused line names.
    OriginBrand,
    /// The kind of a record.
    Kind,
    /// The kind that a refused line names.
    OriginKind,
    /// The configured source that a request is for.
    Source,
    /// The status code of a response.
    Code,
    /// Why a line is refused.
    Reason,
    /// A rolling window of days.
    Window,
    /// A calendar month.
    MonthWindow,
    /// A rolling window of days or a calendar month.
    AnyWindow,
    /// What a share is taken of.
    ReleasedFamily,
    /// An attribution model.
    Model,
    /// The kind of a conversion.
    Sale,
    /// The type of a contact.
    Contact,
    /// Whether members of a panel were exposed.
    Exposure,
    /// A box of a form, with its notice.
    Box,
    /// What was answered by a box.
    Answer,
    /// An ISO 4217 code.
    Currency,
    /// A marketing channel.
    Channel,
    /// A store.
    Store,
    /// An advertising platform.
    Platform,
    /// The platform of a wallet pass.
    WalletPlatform,
    /// The type of a rights request.
    Right,
    /// How a rights request ended.
    Outcome,
    /// How an attempt to post a callback ended.
    CallbackOutcome,
    /// What became of a sighting on arrival.
    SightingOutcome,
    /// A step that needs to be allowed.
    Step,
    /// What was said about a step.
    Choice,
    /// An operator of the dataflow.
    Operator,
    /// A worker thread.
    Thread,
    /// A signal of OpenTelemetry.
    Signal,
    /// The version of the program.
    Version,
    /// The commit that the program was built from.
    Commit,
}

impl Label {
    /// Every label.
    pub const ALL: [Label; 33] = [
        Label::Brand,
        Label::OriginBrand,
        Label::Kind,
        Label::OriginKind,
        Label::Source,
        Label::Code,
        Label::Reason,
        Label::Window,
        Label::MonthWindow,
        Label::AnyWindow,
        Label::ReleasedFamily,
        Label::Model,
        Label::Sale,
        Label::Contact,
        Label::Exposure,
        Label::Box,
        Label::Answer,
        Label::Currency,
        Label::Channel,
        Label::Store,
        Label::Platform,
        Label::WalletPlatform,
        Label::Right,
        Label::Outcome,
        Label::CallbackOutcome,
        Label::SightingOutcome,
        Label::Step,
        Label::Choice,
        Label::Operator,
        Label::Thread,
        Label::Signal,
        Label::Version,
        Label::Commit,
    ];

    /// Name of the label.
    pub fn name(self) -> &'static str {
        match self {
            Label::Brand | Label::OriginBrand => "brand",
            Label::Kind | Label::OriginKind | Label::Sale => "kind",
            Label::Source => "source",
            Label::Code => "code",
            Label::Reason => "reason",
            Label::Window | Label::MonthWindow | Label::AnyWindow => "window",
            Label::ReleasedFamily => "family",
            Label::Model => "model",
            Label::Contact | Label::Right => "type",
            Label::Exposure => "exposure",
            Label::Box => "box",
            Label::Answer => "answer",
            Label::Currency => "currency",
            Label::Channel => "channel",
            Label::Store => "store",
            Label::Platform | Label::WalletPlatform => "platform",
            Label::Outcome | Label::CallbackOutcome | Label::SightingOutcome => "outcome",
            Label::Step => "step",
            Label::Choice => "choice",
            Label::Operator => "operator",
            Label::Thread => "thread",
            Label::Signal => "signal",
            Label::Version => "version",
            Label::Commit => "commit",
        }
    }

    /// The dimensions of a cell that its values show, joined by `/`.
    pub fn dims(self) -> &'static [&'static str] {
        match self {
            Label::Model => &["model"],
            Label::Sale => &["kind"],
            Label::Currency => &["currency"],
            Label::Channel => &["source", "medium", "campaign"],
            Label::Box => &["notice", "version", "language", "box"],
            Label::Store => &["store"],
            Label::Platform | Label::WalletPlatform => &["platform"],
            _ => &[],
        }
    }

    /// Whether its values come from records, so that they are capped.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Label::Channel | Label::Store | Label::Platform | Label::Box
        )
    }

    /// Its values where each of them stands for one value of a cell, in the order of the values.
    pub fn of_values(self) -> Option<&'static [&'static str]> {
        match self {
            Label::Contact => Some(&CONTACTS),
            Label::Exposure => Some(&EXPOSURES),
            Label::Answer => Some(&ANSWERS),
            _ => None,
        }
    }

    /// The windows that it names; none for a label that is no window.
    pub fn windows(self) -> &'static [Window] {
        match self {
            Label::Window => &Window::TOTALS,
            Label::MonthWindow => &Window::MONTHS,
            Label::AnyWindow => &Window::ALL,
            _ => &[],
        }
    }

    /// All its values, if they are a closed set.
    pub fn words(self) -> Option<Vec<&'static str>> {
        Some(match self {
            Label::Kind => Kind::ALL.map(Kind::name).to_vec(),
            Label::OriginKind => Kind::ALL
                .map(Kind::name)
                .into_iter()
                .chain([UNKNOWN])
                .collect(),
            Label::Code => HTTP_CODES.to_vec(),
            Label::Reason => Reason::ALL.map(Reason::name).to_vec(),
            Label::Window | Label::MonthWindow | Label::AnyWindow => {
                self.windows().iter().map(|window| window.name()).collect()
            }
            Label::ReleasedFamily => Part::ALL.map(Part::name).to_vec(),
            Label::Model => Model::ALL.map(Model::name).to_vec(),
            Label::Sale => SaleKind::ALL.map(SaleKind::name).to_vec(),
            Label::WalletPlatform => WalletPlatform::ALL.map(WalletPlatform::name).to_vec(),
            Label::Contact | Label::Exposure | Label::Answer => self.of_values()?.to_vec(),
            Label::Right => Right::ALL
                .map(Right::name)
                .into_iter()
                .chain([UNKNOWN])
                .collect(),
            Label::Outcome => OUTCOMES.to_vec(),
            Label::CallbackOutcome => CALLBACK_OUTCOMES.to_vec(),
            Label::SightingOutcome => SIGHTING_OUTCOMES.to_vec(),
            Label::Step => Use::ALL.map(Use::name).to_vec(),
            Label::Choice => CHOICES.to_vec(),
            Label::Signal => Signal::ALL.map(Signal::name).to_vec(),
            _ => return None,
        })
    }

    /// Meaning of the label, for the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            Label::Brand => "A configured brand",
            Label::OriginBrand => {
                "A configured brand, or `unknown` if the subject does not name one"
            }
            Label::Kind => "The kind of a record",
            Label::OriginKind => "The kind named by the subject, or `unknown`",
            Label::Source => {
                "A configured source, or `unknown` if the request was not admitted to one"
            }
            Label::Code => "The status code of the response (RFC 9110)",
            Label::Reason => "Why a line was rejected",
            Label::Window => {
                "The last 1, 7 or 30 days in the brand's time zone, including the current day"
            }
            Label::MonthWindow => {
                "The current month until yesterday, or the previous month, in the brand's time zone"
            }
            Label::AnyWindow => "A window of days or a month, as above",
            Label::ReleasedFamily => {
                "`attribution`: value credited to touchpoints by the linear model, published by channel; `revenue`: revenue published by store and day, or by day online"
            }
            Label::Model => "An attribution model; `markov` has its own metrics",
            Label::Sale => "The kind of a conversion",
            Label::Contact => "The type of a contact",
            Label::Exposure => "Whether the members of the panel were exposed to the channel",
            Label::Box => {
                "`notice/version/language/box`, with `-` for absent parts. Capped, with `other` for the rarest boxes"
            }
            Label::Answer => {
                "`ticked`, `unticked`, `preticked` (which grants nothing), or `withdrawn`: ticked, and taken back by the person's next statement"
            }
            Label::Currency => "An ISO 4217 code; `-` for visits, which have no value",
            Label::Channel => {
                "`source/medium/campaign`, with `-` for absent parts. With `release.k` above 1, `google/cpc/*` are the other campaigns of google/cpc, `google/*/*` is the rest of google, and `*` is the rest of the month: channels that are published together for privacy. Capped, with `other` for the smallest channels"
            }
            Label::Store => {
                "A store. With `release.k` above 1, `*` is what is published of all stores together for privacy. Capped, with `other` for the smallest stores"
            }
            Label::Platform => "An advertising platform; capped, with `other` for the rest",
            Label::WalletPlatform => "The platform of wallet passes",
            Label::Right => {
                "The type of a rights request, or `unknown` if it was rejected before its type was read"
            }
            Label::Outcome => "The outcome of a rights request",
            Label::CallbackOutcome => "The outcome of an attempt to post a callback",
            Label::SightingOutcome => {
                "`accepted`, `late`: too long after its day, or `rejected` for another reason"
            }
            Label::Step => "A use of data that requires permission",
            Label::Choice => "The choice in the most recent statement about an identifier",
            Label::Operator => {
                "An operator of the dataflow, `other` for all of its operators without state, or `Decoder` for the work before it"
            }
            Label::Thread => "A worker thread of the process, from 0",
            Label::Signal => "A signal of OpenTelemetry",
            Label::Version => "The version of the program",
            Label::Commit => "The commit the program was built from, or `unknown`",
        }
    }
}

/// The kind of a rejected line as a value of the closed set.
pub fn origin_kind(kind: Option<&str>) -> &'static str {
    let known = Kind::ALL
        .map(Kind::name)
        .into_iter()
        .find(|known| Some(*known) == kind);
    known.unwrap_or(UNKNOWN)
}
