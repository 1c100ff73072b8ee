//! `[brand.retention]`: how long records are stored.
//!
//! The defaults are the longest periods that the specification permits; a
//! longer setting yields a warning.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Retention;
use crate::value_type::number::Int;

/// The row of one category, in calendar months from 1 to 1200.
macro_rules! months {
    ($key:literal, $default:literal, $meaning:literal, $field:ident) => {
        &Setting {
            key: $key,
            value_type: Int::<u32>::new(1, 1_200),
            default: DefaultValue::Toml($default),
            unit: "calendar months",
            meaning: $meaning,
            field: |retention: &mut Retention| &mut retention.$field,
        }
    };
}

/// Consent statements are kept longest, because a controller must be able to
/// demonstrate consent (GDPR, article 7(1)).
impl SettingsModel for Retention {
    const SECTION: Section = Section::of::<Retention>(
        "brand.retention",
        "Retention",
        "How many whole calendar months records are stored, by category; older records are deleted at startup and daily. Values above the default produce a warning.",
    );

    fn blank() -> Retention {
        Retention {
            identification_months: 0,
            transactions_months: 0,
            cookies_months: 0,
            consent_months: 0,
            visits_months: 0,
            exposures_months: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Retention>] {
        static ROWS: &[&dyn TypedSetting<Retention>] = &[
            months!(
                "identification_months",
                "24",
                "Records that identify a person, from the last interaction.",
                identification_months
            ),
            months!(
                "transactions_months",
                "24",
                "Transactions, from their time.",
                transactions_months
            ),
            months!(
                "cookies_months",
                "13",
                "Web records of a cookie, from its placement.",
                cookies_months
            ),
            months!(
                "consent_months",
                "60",
                "Consent statements and their evidence.",
                consent_months
            ),
            months!(
                "visits_months",
                "13",
                "Sightings by partners and the visits that follow from them, from their time.",
                visits_months
            ),
            months!(
                "exposures_months",
                "13",
                "Exposures that partners report, from their time.",
                exposures_months
            ),
        ];
        ROWS
    }
}
