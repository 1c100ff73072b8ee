//! `[ingest]`, `[release]` and `[brand.release]`: what is accepted, and when results
//! are released.
//!
//! The defaults of `[release]` are those of the specification. `k_traffic` and
//! `k_delta` derive from `k`, so that a test with `k = 1` releases everything
//! without further settings.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{BrandRelease, Ingest, Ladder, Release};
use crate::value_type::Opt;
use crate::value_type::choice::LADDERS;
use crate::value_type::duration::Duration;
use crate::value_type::number::{Int, Switch};
use crate::value_type::scalar::Text;

/// The maximum of durations, milliseconds; a bound against typing errors.
const TEN_YEARS: i64 = 3_650 * 86_400_000;

/// The maximum of `k_delta`. The gate counts persons in a set of 128 bits by
/// hash: about 90 persons set 64 of them, and hardly any number of persons sets
/// nearly all.
const MAX_K_DELTA: i64 = 64;

/// How to correct a larger `k_delta`.
const FEWER: &str = "use 64 or less: persons with changes are counted in 128 bits, and a larger number might never be reached";

/// The defaults accept what honest senders send: clocks that are off by
/// minutes, fields that are newer than this program, and batches of some
/// thousand records.
impl SettingsModel for Ingest {
    const SECTION: Section = Section::of::<Ingest>(
        "ingest",
        "Ingest",
        "Limits for input. Rejected records become dead letters with a reason.",
    );

