//! `[brand.attribution]` and `[brand.sensors]`: what is measured.

use super::{Fallback, Fields, Row, Section, Setting};
use crate::model::{Attribution, Sensors};
use crate::shape::duration::{Clock, Duration};
use crate::shape::list::Many;
use crate::shape::number::{Int, Weights};
use crate::shape::word::{Device, Free, One};

/// A window: up to ten years, and never empty.
const WINDOW: One<Duration<i64>> = One(Duration::millis(1, 3_650 * 86_400_000));

/// A time within a day, which a clock change makes 25 hours long.
const WITHIN_A_DAY: i64 = 25 * 3_600;

impl Fields for Attribution {
    const SECTION: Section = Section::of::<Attribution>(
        "brand.attribution",
        "Attribution",
        "Which touchpoints share the credit for a conversion, and how.",
    );

    fn blank() -> Attribution {
        Attribution {
            click_window_ms: 0,
            view_window_ms: 0,
            impression_window_ms: 0,
            max_path: 0,
            max_channels: 0,
            half_life_ms: 0,
            position: [0; 3],
        }
    }

    fn rows() -> &'static [&'static dyn Row<Attribution>] {
        static ROWS: &[&dyn Row<Attribution>] = &[
            &Setting {
                key: "click_window",
                shape: WINDOW,
                fallback: Fallback::Toml(r#""30d""#),
                unit: "",
                meaning: "How long before a conversion a click counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.click_window_ms,
            },
            &Setting {
                key: "view_window",
                shape: WINDOW,
                fallback: Fallback::Toml(r#""30d""#),
                unit: "",
                meaning: "How long before a conversion a view counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.view_window_ms,
            },
            &Setting {
                key: "impression_window",
                shape: WINDOW,
                fallback: Fallback::Toml(r#""7d""#),
                unit: "",
                meaning: "How long before a conversion an impression counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.impression_window_ms,
            },
            &Setting {
                key: "max_path",
                shape: Int::<usize>::new(1, 10_000),
                fallback: Fallback::Toml("200"),
                unit: "touches",
                meaning: "The maximum number of touchpoints in a path; older ones get no credit.",
                field: |attribution: &mut Attribution| &mut attribution.max_path,
            },
            &Setting {
                key: "max_channels",
                shape: Int::<usize>::new(10, 2_000),
                fallback: Fallback::Toml("500"),
                unit: "channels",
                meaning: "`markov`: the maximum number of channels per month. Beyond it, the smallest are grouped under campaign `*` of their source and medium, then under medium `*` of their source, then under source `*`. Twice as many channels take up to eight times as long to solve.",
                field: |attribution: &mut Attribution| &mut attribution.max_channels,
            },
            &Setting {
                key: "half_life",
                shape: WINDOW,
                fallback: Fallback::Toml(r#""7d""#),
                unit: "",
                meaning: "`time_decay`: the age difference that halves the weight of a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.half_life_ms,
            },
            &Setting {
                key: "position",
                shape: Weights,
                fallback: Fallback::Toml("[40, 20, 40]"),
                unit: "",
                meaning: "`position`: the weights of the first touchpoint, of all middle ones together, and of the last.",
                field: |attribution: &mut Attribution| &mut attribution.position,
            },
        ];
        ROWS
    }
}

impl Fields for Sensors {
    const SECTION: Section = Section::of::<Sensors>(
        "brand.sensors",
        "Sensors",
        "What counts as a visit, and which devices are excluded.",
    );

    fn blank() -> Sensors {
        Sensors {
            min_rssi: 0,
            min_dwell_s: 0,
            max_presence_s: 0,
            max_devices: 0,
            stores: Vec::new(),
            day_start_s: 0,
            fixed_devices: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn Row<Sensors>] {
        static ROWS: &[&dyn Row<Sensors>] = &[
            &Setting {
                key: "min_rssi",
                shape: Int::<i8>::new(-127, 20),
                fallback: Fallback::Toml("-75"),
                unit: "dBm",
                meaning: "The weakest signal that counts as inside the store.",
                field: |sensors: &mut Sensors| &mut sensors.min_rssi,
            },
            &Setting {
                key: "min_dwell",
                shape: One(Duration::<i64>::seconds(0, WITHIN_A_DAY)),
                fallback: Fallback::Toml(r#""1m""#),
                unit: "",
                meaning: "The minimum duration of a visit; shorter sessions count as passers-by.",
                field: |sensors: &mut Sensors| &mut sensors.min_dwell_s,
            },
            &Setting {
                key: "max_presence",
                shape: One(Duration::<i64>::seconds(1, WITHIN_A_DAY)),
                fallback: Fallback::Toml(r#""8h""#),
                unit: "",
                meaning: "Devices present in a store for longer than this in one day are staff or fixtures and are excluded.",
                field: |sensors: &mut Sensors| &mut sensors.max_presence_s,
            },
            &Setting {
                key: "max_devices",
                shape: Int::<usize>::new(64, 10_000_000),
                fallback: Fallback::Toml("200_000"),
                unit: "",
                meaning: "The maximum number of devices counted per store and day, and of devices with randomized MACs; beyond it, a fair sample counts. Each uses about 100 bytes of memory.",
                field: |sensors: &mut Sensors| &mut sensors.max_devices,
            },
            &Setting {
                key: "stores",
                shape: Many {
                    each: Free("a store"),
                    private: false,
                },
                fallback: Fallback::Toml("[]"),
                unit: "",
                meaning: "The stores with sensors, as named in pings. Pings from other stores are rejected, so that publishers cannot invent stores. If empty, any store is accepted, and each uses memory.",
                field: |sensors: &mut Sensors| &mut sensors.stores,
            },
            &Setting {
                key: "day_start",
                shape: One(Clock),
                fallback: Fallback::Toml(r#""00:00""#),
                unit: "",
                meaning: "When a salt day begins, in the brand's time zone: ideally while the stores are closed.",
                field: |sensors: &mut Sensors| &mut sensors.day_start_s,
            },
            &Setting {
                key: "fixed_devices",
                shape: Many {
                    each: Device,
                    private: true,
                },
                fallback: Fallback::Toml("[]"),
                unit: "",
                meaning: "MACs (12 hex digits, any separators) or OUI prefixes (`dc:fb:48:*`) of fixed devices, which are excluded; never printed.",
                field: |sensors: &mut Sensors| &mut sensors.fixed_devices,
            },
        ];
        ROWS
    }
}
