//! `[brand.identity]`: hash rules, the hub guard, and how long links last.
//!
//! Two sections below it map the kinds of identifiers to a limit and to a
//! duration. Their models are maps, so that the dataflow's list of kinds is the
//! only one.

use std::collections::BTreeMap;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Identity;
use crate::value_type::Opt;
use crate::value_type::choice::RULES;
use crate::value_type::duration::Duration;
use crate::value_type::list::Many;
use crate::value_type::number::{Int, Switch};
use crate::value_type::scalar::{FreeText, Text};
use crate::value_type::token::HOST_NAME;

/// The hub guard of each kind of identifier, by its name.
pub(crate) type Degrees = BTreeMap<String, u32>;

/// How long links of each kind of identifier last, milliseconds; `None` for as
/// long as the record is stored.
pub(crate) type Lasting = BTreeMap<String, Option<i64>>;

/// The defaults link records by strong identifiers only: names and postcodes
/// are shared by too many people.
impl SettingsModel for Identity {
    const SECTION: Section = Section::of::<Identity>(
        "brand.identity",
        "Identity",
        "Which identifiers belong to one person.",
    );

    fn blank() -> Identity {
        Identity {
            max_degree: Degrees::new(),
            link_ttl: Lasting::new(),
            max_identifiers: 0,
            name_postcode: false,
            click_id: false,
            rules: Vec::new(),
            blocked: Vec::new(),
            relay_domains: Vec::new(),
        }
    }

    /// Sorts the rules, which puts the plain one first.
    fn complete(&mut self) {
        // Plain comes first in the order of the rules.
        self.rules.sort_unstable();
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Identity>] {
        static ROWS: &[&dyn TypedSetting<Identity>] = &[
            &Setting {
                key: "max_identifiers",
                value_type: Int::<u32>::new(1, 1_000_000),
                default: DefaultValue::Toml("100"),
                unit: "identifiers",
                meaning: "Size guard: the conversions of a person with more identifiers are credited to `unattributed`/`oversized`.",
                field: |identity: &mut Identity| &mut identity.max_identifiers,
            },
            &Setting {
                key: "name_postcode",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Link records by the combination of first name, last name and postcode.",
                field: |identity: &mut Identity| &mut identity.name_postcode,
            },
            &Setting {
                key: "click_id",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Link records by the identifiers of clicks on advertisements (`click_id`, and `gclid`, `gbraid`, `wbraid`, `fbclid` and `msclkid` of addresses). Whoever opens an address that somebody shared has the click of another, so that this merges strangers.",
                field: |identity: &mut Identity| &mut identity.click_id,
            },
            &Setting {
                key: "rules",
                value_type: Many {
                    each: RULES,
                    private: false,
                },
                default: DefaultValue::Toml(r#"["plain"]"#),
                unit: "",
                meaning: "The rules for hashing clear-text values, so that they match values received as hashes; always includes `plain`.",
                field: |identity: &mut Identity| &mut identity.rules,
            },
            &Setting {
                key: "blocked",
                value_type: Many {
                    each: FreeText("a text"),
                    private: true,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "Additional values that are never used as identifiers, besides those under *Values that never identify* below; compared in any case and spelling, in clear text and as SHA-256, and never printed.",
                field: |identity: &mut Identity| &mut identity.blocked,
            },
            &Setting {
                key: "relay_domains",
                value_type: Many {
                    each: HOST_NAME,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "Additional domains whose e-mail addresses are relays that hide the address behind them, besides `privaterelay.appleid.com`, `duck.com`, `mozmail.com`, `simplelogin.com` and `passinbox.com`. Such an address identifies under the rule `plain` alone, and its record is not linked by name and postcode.",
                field: |identity: &mut Identity| &mut identity.relay_domains,
            },
        ];
        ROWS
    }
}

/// The row of the hub guard of one kind of identifier.
macro_rules! degree {
    ($key:literal, $default:literal, $what:literal) => {
        &Setting {
            key: $key,
            value_type: Int::<u32>::new(0, 1_000_000),
            default: DefaultValue::Toml($default),
            unit: "identifiers",
            meaning: concat!(
                "How many other identifiers ",
                $what,
                " may share records with."
            ),
            field: |degrees: &mut Degrees| degrees.entry($key.to_owned()).or_default(),
        }
    };
}

/// One row per kind of identifier.
impl SettingsModel for Degrees {
    const SECTION: Section = Section::of::<Degrees>(
        "brand.identity.max_degree",
        "Hub guard",
        "The maximum number of other identifiers that an identifier may share records with. Beyond it, it does not identify anyone until it falls below the limit: a shared tablet at a till, a recycled phone number. Often written in one line: \
         `max_degree = { email = 20, phone = 10 }`.",
    );

    fn blank() -> Degrees {
        Degrees::new()
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Degrees>] {
        static ROWS: &[&dyn TypedSetting<Degrees>] = &[
            degree!("email", "20", "an e-mail address"),
            degree!("phone", "10", "a telephone number"),
            degree!("cookie", "10", "a cookie"),
            degree!("customer", "50", "a customer number"),
            degree!("wallet", "10", "a wallet"),
            degree!("device", "10", "a device"),
            degree!("name_postcode", "10", "a name with postcode"),
            degree!("click_id", "3", "the identifier of a click"),
        ];
        ROWS
    }
}

/// The maximum of `link_ttl`, milliseconds: a century. A link without an end
/// has no setting.
const LONGEST: i64 = 36_525 * 86_400_000;

/// The row of the duration of one kind of identifier.
macro_rules! lasting {
    ($key:literal, $what:literal) => {
        &Setting {
            key: $key,
            value_type: Opt(Text(Duration::<i64>::millis(86_400_000, LONGEST))),
            default: DefaultValue::Absent("as long as the record is stored"),
            unit: "",
            meaning: concat!("How long a record links ", $what, " with others."),
            field: |lasting: &mut Lasting| lasting.entry($key.to_owned()).or_default(),
        }
    };
}

/// By default a record links for as long as it is stored, which
/// `[brand.retention]` limits.
impl SettingsModel for Lasting {
    const SECTION: Section = Section::of::<Lasting>(
        "brand.identity.link_ttl",
        "Lifetime of links",
        "How long a record links its identifiers of a kind with the others: a phone number may be reassigned, a tablet at a till may be used by someone else. Afterwards, the record stays with the person of its other identifiers; if none of them links any longer, with the first of: cookie, customer, wallet, device, e-mail, phone number, name with postcode, identifier of a click. Evaluated at startup and once a day, when the UTC day begins. Often written in one line: `link_ttl = { phone = \"365d\" }`.",
    );

    fn blank() -> Lasting {
        Lasting::new()
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Lasting>] {
        static ROWS: &[&dyn TypedSetting<Lasting>] = &[
            lasting!("email", "an e-mail address"),
            lasting!("phone", "a telephone number"),
            lasting!("cookie", "a cookie"),
            lasting!("customer", "a customer number"),
            lasting!("wallet", "a wallet"),
            lasting!("device", "a device"),
            lasting!("name_postcode", "a name with postcode"),
            lasting!("click_id", "the identifier of a click"),
        ];
        ROWS
    }
}
