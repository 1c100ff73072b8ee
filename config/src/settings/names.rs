//! `[brand.names]`: how the page names stores and channels.
//!
//! Records name a store by the number of its tills, and a campaign by the code of
//! a platform. Display names exist for people alone: filters, cells and metrics
//! keep the names of the records.

use std::collections::BTreeMap;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Names;
use crate::value_type::scalar::FreeText;
use crate::value_type::table::NameTable;

/// Without any, the page shows the names of the records.
impl SettingsModel for Names {
    const SECTION: Section = Section::of::<Names>(
        "brand.names",
        "Names",
        "Display names on the live page. Cells, queries and metrics keep the names of the records.",
    );

    fn blank() -> Names {
        Names {
            stores: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Names>] {
        static ROWS: &[&dyn TypedSetting<Names>] = &[
            &Setting {
                key: "stores",
                value_type: NameTable {
                    each: FreeText("a text"),
                    form: r#"{ s01 = "Lyon, Part-Dieu" }"#,
                },
                default: DefaultValue::Toml("{}"),
                unit: "",
                meaning: "Display names by store, as records name it.",
                field: |names: &mut Names| &mut names.stores,
            },
            &Setting {
                key: "channels",
                value_type: NameTable {
                    each: FreeText("a text"),
                    form: r#"{ "google/cpc" = "Google Ads" }"#,
                },
                default: DefaultValue::Toml("{}"),
                unit: "",
                meaning: "Display names by channel: `source`, `source/medium` or `source/medium/campaign`. The longest that a channel begins with applies.",
                field: |names: &mut Names| &mut names.channels,
            },
        ];
        ROWS
    }
}
