//! Evaluates the consent signals of one brand: which uses a consent string or a
//! set of checkboxes allows.
//!
//! A signal states purposes and opt-outs for a party under its terms
//! ([`Terms`]). The dataflow knows only the uses that depend on them. The
//! mapping between the two is defined here; a brand may make it stricter, never
//! more lenient.
//!
//! | use | requires |
//! |---|---|
//! | hold | purpose 1 |
//! | credit | purpose 7 |
//! | join | purpose 9 |
//! | link | purpose 7 or 9, and feature 2 |
//! | position | special feature 1 |
//! | share | no opt-out from sale, sharing and targeted advertising |
//!
//! A string that contains the date of its last update is identified by a hash
//! of the exact string ([`ConsentString`]), so repeated transmissions do not
//! change its order. This applies to TC strings and to GPP strings that contain
//! one. US sections carry no date, and the same choice is the same text
//! whenever it is made, so they take the time at which they are sent.
//!
//! A signal that contains opt-outs alone (US sections without a TC string, a
//! "do not sell" checkbox) does not answer for purposes. Read as a consent, it
//! would withdraw all of them or grant purposes that nobody was asked about. It
//! therefore has a variant of its own.

use rustc_hash::FxHashMap;
use tributary_config::model;
use tributary_consent::{
    Allowed, Basis, Boxes, Gpp, Malformed, Numbers, OptOut, Party, Section, TcString, Terms,
};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::record::ConsentString;

/// The content of a consent signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The uses that it allows; all others are withheld.
    Steps(PurposeConsent),
    /// Opt-outs alone: whether the person opted out of sale, sharing or
    /// targeted advertising.
    OptedOut(bool),
}

/// The content of a signal that answers for purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeConsent {
    /// The uses that are allowed.
    pub steps: AllowedUses,
    /// The string, if it carries its own date.
    pub string: Option<ConsentString>,
    /// Whether an undated part of it opts out of sale, sharing or targeted
    /// advertising.
    pub opted_out: bool,
}

/// The content of a GPP string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GppSignal {
    /// `None` if it has no supported US section and no TC string that applies
    /// to a configured party.
    pub signal: Option<Signal>,
    /// The number of sections that are not supported.
    pub unread: u32,
}

/// Evaluates consent signals under the terms of one brand, with a cache of
/// parsed strings.
///
/// ```
/// use tributary_config::model::Consent;
/// use tributary_connectors::signals::SignalReader;
/// use tributary_operators::allowed_uses::Use;
///
/// let consent = Consent { vendor: Some(755), ..Consent::default() };
/// let mut reader = SignalReader::new(&consent);
/// // Purposes 1 and 7, consented to for vendor 755.
/// let consent = reader.tc_string("CP1R2oAP1R2oAEsABBFRBkEgAIIAAAAAAAqIF5wAQF5gAAAA")?;
/// assert!(consent.steps.allows(Use::Hold) && consent.steps.allows(Use::Credit));
/// assert!(!consent.steps.allows(Use::Join));
/// # Ok::<(), tributary_consent::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct SignalReader {
    /// The party and its declarations.
    terms: Terms,
    /// Whether the brand names a party.
    reads_strings: bool,
    /// The additional purposes that each use requires, in the order of
    /// [`Use::ALL`].
    also_needs: [Numbers; Use::ALL.len()],
    /// The cache of TC strings.
    tc_strings: ParsedStrings<PurposeConsent>,
    /// The cache of GPP strings.
    gpp_strings: ParsedStrings<GppSignal>,
}

/// A cache of parsed strings: the views of one visitor carry the same string,
/// and parsing it takes longer than the rest of the view. An entry is a
/// function of the string alone, so evicting it changes no result.
#[derive(Clone, Debug)]
struct ParsedStrings<V>(FxHashMap<Box<str>, V>);

impl<V: Copy> ParsedStrings<V> {
    /// The capacity; a full cache is cleared.
    const MOST: usize = 1024;

    /// The cached value of a string.
    fn get(&self, text: &str) -> Option<V> {
        self.0.get(text).copied()
    }

    /// Caches the value of a string, after clearing a full cache.
    fn put(&mut self, text: &str, value: V) {
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(text.into(), value);
    }
}

impl SignalReader {
    /// A reader under the consent settings of a brand.
    pub fn new(consent: &model::Consent) -> SignalReader {
        let also_needs = Use::ALL.map(|step| {
            let purposes = consent.also_needs.get(step.name());
            purposes.into_iter().flatten().copied().collect()
        });
        SignalReader {
            terms: terms(consent),
            reads_strings: consent.reads_strings(),
            also_needs,
            tc_strings: ParsedStrings(FxHashMap::default()),
            gpp_strings: ParsedStrings(FxHashMap::default()),
        }
    }

    /// Whether the brand names a party, so that TC strings can be evaluated.
    pub fn reads_strings(&self) -> bool {
        self.reads_strings
    }

    /// The uses that a TC string allows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the string cannot be parsed.
    pub fn tc_string(&mut self, text: &str) -> Result<PurposeConsent, Malformed> {
        if let Some(consent) = self.tc_strings.get(text) {
            return Ok(consent);
        }
        let string = TcString::parse(text)?;
        let consent = PurposeConsent {
            steps: self.steps(string.allowed(&self.terms)),
            string: Some(dated_string(text, &string)),
            opted_out: false,
        };
        self.tc_strings.put(text, consent);
        Ok(consent)
    }

