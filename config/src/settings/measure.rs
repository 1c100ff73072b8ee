//! `[brand.attribution]` and `[brand.sensors]`: what is measured.
//!
//! Windows are measured back from a conversion. Durations within a day permit
//! 25 hours, because a day on which clocks go back has that many.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Attribution, Sensors};
use crate::value_type::duration::{Clock, Duration};
use crate::value_type::list::Many;
use crate::value_type::number::{Int, Switch, Weights};
use crate::value_type::scalar::{Device, FreeText, Text};

/// An attribution window: from one millisecond to ten years.
const WINDOW: Text<Duration<i64>> = Text(Duration::millis(1, 3_650 * 86_400_000));

/// The longest time within a local day, seconds.
const WITHIN_A_DAY: i64 = 25 * 3_600;

/// All windows share one value type, so that each accepts the same range and is
/// printed alike.
impl SettingsModel for Attribution {
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

    fn rows() -> &'static [&'static dyn TypedSetting<Attribution>] {
        static ROWS: &[&dyn TypedSetting<Attribution>] = &[
            &Setting {
                key: "click_window",
                value_type: WINDOW,
                default: DefaultValue::Toml(r#""30d""#),
                unit: "",
                meaning: "How long before a conversion a click counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.click_window_ms,
            },
            &Setting {
                key: "view_window",
                value_type: WINDOW,
                default: DefaultValue::Toml(r#""30d""#),
                unit: "",
                meaning: "How long before a conversion a view counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.view_window_ms,
            },
            &Setting {
                key: "impression_window",
                value_type: WINDOW,
                default: DefaultValue::Toml(r#""7d""#),
                unit: "",
                meaning: "How long before a conversion an impression counts as a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.impression_window_ms,
            },
            &Setting {
                key: "max_path",
                value_type: Int::<usize>::new(1, 10_000),
                default: DefaultValue::Toml("200"),
                unit: "touches",
                meaning: "The maximum number of touchpoints in a path; older ones get no credit.",
                field: |attribution: &mut Attribution| &mut attribution.max_path,
            },
            &Setting {
                key: "max_channels",
                value_type: Int::<usize>::new(10, 2_000),
                default: DefaultValue::Toml("500"),
                unit: "channels",
                meaning: "`markov`: the maximum number of channels per month. Beyond it, the smallest are grouped under campaign `*` of their source and medium, then under medium `*` of their source, then under source `*`. Twice as many channels take up to eight times as long to solve.",
                field: |attribution: &mut Attribution| &mut attribution.max_channels,
            },
            &Setting {
                key: "half_life",
                value_type: WINDOW,
                default: DefaultValue::Toml(r#""7d""#),
                unit: "",
                meaning: "`time_decay`: the age difference that halves the weight of a touchpoint.",
                field: |attribution: &mut Attribution| &mut attribution.half_life_ms,
            },
            &Setting {
                key: "position",
                value_type: Weights,
                default: DefaultValue::Toml("[40, 20, 40]"),
                unit: "",
                meaning: "`position`: the weights of the first touchpoint, of all middle ones together, and of the last.",
                field: |attribution: &mut Attribution| &mut attribution.position,
            },
        ];
        ROWS
    }
}

/// `min_dwell` and `max_presence` are durations in whole seconds, because pings
/// have that resolution; `build::brand` checks that the first is not the longer
/// one.
impl SettingsModel for Sensors {
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
            associated: false,
            stores: Vec::new(),
            cookie_bits: 0,
            cookie_share: 0,
            day_start_s: 0,
            fixed_devices: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Sensors>] {
        static ROWS: &[&dyn TypedSetting<Sensors>] = &[
            &Setting {
                key: "min_rssi",
                value_type: Int::<i8>::new(-127, 20),
                default: DefaultValue::Toml("-75"),
                unit: "dBm",
                meaning: "The weakest signal that counts as inside the store.",
                field: |sensors: &mut Sensors| &mut sensors.min_rssi,
            },
            &Setting {
                key: "associated",
                value_type: Switch,
                default: DefaultValue::Toml("true"),
                unit: "",
                meaning: "Whether a device with a random address counts like any other once it is joined to the Wi-Fi of the brand (`associated` in a ping), because it keeps that address there.",
                field: |sensors: &mut Sensors| &mut sensors.associated,
            },
            &Setting {
                key: "min_dwell",
                value_type: Text(Duration::<i64>::seconds(0, WITHIN_A_DAY)),
                default: DefaultValue::Toml(r#""1m""#),
                unit: "",
                meaning: "The minimum duration of a visit; shorter sessions count as passers-by.",
                field: |sensors: &mut Sensors| &mut sensors.min_dwell_s,
            },
            &Setting {
                key: "max_presence",
                value_type: Text(Duration::<i64>::seconds(1, WITHIN_A_DAY)),
                default: DefaultValue::Toml(r#""8h""#),
                unit: "",
                meaning: "Devices present in a store for longer than this in one day are staff or fixtures and are excluded.",
                field: |sensors: &mut Sensors| &mut sensors.max_presence_s,
            },
            &Setting {
                key: "max_devices",
                value_type: Int::<usize>::new(64, 10_000_000),
                default: DefaultValue::Toml("200_000"),
                unit: "",
                meaning: "The maximum number of devices counted per store and day, and of devices with randomized MACs; beyond it, a fair sample counts. Each uses about 100 bytes of memory.",
                field: |sensors: &mut Sensors| &mut sensors.max_devices,
            },
            &Setting {
                key: "stores",
                value_type: Many {
                    each: FreeText("a store"),
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The stores with sensors, as named in pings. Pings from other stores are rejected, so that publishers cannot invent stores. If empty, any store is accepted, and each uses memory.",
                field: |sensors: &mut Sensors| &mut sensors.stores,
            },
            &Setting {
                key: "cookie_bits",
                value_type: Int::<u32>::new(0, 16),
                default: DefaultValue::Toml("10"),
                unit: "bits",
                meaning: "The maximum number of bits of an offline cookie by which sightings of partners are matched with visits; with 0, they are matched by time alone. In a store and day with few devices fewer count: see `cookie_share`.",
                field: |sensors: &mut Sensors| &mut sensors.cookie_bits,
            },
            &Setting {
                key: "cookie_share",
                value_type: Int::<u64>::new(1, 1_000),
                default: DefaultValue::Toml("3"),
                unit: "devices",
                meaning: "The number of devices of a store and day that share a value of the offline cookie, on average at least: a larger number hides each device among more, and matches less sharply.",
                field: |sensors: &mut Sensors| &mut sensors.cookie_share,
            },
            &Setting {
                key: "day_start",
                value_type: Text(Clock),
                default: DefaultValue::Toml(r#""00:00""#),
                unit: "",
                meaning: "When a salt day begins, in the brand's time zone: ideally while the stores are closed.",
                field: |sensors: &mut Sensors| &mut sensors.day_start_s,
            },
            &Setting {
                key: "fixed_devices",
                value_type: Many {
                    each: Device,
                    private: true,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "MACs (12 hex digits, any separators) or OUI prefixes (`dc:fb:48:*`) of fixed devices, which are excluded; never printed.",
                field: |sensors: &mut Sensors| &mut sensors.fixed_devices,
            },
        ];
        ROWS
    }
}
