//! The names and amounts of a random world.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Currency, NoticeBox, Record};

use super::pick::pick;

/// Sources of web records.
pub(super) const WEB: [&str; 2] = ["web", "app"];
/// Sources of transactions.
pub(super) const TILLS: [&str; 2] = ["till", "crm"];
/// The source of wallet records.
pub(super) const PASSES: &str = "passes";
/// The source of what partners report.
pub(super) const PARTNERS: &str = "partner";
/// Advertising platforms.
pub(super) const PLATFORMS: [&str; 2] = ["google_ads", "meta_ads"];
/// Stores.
const STORES: [&str; 3] = ["lyon", "metz", "nice"];

/// Channels: source, medium and campaign. Among them is one named `unattributed`, which a web
/// record may have like any other.
pub(super) const CHANNELS: [[&str; 3]; 10] = [
    ["direct", "none", ""],
    ["direct", "none", ""],
    ["google", "cpc", "brand"],
    ["google", "cpc", "spring"],
    ["google", "cpc", ""],
    ["google", "organic", ""],
    ["newsletter", "email", "spring"],
    ["", "", "spring"],
    ["direct", "none", "spring"],
    ["unattributed", "", ""],
];

/// IDs that every source uses, so that records tie and correct each other.
pub(super) const SHARED_IDS: [&str; 6] = ["a", "b", "B", "aa", "ab", "é"];

/// The boxes of forms.
pub(super) const BOXES: [&str; 2] = ["7", "newsletter"];
/// The notices beside boxes; some have none.
pub(super) const NOTICES: [&str; 2] = ["", "terms"];
/// The versions of notices.
pub(super) const VERSIONS: [&str; 2] = ["", "2"];
/// The texts beside boxes.
pub(super) const WORDINGS: [&str; 2] = ["", "I agree to the terms."];
/// The language of all notices.
pub(super) const LANGUAGE: &str = "fr";

/// All names of labels.
pub(super) fn vocabulary() -> impl Iterator<Item = &'static str> {
    let words = [&WEB[..], &TILLS, &[PASSES, PARTNERS], &STORES, &PLATFORMS].concat();
    let forms = [&BOXES[..], &NOTICES, &VERSIONS, &WORDINGS, &[LANGUAGE]].concat();
    words
        .into_iter()
        .chain(forms)
        .chain(CHANNELS.into_iter().flatten())
        .filter(|word| !word.is_empty())
}

/// The labels that a record uses, absent ones included.
pub(super) fn labels(record: &Record) -> Vec<Label> {
    let parts = |channel: Channel| [channel.source, channel.medium, channel.campaign];
    let mut labels = vec![record.source];
    match record.body {
        Body::Contact { channel, .. } | Body::Exposure { channel, .. } => {
            labels.extend(parts(channel));
        }
        Body::Sale { store, .. }
        | Body::Sighting { store, .. }
        | Body::SettledVisit { store, .. }
        | Body::Refund { store, .. }
        | Body::Restatement { store, .. }
        | Body::Adjustment { store, .. } => labels.push(store),
        Body::Wallet { store, channel, .. } => {
            labels.push(store);
            labels.extend(parts(channel));
        }
        Body::Spend {
            platform, channel, ..
        } => {
            labels.push(platform);
            labels.extend(parts(channel));
        }
        Body::Consent { ref boxes, .. } => {
            let boxes = boxes.iter().flat_map(|boxes| boxes.iter());
            labels.extend(boxes.flat_map(NoticeBox::labels));
        }
        Body::Identify | Body::PartnerLink | Body::PanelMember { .. } | Body::Right { .. } => {}
    }
    labels
}

/// The channel of three names.
pub(super) fn channel(words: [&str; 3]) -> Channel {
    let [source, medium, campaign] = words;
    Channel::of(source, medium, campaign)
}

/// A random store.
pub(super) fn store(rng: &mut ChaCha8Rng) -> Label {
    Label::of(pick(rng, STORES))
}

/// Minor units: 10 % zero, 15 % one to three, 5 % close to the maximum of 10^15, 35 % one of three
/// round amounts, the rest below 20,000.
pub(super) fn amount(rng: &mut ChaCha8Rng) -> i64 {
    match rng.random_range(0..20) {
        0..=1 => 0,
        2..=4 => pick(rng, [1, 2, 3]),
        5 => 1_000_000_000_000_000 - pick(rng, [0, 1, 2]),
        6..=12 => pick(rng, [100, 250, 999]),
        _ => rng.random_range(1..20_000),
    }
}

/// A random currency, mostly the euro.
pub(super) fn currency(rng: &mut ChaCha8Rng) -> Currency {
    Currency(pick(rng, [*b"EUR", *b"EUR", *b"EUR", *b"USD", *b"JPY"]))
}
