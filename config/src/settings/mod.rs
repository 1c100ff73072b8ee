//! The table of settings: each key once, with its value type, default, unit and
//! meaning.
//!
//! A row also names the model field that it fills, through one function used
//! for both parsing and printing. A section is the set of rows of one TOML
//! table; [`sections`] lists all sections, parents first.
//!
//! ```text
//! &Setting {
//!     key: "k",                                          // release.k
//!     value_type: Int::<u64>::new(1, 1_000_000_000),     // parsed, printed and described by it
//!     default: DefaultValue::Toml("50"),                 // parsed like a given value
//!     unit: "contributors",
//!     meaning: "The minimum number of contributors to a cell. …",
//!     field: |release: &mut Release| &mut release.k,     // of the type that `value_type` yields
//! }
//! ```
//!
//! To add a setting, add a field to the model, its blank value in `blank()` and
//! a row to `rows()`; the parser, the printer, the JSON Schema, the reference
//! and the environment variable follow. Tests demand a line in the example
//! configuration.

mod access;
mod brand;
mod broker;
mod channels;
mod consent;
mod csv;
mod gate;
mod identity;
mod measure;
mod names;
mod noise;
mod partner;
mod process;
mod retention;
mod section;
mod telemetry;
mod wallet;

pub(crate) use brand::MAPPING;
pub(crate) use section::{
    DefaultValue, Section, Setting, SettingInfo, SettingsModel, TypedSetting, read_default,
};

/// The environment variable that overrides a setting of a section:
/// `TRIBUTARY_NATS_URL` for `nats.url`.
pub(crate) fn environment_variable(section: &str, key: &str) -> String {
    format!("TRIBUTARY_{section}_{key}")
        .to_uppercase()
        .replace('.', "_")
}

/// Every section, parents before children, in the order of the reference.
pub(crate) fn sections() -> [Section; 31] {
    use crate::model::{
        Attribution, Brand, BrandRelease, Channels, Consent, Csv, FormBox, Http, HttpIngest,
        HttpToken, Identity, Ingest, IngestToken, Ledger, Log, Names, Nats, Noise, Partner,
        Partners, Release, Retention, Sensors, Source, Telemetry, Wallet, Workers,
    };
    [
        Nats::SECTION,
        Workers::SECTION,
        Log::SECTION,
        Telemetry::SECTION,
        Ledger::SECTION,
        Http::SECTION,
        HttpToken::SECTION,
        HttpIngest::SECTION,
        IngestToken::SECTION,
        Ingest::SECTION,
        Release::SECTION,
        Brand::SECTION,
        Identity::SECTION,
        identity::Degrees::SECTION,
        identity::Lasting::SECTION,
        Attribution::SECTION,
        Channels::SECTION,
        Names::SECTION,
        Sensors::SECTION,
        Wallet::SECTION,
        Partners::SECTION,
        Partner::SECTION,
        Consent::SECTION,
        consent::AlsoNeeds::SECTION,
        FormBox::SECTION,
        Retention::SECTION,
        BrandRelease::SECTION,
        Noise::SECTION,
        Source::SECTION,
        Csv::SECTION,
        ROOT,
    ]
}

/// The file itself, which contains sections only.
pub(crate) const ROOT: Section = Section {
    path: "",
    many: false,
    title: "Tributary",
    meaning: "The configuration of Tributary.",
    variables: false,
    exclusive: &[],
    one_of: &[],
    needs: &[],
    rows: Vec::new,
};

/// The sections directly below one, in the order of the reference.
pub(crate) fn children(path: &str) -> Vec<Section> {
    let below = |section: &Section| match section.path.rsplit_once('.') {
        _ if section.path.is_empty() => false,
        Some((parent, _)) => parent == path,
        None => path.is_empty(),
    };
    sections().into_iter().filter(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::model::{
        Attribution, Brand, BrandRelease, Channels, Consent, Csv, Http, HttpIngest, Identity,
        Ingest, Ledger, Log, Names, Nats, Noise, Partner, Partners, Release, Retention, Sensors,
        Source, Telemetry, Wallet, Workers,
    };

    fn defaults_are_clean<T: SettingsModel>() {
        let mut cx = Context::new("", std::path::Path::new(""), &|_| None);
        let mut model = T::blank();
        for row in T::rows() {
            assert!(read_default(*row, &mut cx, &mut model), "{}", row.key());
        }
        assert_eq!(cx.problems, []);
        assert_eq!(cx.warnings, []);
    }

    #[test]
    fn every_default_is_a_value_of_its_shape() {
        defaults_are_clean::<Nats>();
        defaults_are_clean::<Workers>();
        defaults_are_clean::<Log>();
        defaults_are_clean::<Telemetry>();
        defaults_are_clean::<Ledger>();
        defaults_are_clean::<Http>();
        defaults_are_clean::<HttpIngest>();
        defaults_are_clean::<Ingest>();
        defaults_are_clean::<Release>();
        defaults_are_clean::<Brand>();
        defaults_are_clean::<Identity>();
        defaults_are_clean::<identity::Degrees>();
        defaults_are_clean::<identity::Lasting>();
        defaults_are_clean::<Attribution>();
        defaults_are_clean::<Channels>();
        defaults_are_clean::<Names>();
        defaults_are_clean::<Sensors>();
        defaults_are_clean::<Wallet>();
        defaults_are_clean::<Partners>();
        defaults_are_clean::<Partner>();
        defaults_are_clean::<Consent>();
        defaults_are_clean::<consent::AlsoNeeds>();
        defaults_are_clean::<Retention>();
        defaults_are_clean::<BrandRelease>();
        defaults_are_clean::<Noise>();
        defaults_are_clean::<Source>();
        defaults_are_clean::<Csv>();
    }

    #[test]
    fn every_row_and_section_says_what_it_is() {
        for section in sections() {
            assert!(!section.meaning.is_empty() && !section.title.is_empty());
            let rows = (section.rows)();
            for (i, row) in rows.iter().enumerate() {
                assert!(
                    row.meaning().ends_with('.'),
                    "{}.{}",
                    section.path,
                    row.key()
                );
                assert!(rows[..i].iter().all(|other| other.key() != row.key()));
            }
            let known = |key: &&str| rows.iter().any(|row| row.key() == *key);
            assert!(
                section
                    .exclusive
                    .iter()
                    .chain(section.one_of)
                    .flat_map(|g| g.iter())
                    .all(&known)
            );
            assert!(
                section
                    .needs
                    .iter()
                    .all(|(key, needs)| known(key) && needs.iter().all(&known))
            );
        }
    }
}
