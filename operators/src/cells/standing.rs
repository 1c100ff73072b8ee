//! How a cell was published: what a later start has to know of it beside its values.
//!
//! A value that was published under lower thresholds may show fewer contributors than the gate of today allows, and nobody
//! keeps how many it has. So each published cell says under which thresholds it was published, and a start withdraws what
//! stands under lower ones, as a running process does ([`super::stricter`]). A closed cell says whether it was withdrawn,
//! because a reader who remembers it must not see in its return what few contributors have changed. A cell of revenue that counts
//! less than its name covers says what it counts ([`crate::release::revenue_names`]).

use std::fmt::{Display, Formatter, Result as FmtResult};

use serde::{Deserialize, Serialize};

use crate::release::{Member, Members};
use crate::settings::BrandSettings;

/// The settings of a brand's gate that say what may be published: the lower a threshold, the more is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thresholds {
    /// The smallest number of contributors of a cell.
    pub k: u64,
    /// The smallest number of contributors of a cell that counts traffic only.
    pub k_traffic: u64,
    /// The largest share of a cell's value that one contributor may hold, percent.
    pub dominance: u64,
}

impl Thresholds {
    /// The thresholds of a brand.
    pub fn of(settings: &BrandSettings) -> Thresholds {
        Thresholds {
            k: settings.k,
            k_traffic: settings.k_traffic,
            dominance: settings.dominance,
        }
    }

    /// Whether something may be published under other thresholds that may not under these.
    pub fn hide_more_than(&self, other: &Thresholds) -> bool {
        self.k > other.k || self.k_traffic > other.k_traffic || self.dominance < other.dominance
    }

    /// What may be published under either.
    pub(super) fn or(self, other: Thresholds) -> Thresholds {
        Thresholds {
            k: self.k.min(other.k),
            k_traffic: self.k_traffic.min(other.k_traffic),
            dominance: self.dominance.max(other.dominance),
        }
    }

    /// The settings of a brand with these thresholds.
    pub(super) fn in_settings(&self, of: &BrandSettings) -> BrandSettings {
        BrandSettings {
            k: self.k,
            k_traffic: self.k_traffic,
            dominance: self.dominance,
            ..of.clone()
        }
    }
}

/// How a cell was published. Its text is what the message of the cell carries.
///
/// ```
/// use tributary_operators::cells::{Standing, Thresholds};
/// use tributary_operators::release::Member;
///
/// let thresholds = Thresholds { k: 50, k_traffic: 10, dominance: 80 };
/// let standing = Standing::Published(thresholds, None);
/// assert_eq!(standing.to_string(), "k=50 k_traffic=10 dominance=80");
/// assert_eq!(Standing::parse("k=50 k_traffic=10 dominance=80"), Some(standing));
/// let of_members = Standing::Published(thresholds, Some([Member(1), Member(255)].into()));
/// let text = "k=50 k_traffic=10 dominance=80 of=0000000000000001,00000000000000ff";
/// assert_eq!(of_members.to_string(), text);
/// assert_eq!(Standing::parse(text), Some(of_members));
/// assert_eq!(Standing::parse("withdrawn"), Some(Standing::Withdrawn));
/// assert_eq!(Standing::parse("k=50"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It has values, published under these thresholds. A cell of revenue may count these members alone.
    Published(Thresholds, Option<Members>),
    /// It is closed: nothing is left of it, or too little.
    Closed,
    /// It is closed, because a stricter gate withdrew it.
    Withdrawn,
}

impl Display for Standing {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Standing::Published(under, members) => {
                let Thresholds {
                    k,
                    k_traffic,
                    dominance,
                } = under;
                write!(f, "k={k} k_traffic={k_traffic} dominance={dominance}")?;
                let mut separator = " of=";
                for Member(member) in members.iter().flatten() {
                    write!(f, "{separator}{member:016x}")?;
                    separator = ",";
                }
                Ok(())
            }
            Standing::Closed => f.write_str("closed"),
            Standing::Withdrawn => f.write_str("withdrawn"),
        }
    }
}

impl Standing {
    /// The inverse of [`Standing::to_string`]; `None` for any other text.
    pub fn parse(text: &str) -> Option<Standing> {
        match text {
            "closed" => return Some(Standing::Closed),
            "withdrawn" => return Some(Standing::Withdrawn),
            _ => {}
        }
        let mut parts = text.split(' ');
        let mut number = |name: &str| -> Option<u64> {
            let (found, value) = parts.next()?.split_once('=')?;
            (found == name).then(|| value.parse().ok())?
        };
        let thresholds = Thresholds {
            k: number("k")?,
            k_traffic: number("k_traffic")?,
            dominance: number("dominance")?,
        };
        let member = |text: &str| u64::from_str_radix(text, 16).ok().map(Member);
        let members = match parts.next() {
            None => None,
            Some(part) => Some(
                part.strip_prefix("of=")?
                    .split(',')
                    .map(member)
                    .collect::<Option<Members>>()?,
            ),
        };
        parts
            .next()
            .is_none()
            .then_some(Standing::Published(thresholds, members))
    }
}
