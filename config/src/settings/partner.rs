//! `[brand.partners]` and `[[brand.partner]]`: how sightings of partners meet
//! visits, and what a partner may query.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Partner, Partners};
use crate::value_type::duration::Duration;
use crate::value_type::list::Many;
use crate::value_type::scalar::{FreeText, Text};
use crate::value_type::token::NAME;

/// One hour, milliseconds.
const HOUR: i64 = 3_600_000;

impl SettingsModel for Partners {
    const SECTION: Section = Section::of::<Partners>(
        "brand.partners",
        "Sightings of partners",
        "How sightings of partners meet visits, and how late they may arrive. They matter only if the brand has a source of kind `partner`.",
    );

    fn blank() -> Partners {
        Partners {
            slack_ms: 0,
            settle_after_ms: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Partners>] {
        static ROWS: &[&dyn TypedSetting<Partners>] = &[
            &Setting {
                key: "slack",
                value_type: Text(Duration::<i64>::millis(0, HOUR / 2)),
                default: DefaultValue::Toml(r#""5m""#),
                unit: "",
                meaning: "How far the clocks of boxes and partners may differ, at most 30 minutes: a sighting meets the visits that it overlaps or misses by at most this.",
                field: |partners: &mut Partners| &mut partners.slack_ms,
            },
            &Setting {
                key: "settle_after",
                value_type: Text(Duration::<i64>::millis(48 * HOUR, 31 * 24 * HOUR)),
                default: DefaultValue::Toml(r#""7d""#),
                unit: "",
                meaning: "The time after the end of a day for which its sightings are taken, from 48 hours to 31 days. Later sightings of that day are rejected. Then the day settles: its sightings are deleted, and what they matched is kept without them.",
                field: |partners: &mut Partners| &mut partners.settle_after_ms,
            },
        ];
        ROWS
    }
}

impl SettingsModel for Partner {
    const SECTION: Section = Section {
        many: true,
        ..Section::of::<Partner>(
            "brand.partner",
            "Partner",
            "A partner that may query, at `tributary.partner.<brand>.<partner>`, the released cells of `campaign_day`, `attribution` and `visit_lift` of some sources, and nothing else.",
        )
    };

    fn blank() -> Partner {
        Partner {
            name: String::new(),
            sources: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Partner>] {
        static ROWS: &[&dyn TypedSetting<Partner>] = &[
            &Setting {
                key: "name",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The name: `[a-z0-9_-]+`, unique within the brand.",
                field: |partner: &mut Partner| &mut partner.name,
            },
            &Setting {
                key: "sources",
                value_type: Many {
                    each: FreeText("a source of a channel"),
                    private: false,
                },
                default: DefaultValue::Required,
                unit: "",
                meaning: "The values of the dimension `source` whose cells the partner may query, at least one: `sources = [\"waze\"]`.",
                field: |partner: &mut Partner| &mut partner.sources,
            },
        ];
        ROWS
    }
}