    /// The content of a GPP string.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the string cannot be parsed.
    pub fn gpp(&mut self, text: &str) -> Result<GppSignal, Malformed> {
        if let Some(signal) = self.gpp_strings.get(text) {
            return Ok(signal);
        }
        let string = Gpp::parse(text)?;
        let allowed = string.allowed(&self.terms);
        let opted_out = opted_out(allowed);
        let mut sections = string.sections().iter();
        let signal = match string.tc_string() {
            // The statement is that of the TC string, whatever carries it, so that an old one does not grant again in a new
            // wrapper. What the other sections opt out of is a statement of its own.
            Some(tc_string) if self.reads_strings => {
                let place = sections.position(|(id, _)| *id == TCF_EU);
                let of_section = place.and_then(|place| text.split('~').nth(place + 1));
                Some(Signal::Steps(PurposeConsent {
                    steps: self.steps(tc_string.allowed(&self.terms)),
                    string: Some(dated_string(of_section.unwrap_or(text), tc_string)),
                    opted_out,
                }))
            }
            Some(_) => opted_out.then_some(Signal::OptedOut(true)),
            None if sections.all(|(_, section)| matches!(section, Section::Other)) => None,
            None => Some(Signal::OptedOut(opted_out)),
        };
        let unread = string.unread().map(|_| 1).sum();
        let signal = GppSignal { signal, unread };
        self.gpp_strings.put(text, signal);
        Ok(signal)
    }

    /// Evaluates a set of checkboxes.
    pub fn boxes(&self, boxes: &Boxes) -> Signal {
        let allowed = boxes.allowed(&self.terms);
        match boxes.asks_for_purposes() {
            true => Signal::Steps(PurposeConsent {
                steps: self.steps(allowed),
                string: None,
                opted_out: false,
            }),
            false => Signal::OptedOut(opted_out(allowed)),
        }
    }

    /// The uses that purposes, features and opt-outs allow.
    fn steps(&self, allowed: Allowed) -> AllowedUses {
        let purpose = |purpose| allowed.purpose(purpose);
        let granted = |step: Use| match step {
            Use::Hold => purpose(1),
            Use::Credit => purpose(7),
            Use::Join => purpose(9),
            Use::Link => (purpose(7) || purpose(9)) && allowed.feature_2(),
            Use::Position => allowed.special_feature(1),
            Use::Share => !opted_out(allowed),
        };
        (Use::ALL.into_iter().zip(self.also_needs))
            .filter(|(step, also)| granted(*step) && also.iter().all(purpose))
            .fold(AllowedUses::NONE, |steps, (step, _)| steps.with(step))
    }
}

/// The id of the section with a TC string («GPP Section Information»).
const TCF_EU: u16 = 2;

/// Identifies a dated string by the hash of its text and the date of its TC
/// string.
fn dated_string(text: &str, string: &TcString) -> ConsentString {
    ConsentString {
        hash: hash(&[text.trim().as_bytes()]),
        updated: string.updated_day(),
    }
}

/// The first 16 bytes of BLAKE3 in key-derivation mode over the concatenated
/// parts.
fn hash(parts: &[&[u8]]) -> u128 {
    let mut hash = blake3::Hasher::new_derive_key("tributary 2025-11 consent strings");
    for part in parts {
        hash.update(part);
    }
    let mut first = [0; 16];
    hash.finalize_xof().fill(&mut first);
    u128::from_le_bytes(first)
}

impl PurposeConsent {
    /// The uses that both allow, with the later of their dates, since the later
    /// one must allow each of them.
    #[must_use]
    pub fn and(self, other: PurposeConsent) -> PurposeConsent {
        let string = match (self.string, other.string) {
            (Some(one), Some(other)) if one == other => Some(one),
            (Some(one), Some(other)) => Some(ConsentString {
                hash: hash(&[&one.hash.to_le_bytes(), &other.hash.to_le_bytes()]),
                updated: one.updated.max(other.updated),
            }),
            (one, other) => one.or(other),
        };
        PurposeConsent {
            steps: self.steps.intersect(other.steps),
            string,
            opted_out: self.opted_out || other.opted_out,
        }
    }
}

/// Whether any opt-out is set. Sharing with partners is sale, sharing and
/// targeted advertising at once.
fn opted_out(allowed: Allowed) -> bool {
    [OptOut::Sale, OptOut::Sharing, OptOut::TargetedAdvertising]
        .into_iter()
        .any(|out| allowed.opted_out(out))
}

/// The terms under which signals are evaluated. Without a party, only
/// checkboxes and opt-outs count, which address everyone.
fn terms(consent: &model::Consent) -> Terms {
    if let Some(vendor) = &consent.declared {
        return Terms::of(vendor);
    }
    let party = consent.vendor.map_or(Party::Publisher, Party::Vendor);
    (1..=11)
        .fold(Terms::new(party), |terms, purpose| {
            let basis = match consent.legitimate_interest.contains(&purpose) {
                true => Basis::LegitimateInterest,
                false => Basis::Consent,
            };
            terms.with(purpose, basis)
        })
        .with_special_features(Numbers::NONE.with(1))
        .with_feature_2(consent.feature_2)
}
