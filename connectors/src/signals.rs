//! Signals of consent, read for one brand: what a string or a few boxes allow, in the steps of the dataflow.
//!
//! A signal speaks of purposes and of what a person opted out of, to a party and under its terms ([`Terms`]); the
//! dataflow knows only the steps that need them. The table from the one to the other stands here, and a brand may
//! make it stricter, never laxer.
//!
//! A signal that holds opt-outs alone (US sections without a TC string, a box «do not sell») says nothing of purposes:
//! as a consent it would withdraw all of them, or grant them where nobody was asked. So it is told apart.

use rustc_hash::FxHashMap;
use tributary_config::model;
use tributary_consent::{
    Allowed, Basis, Boxes, Gpp, Malformed, Numbers, OptOut, Party, Section, TcString, Terms,
};
use tributary_operators::steps::{Step, Steps};

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It answers for purposes: these steps are allowed.
    Steps(Steps),
    /// It holds opt-outs alone: whether the person opted out of sale, sharing or targeted advertising.
    OptedOut(bool),
}

/// How a brand reads signals.
#[derive(Clone, Debug)]
pub struct Signals {
    terms: Terms,
    reads_strings: bool,
    /// What each step needs besides, in the order of [`Step::ALL`].
    also_needs: [Numbers; Step::ALL.len()],
    tc_strings: Known<Steps>,
    gpp_strings: Known<Option<Signal>>,
}

/// Strings that were read, since the views of one visitor carry the same one and reading it takes longer than the rest
/// of the view. What is known of a string is a function of the string alone, so that forgetting it changes nothing.
#[derive(Clone, Debug)]
struct Known<V>(FxHashMap<Box<str>, V>);

impl<V: Copy> Known<V> {
    /// So many are remembered, then all are forgotten.
    const MOST: usize = 1024;

    fn get(&self, text: &str) -> Option<V> {
        self.0.get(text).copied()
    }

    fn put(&mut self, text: &str, value: V) {
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(text.into(), value);
    }
}

impl Signals {
    /// How the brand of this configuration reads signals.
    pub fn new(consent: &model::Consent) -> Signals {
        let also_needs = Step::ALL.map(|step| {
            let purposes = consent.also_needs.get(step.name());
            purposes.into_iter().flatten().copied().collect()
        });
        Signals {
            terms: terms(consent),
            reads_strings: consent.reads_strings(),
            also_needs,
            tc_strings: Known(FxHashMap::default()),
            gpp_strings: Known(FxHashMap::default()),
        }
    }

    /// Whether there is somebody for whom TC strings speak.
    pub fn reads_strings(&self) -> bool {
        self.reads_strings
    }

    /// What a TC string allows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where it cannot be read.
    pub fn tc_string(&mut self, text: &str) -> Result<Steps, Malformed> {
        if let Some(steps) = self.tc_strings.get(text) {
            return Ok(steps);
        }
        let steps = self.steps(TcString::parse(text)?.allowed(&self.terms));
        self.tc_strings.put(text, steps);
        Ok(steps)
    }

    /// What a GPP string says; nothing where it has no US section, and a TC string that cannot be read for anybody.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where it cannot be read.
    pub fn gpp(&mut self, text: &str) -> Result<Option<Signal>, Malformed> {
        if let Some(signal) = self.gpp_strings.get(text) {
            return Ok(signal);
        }
        let string = Gpp::parse(text)?;
        let asks = string.tc_string().is_some();
        let mut sections = string.sections().iter();
        let silent = match asks {
            true => !self.reads_strings,
            false => sections.all(|(_, section)| matches!(section, Section::Other)),
        };
        let signal = match self.signal(asks && !silent, string.allowed(&self.terms)) {
            Signal::OptedOut(false) if silent => None,
            signal => Some(signal),
        };
        self.gpp_strings.put(text, signal);
        Ok(signal)
    }

    /// What boxes say.
    pub fn boxes(&self, boxes: &Boxes) -> Signal {
        self.signal(boxes.asks_for_purposes(), boxes.allowed(&self.terms))
    }

    fn signal(&self, asks: bool, allowed: Allowed) -> Signal {
        match asks {
            true => Signal::Steps(self.steps(allowed)),
            false => Signal::OptedOut(opted_out(allowed)),
        }
    }

    fn steps(&self, allowed: Allowed) -> Steps {
        let purpose = |purpose| allowed.purpose(purpose);
        let granted = |step: Step| match step {
            Step::Hold => purpose(1),
            Step::Credit => purpose(7),
            Step::Join => purpose(9),
            Step::Link => (purpose(7) || purpose(9)) && allowed.feature_2(),
            Step::Position => allowed.special_feature(1),
            Step::Share => !opted_out(allowed),
        };
        (Step::ALL.into_iter().zip(self.also_needs))
            .filter(|(step, also)| granted(*step) && also.iter().all(purpose))
            .fold(Steps::NONE, |steps, (step, _)| steps.with(step))
    }
}

/// Out of any of them is out of sharing with partners, which is all of them at once.
fn opted_out(allowed: Allowed) -> bool {
    [OptOut::Sale, OptOut::Sharing, OptOut::TargetedAdvertising]
        .into_iter()
        .any(|out| allowed.opted_out(out))
}

/// For whom signals are read. Without a party only boxes and opt-outs are, which speak to whoever asks.
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
