//! The US National (7) and California (8) sections of the Global Privacy
//! Platform.
//!
//! Both are a version and a core of two-bit answers and, after a dot, an
//! optional sub-section of type 1 with the browser's Global Privacy Control.
//! The sources are «GPP Extension: IAB Privacy's MSPA US National Section
//! Technical Specification», versions 1 and 2, and «GPP Extension: California
//! Privacy Technical Specification».
//!
//! Version 2 of the national core has sixteen answers on sensitive data instead
//! of twelve, and three on children instead of two. The most common encoder
//! wrote that layout under version 1 for a while, so a core of version 1 in
//! which bits are set behind the shorter layout is decoded by the longer one:
//! there such bits always exist, in the shorter one never.

use crate::allowed::{Allowed, OptOut};
use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::us::{Answer, Consented, Notice, OptedOut, YesNo, out, subsections, take_away};

/// The US National section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsNational {
    /// The version that the section says it is, 1 or 2.
    pub version: u8,
    /// Notice that personal data is shared.
    pub sharing_notice: Notice,
    /// Notice of the opt-out of sale.
    pub sale_opt_out_notice: Notice,
    /// Notice of the opt-out of sharing.
    pub sharing_opt_out_notice: Notice,
    /// Notice of the opt-out of targeted advertising.
    pub targeted_advertising_opt_out_notice: Notice,
    /// Notice of the opt-out of the processing of sensitive data.
    pub sensitive_data_processing_opt_out_notice: Notice,
    /// Notice of the right to limit the use of sensitive data.
    pub sensitive_data_limit_use_notice: Notice,
    /// Opt-out of sale.
    pub sale_opt_out: OptedOut,
    /// Opt-out of sharing.
    pub sharing_opt_out: OptedOut,
    /// Opt-out of targeted advertising.
    pub targeted_advertising_opt_out: OptedOut,
    /// Consents to the processing of sensitive data, in the order of the
    /// specification (the eighth is the precise position); the last four do not
    /// apply in the shorter layout.
    pub sensitive_data: [Consented; 16],
    /// Consents for a known child: from 13 to 16, under 13, from 16 to 17 (not
    /// in the shorter layout).
    pub known_child: [Consented; 3],
    /// Consent to uses beyond what the data was collected for.
    pub personal_data: Consented,
    /// Whether the transaction is covered by the Multi-State Privacy Agreement
    /// (MSPA).
    pub mspa_covered: YesNo,
    /// Whether it is in the opt-out option mode.
    pub mspa_opt_out_option: YesNo,
    /// Whether it is in the service provider mode.
    pub mspa_service_provider: YesNo,
    /// The Global Privacy Control, where it was passed on.
    pub gpc: Option<bool>,
}

/// The California section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsCalifornia {
    /// Notice of the opt-out of sale.
    pub sale_opt_out_notice: Notice,
    /// Notice of the opt-out of sharing.
    pub sharing_opt_out_notice: Notice,
    /// Notice of the right to limit the use of sensitive data.
    pub sensitive_data_limit_use_notice: Notice,
    /// Opt-out of sale.
    pub sale_opt_out: OptedOut,
    /// Opt-out of sharing.
    pub sharing_opt_out: OptedOut,
    /// Opt-outs of the use of sensitive data, in the order of the specification
    /// (the third is the precise position).
    pub sensitive_data: [OptedOut; 9],
    /// Consents for a child under 16: to sell, to share.
    pub known_child: [Consented; 2],
    /// Consent to uses beyond what the data was collected for.
    pub personal_data: Consented,
    /// Whether the transaction is covered by the Multi-State Privacy Agreement
    /// (MSPA).
    pub mspa_covered: YesNo,
    /// Whether it is in the opt-out option mode.
    pub mspa_opt_out_option: YesNo,
    /// Whether it is in the service provider mode.
    pub mspa_service_provider: YesNo,
    /// The Global Privacy Control, where it was passed on.
    pub gpc: Option<bool>,
}

/// Answers on sensitive data and on children in version 1 of the national
/// section.
const LIMITED: (usize, usize) = (12, 2);
/// The same in version 2.
const FULL: (usize, usize) = (16, 3);

