//! `[brand.consent]`: the party for which consent signals are evaluated, and
//! the purposes that each use requires.
//!
//! The built-in requirements are minimums: `also_needs` adds purposes and
//! removes none.

use std::collections::BTreeMap;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Consent, FormBox};
use crate::value_type::Opt;
use crate::value_type::file::Readable;
use crate::value_type::number::{Int, Purposes, Switch};
use crate::value_type::scalar::{FreeText, Text};
use crate::value_type::token::NAME;

/// Nothing is evaluated by default: which party a brand is cannot be guessed.
/// The defaults declare the least: every purpose on consent, and no linking of
/// devices.
impl SettingsModel for Consent {
    const SECTION: Section = Section {
        needs: &[("vendor_list_file", &["vendor"])],
        ..Section::of::<Consent>(
            "brand.consent",
            "Consent",
            "The party for which consent strings are evaluated, and its legal bases. With a `vendor` or `publisher = true`, web records require consent unless their source says otherwise; without either, strings cannot be evaluated.",
        )
    };

    fn blank() -> Consent {
        Consent::default()
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Consent>] {
        static ROWS: &[&dyn TypedSetting<Consent>] = &[
            &Setting {
                key: "vendor",
                value_type: Opt(Int::<u16>::new(1, 65_535)),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The brand's ID in the Global Vendor List of IAB Europe.",
                field: |consent: &mut Consent| &mut consent.vendor,
            },
            &Setting {
                key: "publisher",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Evaluate the publisher's own permissions (segment `PublisherTC`) instead of a vendor's.",
                field: |consent: &mut Consent| &mut consent.publisher,
            },
            &Setting {
                key: "vendor_list_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("none: `legitimate_interest` and `feature_2` apply"),
                unit: "",
                meaning: "A Global Vendor List (JSON, specification 2 or 3) with the vendor's declared bases and features.",
                field: |consent: &mut Consent| &mut consent.vendor_list_file,
            },
            &Setting {
                key: "legitimate_interest",
                value_type: Purposes::INTEREST,
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The purposes based on legitimate interest; all others require consent.",
                field: |consent: &mut Consent| &mut consent.legitimate_interest,
            },
            &Setting {
                key: "feature_2",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Whether linking of devices and sources (feature 2) is disclosed to data subjects. If not, no statement allows the use `link`.",
                field: |consent: &mut Consent| &mut consent.feature_2,
            },
        ];
        ROWS
    }
}

/// Which names need purposes is checked by `build::consent`.
impl SettingsModel for FormBox {
    const SECTION: Section = Section {
        many: true,
        ..Section::of::<FormBox>(
            "brand.box",
            "Boxes of forms",
            "Boxes in the field `purposes` of consent statements. Those for purposes (`1` to `11`), features (`special_feature_1`, `special_feature_2`, `feature_2`) and opt-outs (`do_not_sell`, `do_not_share`, `do_not_target`) exist without being listed; a box that neither exists nor is listed rejects its statement.",
        )
    };

    fn blank() -> FormBox {
        FormBox {
            name: String::new(),
            notice: None,
            needs: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<FormBox>] {
        static ROWS: &[&dyn TypedSetting<FormBox>] = &[
            &Setting {
                key: "name",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The name of the box: `[a-z0-9_-]+`, unique within the brand.",
                field: |of: &mut FormBox| &mut of.name,
            },
            &Setting {
                key: "notice",
                value_type: Opt(Text(FreeText("a text"))),
                default: DefaultValue::Absent("none: the one that a statement names"),
                unit: "",
                meaning: "The notice that is shown beside the box, where the `evidence` of a statement names none. `notice_day` counts by it.",
                field: |of: &mut FormBox| &mut of.notice,
            },
            &Setting {
                key: "needs",
                value_type: Purposes::ALL,
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The purposes that a box of your own stands for, at least one. A purpose is granted if every box of the statement that stands for it is ticked.",
                field: |of: &mut FormBox| &mut of.needs,
            },
        ];
        ROWS
    }
}

/// The additional purposes of each use, by its name.
pub(crate) type AlsoNeeds = BTreeMap<String, Vec<u8>>;

/// The row of one use.
macro_rules! step {
    ($key:literal, $what:literal, $needs:literal) => {
        &Setting {
            key: $key,
            value_type: Purposes::ALL,
            default: DefaultValue::Toml("[]"),
            unit: "",
            meaning: concat!("Additional purposes for ", $what, ", besides ", $needs, "."),
            field: |steps: &mut AlsoNeeds| steps.entry($key.to_owned()).or_default(),
        }
    };
}

/// One row per use, all empty by default.
impl SettingsModel for AlsoNeeds {
    const SECTION: Section = Section::of::<AlsoNeeds>(
        "brand.consent.also_needs",
        "Additional purposes",
        "Additional purposes required for a use. Often written in one line: \
         `also_needs = { credit = [8], join = [7, 8] }`.",
    );

    fn blank() -> AlsoNeeds {
        AlsoNeeds::new()
    }

    fn rows() -> &'static [&'static dyn TypedSetting<AlsoNeeds>] {
        static ROWS: &[&dyn TypedSetting<AlsoNeeds>] = &[
            step!("hold", "using a web record with its cookie", "purpose 1"),
            step!("credit", "crediting a campaign", "purpose 7"),
            step!(
                "join",
                "counts that join online and in-store or partner data",
                "purpose 9"
            ),
            step!(
                "link",
                "linking across devices and sources",
                "purpose 7 or 9, and feature 2 disclosed"
            ),
            step!("position", "using a precise location", "special feature 1"),
            step!(
                "share",
                "sharing with partners",
                "the absence of opt-outs from sale, sharing and targeted advertising"
            ),
        ];
        ROWS
    }
}
