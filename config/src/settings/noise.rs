//! `[brand.noise]`: noise on what leaves, off unless it has a budget.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Noise;
use crate::value_type::Opt;
use crate::value_type::decimal::Thousandths;
use crate::value_type::number::Int;
use crate::value_type::scalar::Text;

impl SettingsModel for Noise {
    const SECTION: Section = Section {
        needs: &[("epsilon", &["money"]), ("money", &["epsilon"])],
        ..Section::of::<Noise>(
            "brand.noise",
            "Noise",
            "Noise on what leaves, so that not even all releases together show whether one person is in them. With it \
             the values of the brand change once every `release.max_hold`, all at the same time, no longer add up to each \
             other, and `markov_month` is not published.",
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
                meaning: "The budget of a day: with `release.k_delta = 1`, the published cells of a day are at most `e^epsilon` times as likely with a person as without. Smaller values hide better. The cells of a month, and `identity`, each use the same budget again.",
                field: |noise: &mut Noise| &mut noise.epsilon_thousandths,
            },
            &Setting {
                key: "count",
                value_type: Int::<u64>::new(1, 1_000_000),
                default: DefaultValue::Toml("1"),
                unit: "",
                meaning: "The most that one person is taken to move any count of a day, such as clicks or sales, in sum over its cells. Who moves more is protected less.",
                field: |noise: &mut Noise| &mut noise.count,
            },
            &Setting {
                key: "money",
                value_type: Opt(Int::<u64>::new(1, 1_000_000_000_000)),
                default: DefaultValue::Absent("required with `epsilon`"),
                unit: "minor units of each currency",
                meaning: "The most that one person is taken to pay in a day. Who pays more is protected less.",
                field: |noise: &mut Noise| &mut noise.money_minor,
            },
        ];
        ROWS
    }
}
