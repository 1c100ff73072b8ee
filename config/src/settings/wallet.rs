//! `[brand.wallet]`: when scans of a wallet pass are one visit.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Wallet;
use crate::value_type::duration::Duration;
use crate::value_type::scalar::Text;

/// A visit lies within one day, so that a longer gap would mean nothing.
const LONGEST: i64 = 86_400_000;

impl SettingsModel for Wallet {
    const SECTION: Section = Section::of::<Wallet>(
        "brand.wallet",
        "Wallet passes",
        "Which scans of a wallet pass are one visit.",
    );

    fn blank() -> Wallet {
        Wallet { gap_ms: 0 }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Wallet>] {
        static ROWS: &[&dyn TypedSetting<Wallet>] = &[&Setting {
            key: "gap",
            value_type: Text(Duration::<i64>::millis(1, LONGEST)),
            default: DefaultValue::Toml(r#""30m""#),
            unit: "",
            meaning: "The longest time between two scans of a pass in one store and day that belong to one visit; a transaction of the pass belongs to a visit that it is at most as far away from.",
            field: |wallet: &mut Wallet| &mut wallet.gap_ms,
        }];
        ROWS
    }
}
