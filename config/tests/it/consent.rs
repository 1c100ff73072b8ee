//! A brand names the party for which consent strings are read, what its steps need and how long it holds records; what contradicts
//! itself is refused, and what surprises is warned of.

use crate::common::{VENDOR_LIST, brand, good, shown, wrong};
use tributary_config::model::{Brand, Kind};
use tributary_config::{LoadedConfig, Problems, parse_in, print};

fn acme(lines: &str) -> Brand {
    good(&brand(lines)).config.brands.remove(0)
}

/// The sources that rest on consent.
fn on_consent(lines: &str) -> Vec<String> {
    let brand = acme(lines);
    let sources = brand.sources.iter();
    sources
        .filter(|source| brand.rests_on_consent(source))
        .map(|source| source.name.clone())
        .collect()
}

fn warned(lines: &str) -> String {
    shown(&good(&brand(lines)).warnings).join("\n")
}

fn refused(lines: &str) -> String {
    wrong(&brand(lines)).join("\n")
}

fn source(name: &str, kind: &str, more: &str) -> String {
    format!("[[brand.source]]\nname = \"{name}\"\nkind = \"{kind}\"\n{more}\n")
}

#[test]
fn web_records_rest_on_consent_as_soon_as_strings_can_be_read() {
    assert_eq!(on_consent(""), [""; 0]);
    assert_eq!(on_consent("consent = { vendor = 755 }"), ["web"]);
    assert_eq!(on_consent("consent = { publisher = true }"), ["web"]);
    let shops = format!(
        "consent = {{ vendor = 755 }}\n{}{}{}",
        source("eu", "web", ""),
        source("us", "web", "basis = \"legitimate_interest\""),
        source("tills", "transaction", "basis = \"consent\""),
    );
    assert_eq!(on_consent(&shops), ["eu", "tills"]);
}

#[test]
fn a_brand_that_reads_no_strings_is_warned_unless_it_says_so() {
    let warning = warned("");
    assert!(
        warning.contains("tributary.toml:1:1: brand[0].consent: is not set: web records count until someone objects"),
        "{warning}"
    );
    assert!(warning.contains("set consent.vendor"), "{warning}");
    let with_basis = source("web", "web", "basis = \"legitimate_interest\"");
    assert_eq!(warned(&with_basis), "");
    assert_eq!(warned("consent = { vendor = 1, feature_2 = false }"), "");
    assert!(
        warned("consent = { vendor = 1 }").contains("brand[0].consent.feature_2: is not given")
    );
}

#[test]
fn only_what_a_kind_may_rest_on_is_taken() {
    let basis =
        |kind: &str, basis: &str| refused(&source("s", kind, &format!("basis = {basis:?}")));
    assert!(basis("spend", "consent").contains("source[0].basis: goes with records of persons"));
    assert!(basis("consent", "legitimate_interest").contains("goes with records of persons"));
    assert!(basis("ping", "consent").contains("cannot be consent"));
    assert_eq!(basis("ping", "legitimate_interest"), "");
    assert!(basis("web", "contract").contains("is none of \"consent\", \"legitimate_interest\""));
}

#[test]
fn statements_come_as_json_in_a_source_of_their_own() {
    let brand = acme("");
    let own = brand
        .sources
        .iter()
        .find(|source| source.kind == Kind::Consent);
    assert_eq!(own.unwrap().name, "consent");
    assert!(refused(&source("consent", "web", "")).contains("kind consent has by itself"));
    let csv = "format = \"csv\"\n[brand.source.csv]\ncolumns = { id = \"i\", ts = \"t\", email = \"e\", tc_string = \"c\" }";
    assert!(refused(&source("c", "consent", csv)).contains("format native only"));
}