    fn blank() -> Ingest {
        Ingest {
            max_future_ms: 0,
            strict: false,
            max_message_bytes: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Ingest>] {
        static ROWS: &[&dyn TypedSetting<Ingest>] = &[
            &Setting {
                key: "max_future",
                value_type: Text(Duration::<i64>::millis(0, TEN_YEARS)),
                default: DefaultValue::Toml(r#""10m""#),
                unit: "",
                meaning: "How far a record's `ts` may be after its arrival.",
                field: |ingest: &mut Ingest| &mut ingest.max_future_ms,
            },
            &Setting {
                key: "strict",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Reject records with unknown fields instead of ignoring the fields.",
                field: |ingest: &mut Ingest| &mut ingest.strict,
            },
            &Setting {
                key: "max_message_bytes",
                value_type: Int::<usize>::new(1_024, 1_073_741_824),
                default: DefaultValue::Toml("8388608"),
                unit: "bytes",
                meaning: "The maximum message size.",
                field: |ingest: &mut Ingest| &mut ingest.max_message_bytes,
            },
        ];
        ROWS
    }
}

/// The defaults protect persons in published numbers: 50 contributors per cell,
/// changes of at least 10 persons, and corrections of old days in batches only.
/// Each can be relaxed, with a warning where it exposes individuals.
impl SettingsModel for Release {
    const SECTION: Section = Section::of::<Release>(
        "release",
        "Release gate",
        "What is published: only cells with enough contributors, that is, distinct persons plus records without an identifier.",
    );

    fn blank() -> Release {
        Release {
            k: 0,
            k_traffic: 0,
            ladder: Ladder::Month,
            dominance: 0,
            cadence_ms: 0,
            k_delta: 0,
            max_hold_ms: 0,
            freeze_after_ms: 0,
        }
    }

    /// Derives `k_traffic` and `k_delta` from `k`; 0 marks that they are
    /// absent, because their rows demand at least 1.
    fn complete(&mut self) {
        if self.k_traffic == 0 {
            self.k_traffic = self.k.min(10);
        }
        if self.k_delta == 0 {
            self.k_delta = self.k.min(10);
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Release>] {
        static ROWS: &[&dyn TypedSetting<Release>] = &[
            &Setting {
                key: "k",
                value_type: Int::<u64>::new(1, 1_000_000_000),
                default: DefaultValue::Toml("50"),
                unit: "contributors",
                meaning: "The minimum number of contributors to a cell. 1 releases every cell, which exposes individuals.",
                field: |release: &mut Release| &mut release.k,
            },
            &Setting {
                key: "k_traffic",
                value_type: Int::<u64>::new(1, 1_000_000_000),
                default: DefaultValue::Derived("the smaller of 10 and `k`"),
                unit: "contributors",
                meaning: "The minimum number of contributors to a cell with traffic counts only (`visits`): devices, of which one with a random address counts only if 1 is enough.",
                field: |release: &mut Release| &mut release.k_traffic,
            },
            &Setting {
                key: "ladder",
                value_type: Text(LADDERS),
                default: DefaultValue::Toml(r#""month""#),
                unit: "",
                meaning: "The grains in which conversions are published. `month` publishes each month by channel; what is too small is added to its source and medium, its source, or the month. `finest` publishes every store, day and channel, and hides what is too small: for brands so large that their days pass `k`; what is hidden is added up as the channel `other`, of which a channel that is itself named `other`, without medium and campaign, is always a part. A brand with noise is always published so.",
                field: |release: &mut Release| &mut release.ladder,
            },
            &Setting {
                key: "dominance",
                value_type: Int::<u64>::new(1, 100),
                default: DefaultValue::Toml("80"),
                unit: "percent",
                meaning: "The maximum share of a cell's value that one contributor may hold. 100 turns the check off. Only with `ladder = \"month\"`.",
                field: |release: &mut Release| &mut release.dominance,
            },
            &Setting {
                key: "cadence",
                value_type: Text(Duration::<u64>::millis(0, TEN_YEARS)),
                default: DefaultValue::Toml(r#""1m""#),
                unit: "",
                meaning: "The minimum time between two updates of a released cell.",
                field: |release: &mut Release| &mut release.cadence_ms,
            },
            &Setting {
                key: "k_delta",
                value_type: Int::<u64>::new(1, MAX_K_DELTA).with_fix(FEWER),
                default: DefaultValue::Derived("the smaller of 10 and `k`"),
                unit: "persons",
                meaning: "The minimum number of persons with changes before a released value is updated, so that the difference between two releases does not reveal one person. A brand with noise requires 1.",
                field: |release: &mut Release| &mut release.k_delta,
            },
            &Setting {
                key: "max_hold",
                value_type: Text(Duration::<u64>::millis(0, TEN_YEARS)),
                default: DefaultValue::Toml(r#""1h""#),
                unit: "",
                meaning: "The maximum delay of a smaller change; after that, it is published together with others.",
                field: |release: &mut Release| &mut release.max_hold_ms,
            },
            &Setting {
                key: "freeze_after",
                value_type: Text(Duration::<u64>::millis(0, TEN_YEARS)),
                default: DefaultValue::Toml(r#""90d""#),
                unit: "",
                meaning: "The age from which a day is corrected only in batches.",
                field: |release: &mut Release| &mut release.freeze_after_ms,
            },
        ];
        ROWS
    }
}

/// The defaults are those of `[release]`. A `k` of the brand's own derives the other
/// two as in `[release]`, so that it can be lowered or raised alone.
impl SettingsModel for BrandRelease {
    const SECTION: Section = Section::of::<BrandRelease>(
        "brand.release",
        "Release gate of a brand",
        "Thresholds of the brand's own, in place of those in `[release]`: a brand with few customers may need a lower one to see anything, one with many can afford a higher one.",
    );

    fn blank() -> BrandRelease {
        BrandRelease::default()
    }

    fn rows() -> &'static [&'static dyn TypedSetting<BrandRelease>] {
        static ROWS: &[&dyn TypedSetting<BrandRelease>] = &[
            &Setting {
                key: "k",
                value_type: Opt(Int::<u64>::new(1, 1_000_000_000)),
                default: DefaultValue::Absent("none: `release.k`"),
                unit: "contributors",
                meaning: "The minimum number of contributors to a cell of the brand.",
                field: |release: &mut BrandRelease| &mut release.k,
            },
            &Setting {
                key: "k_traffic",
                value_type: Opt(Int::<u64>::new(1, 1_000_000_000)),
                default: DefaultValue::Absent(
                    "none: the smaller of 10 and the brand's `k`, or `release.k_traffic` without one",
                ),
                unit: "contributors",
                meaning: "The minimum number of contributors to a cell of the brand with traffic counts only (`visits`).",
                field: |release: &mut BrandRelease| &mut release.k_traffic,
            },
            &Setting {
                key: "k_delta",
                value_type: Opt(Int::<u64>::new(1, MAX_K_DELTA).with_fix(FEWER)),
                default: DefaultValue::Absent(
                    "none: the smaller of 10 and the brand's `k`, or `release.k_delta` without one",
                ),
                unit: "persons",
                meaning: "The minimum number of persons with changes before a released value of the brand is updated. A brand with noise requires 1.",
                field: |release: &mut BrandRelease| &mut release.k_delta,
            },
        ];
        ROWS
    }
}
