//! Column maps of CSV sources: which fields they may name, which they must, and the forms of a column.

use crate::common::{brand, good, wrong};
use tributary_config::model::{Column, Format, Kind};

fn source(kind: &str, csv: &str) -> String {
    brand(&format!(
        "[[brand.source]]\nname = \"s\"\nkind = \"{kind}\"\nformat = \"csv\"\n[brand.source.csv]\n{csv}"
    ))
}

#[test]
fn every_form_of_a_column_is_read() {
    let text = source(
        "transaction",
        r#"delimiter = "\t"
only = { status = "paid" }
columns = { id = { join = ["store", "basket"], with = ":" }, ts = { lookup = "days.csv", by = "day", key = "no", value = "date" }, store = { const = "s1" }, amount = "total" }"#,
    );
    let loaded = good(&text);
    let source = &loaded.config.brands[0].sources[0];
    assert_eq!(
        (source.name.as_str(), source.kind),
        ("s", Kind::Transaction)
    );
    let Format::Csv(csv) = &source.format else {
        panic!("not CSV");
    };
    assert_eq!(csv.delimiter, b'\t');
    assert_eq!(csv.only["status"], "paid");
    let join = Column::Join {
        columns: vec!["store".into(), "basket".into()],
        with: ":".into(),
    };
    let lookup = Column::Lookup {
        file: "days.csv".into(),
        by: "day".into(),
        key: "no".into(),
        value: "date".into(),
    };
    assert_eq!(csv.columns["id"], join);
    assert_eq!(csv.columns["ts"], lookup);
    assert_eq!(csv.columns["store"], Column::Const("s1".into()));
    assert_eq!(csv.columns["amount"], Column::Name("total".into()));
}

#[test]
fn kinds_without_a_source_have_their_own() {
    let loaded = good(&source(
        "spend",
        "columns = { date = \"d\", platform = \"p\", cost = \"c\" }",
    ));
    let sources = &loaded.config.brands[0].sources;
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(
        names,
        ["s", "ping", "web", "transaction", "consent", "wallet"]
    );
    assert!(matches!(sources[1].format, Format::Native));
}

/// One problem with these words.
fn one(text: &str, words: &[&str]) {
    let wrong = wrong(text);
    assert_eq!(wrong.len(), 1, "{text}\n{}", wrong.join("\n"));
    for word in words {
        assert!(wrong[0].contains(word), "{:?} lacks {word:?}", wrong[0]);
    }
}

#[test]
fn what_a_text_cannot_hold_is_no_column() {
    let columns =
        "columns = { id = \"i\", ts = \"t\", type = \"y\", device = \"d\", purposes = \"p\" }";
    one(
        &source("partner", columns),
        &["columns.purposes: kind partner has no such field"],
    );
}

#[test]
fn a_format_of_a_vendor_has_a_unit_of_its_own() {
    let of = |format: &str| {
        brand(&format!(
            "[[brand.source]]\nname = \"s\"\nkind = \"web\"\nformat = \"{format}\"\nunit = \"s\"\n"
        ))
    };
    good(&of("native"));
    one(
        &of("ga4_bigquery"),
        &["unit: the format ga4_bigquery has a unit of its own"],
    );
}

#[test]
fn fields_are_those_of_the_kind() {
    let ping = |more: &str| {
        source(
            "ping",
            &format!("columns = {{ ts = \"t\", store = \"s\", sensor = \"n\"{more} }}"),
        )
    };
    one(
        &ping(", rssi = \"r\""),
        &["columns.mac: kind ping needs mac or device"],
    );
    one(&ping(", mac = \"m\""), &["kind ping needs rssi"]);
    one(
        &ping(", mac = \"m\", rsi = \"r\", rssi = \"r\""),
        &["columns.rsi: kind ping has no such field", "\"rssi\""],
    );
    one(
        &ping(", mac = \"m\", rssi = \"r\", colour = \"r\""),
        &["its fields are ts, store"],
    );
    good(&ping(", device = \"m\", rssi = \"r\""));
    one(
        &source("web", "columns = { id = \"i\", ts = \"t\" }"),
        &["kind web needs type"],
    );
    one(
        &source(
            "transaction",
            "columns = { id = \"i\", ts = \"t\", store = \"s\" }",
        ),
        &["kind transaction needs amount or refund_of"],
    );
    one(
        &source("spend", "columns = { date = \"d\", cost = \"c\" }"),
        &["kind spend needs platform"],
    );
    one(
        &source("spent", "columns = { date = \"d\" }"),
        &["source[0].kind", "did you mean \"spend\"?"],
    );
}

#[test]
fn columns_have_one_form() {
    let id = |column: &str| {
        source(
            "web",
            &format!("columns = {{ id = {column}, ts = \"t\", type = \"y\" }}"),
        )
    };
    one(&id("3"), &["columns.id: must be a column"]);
    one(&id("\"\""), &["columns.id: must not be empty"]);
    one(&id("{}"), &["exactly one of const, join and lookup"]);
    one(
        &id("{ const = \"a\", join = [\"a\", \"b\"] }"),
        &["exactly one of"],
    );
    one(
        &id("{ const = \"a\", with = \":\" }"),
        &["columns.id.with: does not go with const"],
    );
    one(
        &id("{ konst = \"a\" }"),
        &["columns.id.konst", "did you mean \"const\"?"],
    );
    one(
        &id("{ join = [\"a\", \"b\"] }"),
        &["columns.id.with: is missing"],
    );
    one(
        &id("{ join = [\"a\"], with = \":\" }"),
        &["at least two headers"],
    );
    one(
        &id("{ lookup = \"../x.csv\", by = \"a\", key = \"b\", value = \"c\" }"),
        &["without directories"],
    );
    one(
        &id("{ lookup = \"x.csv\", by = \"a\", key = \"b\" }"),
        &["columns.id.value: is missing"],
    );
    one(&id("{ const = 1 }"), &["columns.id.const: must be a text"]);
}

#[test]
fn formats_and_maps_go_together() {
    let native = "[[brand.source]]\nname = \"s\"\nkind = \"web\"\n";
    one(
        &brand(&format!("{native}format = \"csv\"")),
        &["source[0].csv: is missing"],
    );
    one(
        &brand(&format!(
            "{native}[brand.source.csv]\ncolumns = {{ id = \"i\" }}"
        )),
        &["csv: goes only with the format csv"],
    );
    one(
        &source("web", "delimiter = \",\""),
        &["csv.columns: is missing"],
    );
    one(&source("web", "columns = 3"), &["columns: must be a table"]);
    one(
        &brand(&format!("{native}format = \"parquet\"")),
        &["none of \"native\", \"csv\""],
    );
    let web = "columns = { id = \"i\", ts = \"t\", type = \"y\" }\n";
    one(
        &source("web", &format!("{web}delimiter = \";;\"")),
        &["cannot separate columns"],
    );
    one(
        &source("web", &format!("{web}only = {{ a = 1 }}")),
        &["only.a: must be a text"],
    );
    one(
        &source("web", &format!("{web}sum_rows = true")),
        &["sum_rows: needs a column for amount"],
    );
    let spend = "columns = { date = \"d\", platform = \"p\", cost = \"c\" }\n";
    one(
        &source("spend", &format!("{spend}sum_rows = true")),
        &["has no amount"],
    );
}