#[test]
fn the_party_and_its_bases_are_said_once() {
    let consent = |lines: &str| refused(&format!("[brand.consent]\n{lines}"));
    assert!(
        consent("vendor = 1\npublisher = true")
            .contains("publisher: cannot stand together with vendor")
    );
    assert!(consent("vendor = 0").contains("0 must lie between 1 and 65535"));
    assert!(
        consent("vendor = 1\nlegitimate_interest = [1]")
            .contains("must be a list of purposes, of 2, 7")
    );
    assert!(
        consent("vendor = 1\nlegitimate_interest = [7, 7]").contains("occurs twice in the list")
    );
    assert!(consent("vendor = 1\nlegitimate_interest = 7").contains("square brackets"));
    assert!(consent("also_needs = { credit = [12] }").contains("12 must lie between 1 and 11"));
    assert!(consent("also_needs = { credits = [8] }").contains("did you mean \"credit\"?"));
    let strict = acme("consent = { also_needs = { credit = [8, 2] } }").consent;
    assert_eq!(strict.also_needs["credit"], [8, 2]);
    assert!(strict.also_needs["hold"].is_empty());
}

/// Reads a brand beside which the vendor list lies.
fn beside_a_list(list: &str, lines: &str) -> Result<LoadedConfig, Problems> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("list.json"), list).unwrap();
    let text = brand(&format!(
        "[brand.consent]\nvendor_list_file = \"list.json\"\n{lines}"
    ));
    parse_in(
        &text,
        &directory.path().join("tributary.toml"),
        &crate::common::environment,
    )
}

#[test]
fn a_vendor_list_says_what_the_vendor_declared() {
    let loaded = beside_a_list(VENDOR_LIST, "vendor = 755").unwrap();
    assert_eq!(loaded.warnings, []);
    let consent = &loaded.config.brands[0].consent;
    let declared = consent.declared.as_ref().unwrap();
    assert!(declared.purposes.contains(7) && declared.features.contains(2));
    assert!(print(&loaded.config).contains("list.json"));

    let refused = |list: &str, lines: &str| beside_a_list(list, lines).unwrap_err().to_string();
    assert!(
        refused(VENDOR_LIST, "").contains("vendor_list_file: does not stand alone; give vendor")
    );
    assert!(
        refused(VENDOR_LIST, "vendor = 9").contains("vendor: 9 is not in version 7 of the list")
    );
    assert!(refused("{}", "vendor = 755").contains("not a vendor list"));
    let twice = refused(VENDOR_LIST, "vendor = 755\nlegitimate_interest = [7]");
    assert!(twice.contains("legitimate_interest: cannot stand together with vendor_list_file"));
    let twice = refused(VENDOR_LIST, "vendor = 755\nfeature_2 = true");
    assert!(twice.contains("feature_2: cannot stand together with vendor_list_file"));
    let deleted = beside_a_list(VENDOR_LIST, "vendor = 3").unwrap();
    assert!(
        shown(&deleted.warnings)
            .join("\n")
            .contains("3 has left the framework")
    );
    assert!(
        refused(VENDOR_LIST, "vendor = 1\npublisher = true")
            .contains("cannot stand together with vendor")
    );
}

#[test]
fn whoever_holds_records_longer_than_the_default_hears_of_it() {
    let complete = "consent = { vendor = 1, feature_2 = true }\n";
    let retention = |lines: &str| format!("{complete}[brand.retention]\n{lines}");
    assert_eq!(
        warned(&retention("cookies_months = 13\nconsent_months = 1")),
        ""
    );
    for (key, default) in [
        ("identification_months", 24),
        ("transactions_months", 24),
        ("cookies_months", 13),
        ("consent_months", 60),
        ("visits_months", 13),
        ("exposures_months", 13),
    ] {
        let warning = warned(&retention(&format!("{key} = {}", default + 1)));
        let words = format!(
            "retention.{key}: {} months are more than the default of {default}",
            default + 1
        );
        assert!(warning.contains(&words), "{warning}");
        assert!(
            refused(&retention(&format!("{key} = 0"))).contains("0 must lie between 1 and 1200")
        );
    }
}
