//! The sections of single US states (9 to 23) of the Global Privacy Platform.
//!
//! All of them have one layout with a few optional parts: a version, three
//! notices, two opt-outs, answers on categories of sensitive data, consents for
//! known children, and three answers on the Multi-State Privacy Agreement
//! (MSPA). [`LAYOUTS`] states which state has what, after version 1 of each
//! state's «GPP Extension: IAB Privacy's … Privacy Technical Specification». A
//! sub-section of type 1 contains the browser's Global Privacy Control;
//! Florida, Utah and Virginia define none, and one that occurs nonetheless is
//! read, because it can only remove permissions.

use crate::allowed::{Allowed, OptOut};
use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::us::{Answer, Consented, Notice, OptedOut, YesNo, out, subsections, take_away};

/// The section of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsState {
    /// The state, two capital letters.
    pub state: &'static str,
    /// Notice that personal data is processed (Colorado, Connecticut, Montana,
    /// Utah, Virginia: shared).
    pub processing_notice: Notice,
    /// Notice of the opt-out of sale.
    pub sale_opt_out_notice: Notice,
    /// Notice of the opt-out of targeted advertising.
    pub targeted_advertising_opt_out_notice: Notice,
    /// Notice of the opt-out of the processing of sensitive data (Iowa, Utah).
    pub sensitive_data_opt_out_notice: Notice,
    /// Opt-out of sale.
    pub sale_opt_out: OptedOut,
    /// Opt-out of targeted advertising.
    pub targeted_advertising_opt_out: OptedOut,
    /// For each category of sensitive data, in the order of the specification,
    /// what the person answered: consents, in Iowa and Utah opt-outs, where
    /// opting out is no consent. The last ones do not apply where there are
    /// fewer.
    pub sensitive_data: [Consented; MOST_SENSITIVE],
    /// Consents for a known child, in the order of the specification.
    pub known_child: [Consented; MOST_CHILDREN],
    /// Consent to uses beyond what the data was collected for.
    pub additional_data: Consented,
    /// Whether the transaction is covered by the Multi-State Privacy Agreement
    /// (MSPA).
    pub mspa_covered: YesNo,
    /// Whether it is in the opt-out option mode.
    pub mspa_opt_out_option: YesNo,
    /// Whether it is in the service provider mode.
    pub mspa_service_provider: YesNo,
    /// The Global Privacy Control, where it was passed on.
    pub gpc: Option<bool>,
    /// Which of `sensitive_data` concern the precise position.
    position: &'static [usize],
}

/// The largest number of categories of sensitive data.
const MOST_SENSITIVE: usize = 11;
/// The largest number of consents for known children.
const MOST_CHILDREN: usize = 5;

/// The parts of a state's section.
struct Layout {
    /// The section id.
    id: u16,
    /// The state, two capital letters.
    state: &'static str,
    /// Categories of sensitive data.
    sensitive: usize,
    /// Whether they are opted out of, which has a notice of its own.
    opt_out: bool,
    /// Which of them concern the precise position, from 0.
    position: &'static [usize],
    /// Consents for known children.
    children: usize,
    /// Whether uses beyond the purpose are asked for.
    additional: bool,
}

/// A layout without an opt-out from sensitive data.
const fn layout(
    id: u16,
    state: &'static str,
    sensitive: usize,
    position: &'static [usize],
    children: usize,
    additional: bool,
) -> Layout {
    Layout {
        id,
        state,
        sensitive,
        opt_out: false,
        position,
        children,
        additional,
    }
}

/// The layouts by section id.
const LAYOUTS: [Layout; 15] = [
    layout(9, "VA", 8, &[7], 1, false),
    layout(10, "CO", 7, &[], 1, false),
    Layout {
        opt_out: true,
        ..layout(11, "UT", 8, &[7], 1, false)
    },
    layout(12, "CT", 8, &[7], 3, false),
    layout(13, "FL", 8, &[7], 3, true),
    layout(14, "MT", 8, &[7], 3, true),
    layout(15, "OR", 11, &[10], 3, true),
    layout(16, "TX", 8, &[7], 1, true),
    // The position is the ninth in one edition of the specification and the eighth in another: no to either is no.
    layout(17, "DE", 9, &[7, 8], 5, true),
    Layout {
        opt_out: true,
        ..layout(18, "IA", 8, &[7], 1, false)
    },
    layout(19, "NE", 8, &[7], 1, true),
    layout(20, "NH", 8, &[7], 3, true),
    layout(21, "NJ", 10, &[7], 5, true),
    layout(22, "TN", 8, &[7], 1, true),
    layout(23, "MN", 8, &[7], 1, true),
];

impl UsState {
    /// Parses the section with an id; `None` if the id is not that of a
    /// supported state.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for another version than 1, an undefined value, another
    /// length, or an unknown sub-section.
    pub fn parse(id: u16, text: &str) -> Result<Option<Self>, Malformed> {
        let Some(layout) = LAYOUTS.iter().find(|layout| layout.id == id) else {
            return Ok(None);
        };
        let (core, gpc) = subsections(text)?;
        let mut bits = Bits::new(core, 0)?;
        let start = bits.clone();
        match bits.byte(6)? {
            1 => {}
            version => return Err(start.error(Kind::Version(version))),
        }
        // Fields of a struct are evaluated as they are written: in the order of the string.
        let section = Self {
            state: layout.state,
            processing_notice: Notice::read(&mut bits)?,
            sale_opt_out_notice: Notice::read(&mut bits)?,
            targeted_advertising_opt_out_notice: Notice::read(&mut bits)?,
            sensitive_data_opt_out_notice: Notice::read_if(layout.opt_out, &mut bits)?,
            sale_opt_out: OptedOut::read(&mut bits)?,
            targeted_advertising_opt_out: OptedOut::read(&mut bits)?,
            // 1 is opted out in the one and no consent in the other, 2 is yes in both.
            sensitive_data: Consented::several(&mut bits, layout.sensitive)?,
            known_child: Consented::several(&mut bits, layout.children)?,
            additional_data: Consented::read_if(layout.additional, &mut bits)?,
            mspa_covered: YesNo::read(&mut bits)?,
            mspa_opt_out_option: YesNo::read(&mut bits)?,
            mspa_service_provider: YesNo::read(&mut bits)?,
            gpc,
            position: layout.position,
        };
        bits.finish()?;
        Ok(Some(section))
    }

    /// Whether the person refused the use of a precise geolocation, or received
    /// no notice of that choice.
    pub fn position_refused(&self) -> bool {
        let answers = self.position.iter();
        let mut answers = answers.filter_map(|place| self.sensitive_data.get(*place));
        self.sensitive_data_opt_out_notice == Notice::NotProvided
            || answers.any(|answer| *answer == Consented::No)
    }

    /// Removes what the person opted out of. The laws of these states cover
    /// sale and targeted advertising; the Global Privacy Control, and a known
    /// child without consent, opt out of both.
    pub(crate) fn restrict(&self, allowed: Allowed) -> Allowed {
        let all = self.gpc == Some(true) || self.known_child.contains(&Consented::No);
        let sale = out(self.sale_opt_out_notice, self.sale_opt_out);
        let targeted = out(
            self.targeted_advertising_opt_out_notice,
            self.targeted_advertising_opt_out,
        );
        take_away(
            allowed,
            &[
                (OptOut::Sale, all || sale),
                (OptOut::TargetedAdvertising, all || targeted),
                (OptOut::PrecisePosition, self.position_refused()),
            ],
        )
    }
}