impl UsNational {
    /// Parses the section.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for another version than 1 and 2, an undefined value,
    /// another length, or an unknown sub-section.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (core, gpc) = subsections(text)?;
        let mut bits = Bits::new(core, 0)?;
        let start = bits.clone();
        let version = bits.byte(6)?;
        let section = match version {
            1 => match Self::core(bits.clone(), version, LIMITED) {
                Err(error) if error.kind == Kind::Garbage => Self::core(bits, version, FULL),
                section => section,
            },
            2 => Self::core(bits, version, FULL),
            _ => Err(start.error(Kind::Version(version))),
        }?;
        Ok(Self { gpc, ..section })
    }

    /// Reads the core in one layout.
    fn core(mut bits: Bits<'_>, version: u8, layout: (usize, usize)) -> Result<Self, Malformed> {
        let (sensitive, children) = layout;
        let section = Self {
            version,
            sharing_notice: Notice::read(&mut bits)?,
            sale_opt_out_notice: Notice::read(&mut bits)?,
            sharing_opt_out_notice: Notice::read(&mut bits)?,
            targeted_advertising_opt_out_notice: Notice::read(&mut bits)?,
            sensitive_data_processing_opt_out_notice: Notice::read(&mut bits)?,
            sensitive_data_limit_use_notice: Notice::read(&mut bits)?,
            sale_opt_out: OptedOut::read(&mut bits)?,
            sharing_opt_out: OptedOut::read(&mut bits)?,
            targeted_advertising_opt_out: OptedOut::read(&mut bits)?,
            sensitive_data: Consented::several(&mut bits, sensitive)?,
            known_child: Consented::several(&mut bits, children)?,
            personal_data: Consented::read(&mut bits)?,
            mspa_covered: YesNo::read(&mut bits)?,
            mspa_opt_out_option: YesNo::read(&mut bits)?,
            mspa_service_provider: YesNo::read(&mut bits)?,
            gpc: None,
        };
        bits.finish()?;
        Ok(section)
    }

    /// Removes what the person opted out of. The Global Privacy Control, and a
    /// refusal for a known child, opt out of sale, sharing and targeted
    /// advertising.
    pub(crate) fn restrict(&self, allowed: Allowed) -> Allowed {
        let all = self.gpc == Some(true) || self.known_child.contains(&Consented::No);
        let sale = out(self.sale_opt_out_notice, self.sale_opt_out);
        let sharing = out(self.sharing_opt_out_notice, self.sharing_opt_out);
        let targeted = out(
            self.targeted_advertising_opt_out_notice,
            self.targeted_advertising_opt_out,
        );
        let [_, _, _, _, _, _, _, position, ..] = self.sensitive_data;
        take_away(
            allowed,
            &[
                (OptOut::Sale, all || sale),
                (OptOut::Sharing, all || sharing),
                (OptOut::TargetedAdvertising, all || targeted),
                (OptOut::PrecisePosition, position == Consented::No),
            ],
        )
    }
}

impl UsCalifornia {
    /// Parses the section.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for another version than 1, an undefined value, another
    /// length, or an unknown sub-section.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (core, gpc) = subsections(text)?;
        let mut bits = Bits::new(core, 0)?;
        let start = bits.clone();
        match bits.byte(6)? {
            1 => {}
            version => return Err(start.error(Kind::Version(version))),
        }
        let section = Self {
            sale_opt_out_notice: Notice::read(&mut bits)?,
            sharing_opt_out_notice: Notice::read(&mut bits)?,
            sensitive_data_limit_use_notice: Notice::read(&mut bits)?,
            sale_opt_out: OptedOut::read(&mut bits)?,
            sharing_opt_out: OptedOut::read(&mut bits)?,
            sensitive_data: OptedOut::several(&mut bits, 9)?,
            known_child: Consented::several(&mut bits, 2)?,
            personal_data: Consented::read(&mut bits)?,
            mspa_covered: YesNo::read(&mut bits)?,
            mspa_opt_out_option: YesNo::read(&mut bits)?,
            mspa_service_provider: YesNo::read(&mut bits)?,
            gpc,
        };
        bits.finish()?;
        Ok(section)
    }

    /// Removes what the person opted out of. California's "share" concerns
    /// cross-context behavioral advertising, so an opt-out of sharing is one of
    /// targeted advertising too.
    pub(crate) fn restrict(&self, allowed: Allowed) -> Allowed {
        let gpc = self.gpc == Some(true);
        let [child_sale, child_sharing] = self.known_child.map(|child| child == Consented::No);
        let sale = gpc || child_sale || out(self.sale_opt_out_notice, self.sale_opt_out);
        let sharing =
            gpc || child_sharing || out(self.sharing_opt_out_notice, self.sharing_opt_out);
        let [_, _, position, ..] = self.sensitive_data;
        take_away(
            allowed,
            &[
                (OptOut::Sale, sale),
                (OptOut::Sharing, sharing),
                (OptOut::TargetedAdvertising, sharing),
                (OptOut::PrecisePosition, position == OptedOut::Out),
            ],
        )
    }
}
