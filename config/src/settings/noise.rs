//! `[brand.noise]`: noise on published numbers, off unless it has a budget.
//!
//! The mechanism is the discrete Laplace mechanism (Ghosh, Roughgarden and
//! Sundararajan, 2009) over integers. Its guarantee needs two bounds that only
//! the operator knows: how far one person can move a count, and how much one
//! person spends in a day.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Noise;
use crate::value_type::Opt;
use crate::value_type::decimal::Thousandths;
use crate::value_type::number::Int;
use crate::value_type::scalar::Text;

/// `epsilon` and `money` require each other: without a bound on money there is
/// no guarantee, and a budget without it would suggest one.
impl SettingsModel for Noise {
    const SECTION: Section = Section {
        needs: &[("epsilon", &["money"]), ("money", &["epsilon"])],
        ..Section::of::<Noise>(
            "brand.noise",
            "Noise",
            "Noise on published numbers, so that not even all releases together reveal whether they include one person. With noise, all values of the brand are updated together once every `release.max_hold`, no longer add up, and `markov_month` is not published.",
        )
    };

    fn blank() -> Noise {
        Noise {
            epsilon_thousandths: None,
            count: 0,
            money_minor: None,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Noise>] {
        static ROWS: &[&dyn TypedSetting<Noise>] = &[
            &Setting {
                key: "epsilon",
                value_type: Opt(Text(Thousandths {
                    min: 1,
                    max: 1_000_000,
                })),
                default: DefaultValue::Absent("none: no noise"),
                unit: "",
                meaning: "The privacy budget of a day: with `release.k_delta = 1`, the published numbers are at most `e^epsilon` times as likely with a person as without. Smaller values protect better. The monthly numbers and `identity` have the same budget again.",
                field: |noise: &mut Noise| &mut noise.epsilon_thousandths,
            },
            &Setting {
                key: "count",
                value_type: Int::<u64>::new(1, 1_000_000),
                default: DefaultValue::Toml("1"),
                unit: "",
                meaning: "The assumed maximum change by one person to any count of a day, such as clicks or sales, summed over its cells. Anyone who exceeds it is protected less.",
                field: |noise: &mut Noise| &mut noise.count,
            },
            &Setting {
                key: "money",
                value_type: Opt(Int::<u64>::new(1, 1_000_000_000_000)),
                default: DefaultValue::Absent("required with `epsilon`"),
                unit: "minor units of each currency",
                meaning: "The assumed maximum that one person spends in a day. Anyone who exceeds it is protected less.",
                field: |noise: &mut Noise| &mut noise.money_minor,
            },
        ];
        ROWS
    }
}
