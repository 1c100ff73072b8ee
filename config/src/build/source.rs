//! The sources of a brand and their column maps.

use super::consent::check_basis;
use super::tables::{below, tables};
use crate::context::{Context, Input, Location, Node, join, quote};
use crate::fields;
use crate::model::{Csv, EventMeaning, Format, HashRule, Kind, Source, TimeUnit};
use crate::read::{SectionReading, read_section};
use crate::settings::{MAPPING, SettingsModel};
use crate::suggest::did_you_mean;

/// Reads the sources of a brand and adds the implicit ones: for every kind
/// without a source, except partners, a native one, behind the others in the order of
/// [`Kind::ALL`]. A configured source with the name of an implicit one is
/// reported: its records would have two origins. `hides` is whether the release gate
/// hides anything of the brand.
pub(super) fn sources(
    brand: &Input<'_>,
    rules: &[HashRule],
    hides: bool,
    cx: &mut Context<'_>,
) -> Vec<Source> {
    let given = brand.child(Source::SECTION.key());
    let tables = given.map_or_else(Vec::new, |given| tables(&given, "[[brand.source]]", cx));
    let read: Vec<SectionReading<Source>> = tables
        .iter()
        .map(|table| source(table, rules, cx))
        .collect();
    check_names(&read, cx);
    if hides {
        check_trust(&read, cx);
    }
    let kinds_known = read.iter().all(|source| source.are_valid(&["kind"]));
    let mut sources: Vec<Source> = Vec::new();
    let mut implied: Vec<Source> = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_implied()) {
        if !read
            .iter()
            .any(|source| source.are_valid(&["kind"]) && source.model.kind == kind)
        {
            let namesake = read.iter().find(|source| source.model.name == kind.name());
            if let Some(namesake) = namesake.filter(|_| kinds_known) {
                let (place, path) = namesake.location_of("name");
                let name = quote(kind.name());
                let message = format!(
                    "{name} is the name of the source that kind {} has by itself",
                    kind.name()
                );
                cx.report(
                    place,
                    &path,
                    message,
                    "choose another name, or name a source of that kind",
                );
            }
            implied.push(Source {
                name: kind.name().to_owned(),
                kind,
                ..Source::defaults()
            });
        }
    }
    sources.extend(read.into_iter().map(|source| source.model));
    sources.extend(implied);
    sources
}

/// Reports two sources of a brand with one name.
fn check_names(sources: &[SectionReading<Source>], cx: &mut Context<'_>) {
    for (i, source) in sources.iter().enumerate() {
        let name = &source.model.name;
        let twice = sources
            .iter()
            .take(i)
            .any(|other| other.model.name == *name);
        if twice && !name.is_empty() {
            let (place, path) = source.location_of("name");
            let message = format!(
                "{} is already the name of another source of the brand",
                quote(name)
            );
            cx.report(place, &path, message, "give each source its own");
        }
    }
}

/// The numbers of the conversions of a kind of record, which have contributors
/// only if a verified source reports some.
const HIDDEN: [(Kind, &str); 4] = [
    (
        Kind::Web,
        "orders_day, and attribution, markov_month, paths, path_length, path_days and assists of orders",
    ),
    (
        Kind::Wallet,
        "scan_day, and attribution, markov_month, paths, path_length, path_days and assists of visits",
    ),
    (
        Kind::Partner,
        "visit_match and visit_lift, and attribution, markov_month, paths, path_length, path_days and assists of visits by partners",
    ),
    (
        Kind::Transaction,
        "store_day, and attribution, markov_month, paths, path_length, path_days and assists of transactions",
    ),
];

/// Warns of conversions that all come from open sources, because their numbers
/// are hidden.
fn check_trust(sources: &[SectionReading<Source>], cx: &mut Context<'_>) {
    for (kind, families) in HIDDEN {
        let mut of_kind = sources.iter().filter(|source| source.model.kind == kind);
        let Some(first) = of_kind.next().filter(|source| source.model.is_open()) else {
            continue;
        };
        if of_kind.all(|source| source.model.is_open()) {
            let (place, path) = first.location_of("trust");
            let message = format!(
                "every {} source of the brand is open, so that these numbers are hidden unless `k` is 1: {families}",
                kind.name()
            );
            let fix =
                "report the sales from a source that only systems of the brand can write to, too";
            cx.warn(place, &path, message, fix);
        }
    }
}

/// Reads one source. Reports combinations that its kind or format does not
/// permit. A hash rule that the brand does not enable is a warning, because its
/// digests then match no clear value.
fn source(table: &Input<'_>, rules: &[HashRule], cx: &mut Context<'_>) -> SectionReading<Source> {
    let mut source: SectionReading<Source> =
        read_section(Some(table), &table.path, table.place, cx);
    if source.are_valid(&["hash_rule"]) && !rules.contains(&source.model.hash_rule) {
        let (place, path) = source.location_of("hash_rule");
        let message =
            "is none of the brand's rules, so that its hashed values never meet clear ones";
        cx.warn(
            place,
            &path,
            message,
            "add it to the rules of [brand.identity]",
        );
    }
    if source.are_valid(&["basis", "kind"])
        && let Some(message) = check_basis(source.model.basis, source.model.kind)
    {
        let (place, path) = source.location_of("basis");
        cx.report(place, &path, message, "leave it out");
    }
    if source.are_valid(&["kind"]) && source.is_given("blur") && source.model.kind != Kind::Partner
    {
        let (place, path) = source.location_of("blur");
        cx.report(
            place,
            &path,
            "goes with the kind partner only",
            "leave it out",
        );
    }
    if source.are_valid(&["format", "kind"])
        && source.model.kind == Kind::Consent
        && matches!(source.model.format, Format::Csv(_))
    {
        let (place, path) = source.location_of("format");
        let message = "kind consent has the format native only";
        cx.report(place, &path, message, "send JSON");
    }
    check_format(&source, cx);
    let csv = table.child(Csv::SECTION.key());
    match (&source.model.format, csv) {
        (Format::Csv(_), Some(_)) => {
            let kind = source.are_valid(&["kind"]).then_some(source.model.kind);
            source.model.format = Format::Csv(columns_of(table, kind, cx));
        }
        (Format::Csv(_), None) => {
            let (place, _) = source.location_of("format");
            let path = join(&table.path, "csv");
            let fix = r#"write [brand.source.csv] and columns = { id = "header", … }"#;
            cx.report_missing(place, &path, "is missing", fix);
        }
        (_, Some(csv)) => {
            if source.are_valid(&["format"]) {
                let fix = r#"write format = "csv", or leave the column map out"#;
                cx.report_invalid(&csv, "goes only with the format csv", fix);
            }
            columns_of(table, None, cx);
        }
        (_, None) => {}
    }
    source
}

/// Reports a format of a vendor with a kind that it does not yield, settings
/// that the format does not use, and a Meraki source without a secret.
fn check_format(source: &SectionReading<Source>, cx: &mut Context<'_>) {
    if !source.are_valid(&["format"]) {
        return;
    }
    let format = &source.model.format;
    let kinds = format.kinds();
    if format.has_adapter() && source.are_valid(&["kind"]) && !kinds.contains(&source.model.kind) {
        let (place, path) = source.location_of("kind");
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let message = format!("a source of the format {} has another kind", format.name());
        cx.report(
            place,
            &path,
            message,
            format!("write {}", names.join(" or ")),
        );
    }
    for key in MAPPING {
        if source.is_given(key) && !format.settings().contains(&key) {
            let (place, path) = source.location_of(key);
            let message = format!("the format {} does not use it", format.name());
            cx.report(place, &path, message, "leave it out");
        }
    }
    if format.has_adapter() && source.model.unit == TimeUnit::Seconds {
        let (place, path) = source.location_of("unit");
        let message = format!("the format {} has a unit of its own", format.name());
        cx.report(place, &path, message, "leave it out");
    }
    let conversions = &source.model.mapping.conversions;
    let sells = conversions.is_empty()
        || conversions
            .values()
            .any(|meaning| *meaning == EventMeaning::Transaction);
    if matches!(format, Format::GoogleOffline) && sells && !source.is_given("store") {
        let (place, path) = source.location_of("store");
        let message = "is not set: a transaction whose row has no column Store ID is refused";
        let fix = "set it, if the file is of one store";
        cx.warn(place, &path, message, fix);
    }
    let secrets = ["secret_file", "secret_env"];
    if matches!(format, Format::Meraki) && !secrets.iter().any(|key| source.is_given(key)) {
        let (place, path) = source.location_of("secret_file");
        let fix = "name the file, or the variable, with the secret of the posts";
        cx.report_missing(place, &path, "is missing", fix);
    }
}

/// Reads the CSV settings of a source. Without a valid kind, the fields of the
/// map are not checked.
fn columns_of(source: &Input<'_>, kind: Option<Kind>, cx: &mut Context<'_>) -> Csv {
    let csv = below::<Csv>(source, cx);
    let map = source
        .child(Csv::SECTION.key())
        .and_then(|csv| csv.child("columns"));
    if let (Some(kind), Some(map)) = (kind, map)
        && let Node::Table(_) = map.node
    {
        check_fields(&map, kind, cx);
        check_required(&map, kind, cx);
        check_sum(&csv, &map, kind, cx);
    }
    csv.model
}

/// Reports keys of the map that are not fields of the kind.
fn check_fields(map: &Input<'_>, kind: Kind, cx: &mut Context<'_>) {
    let known = fields::of_columns(kind);
    for (key, place) in map.keys() {
        if known.contains(&key.as_str()) {
            continue;
        }
        let fix = match did_you_mean(&key, known.iter().copied()) {
            none if none.is_empty() => format!("its fields are {}", known.join(", ")),
            fix => fix,
        };
        let message = format!("kind {} has no such field", kind.name());
        cx.report(place, &join(&map.path, &key), message, fix);
    }
}

/// Reports required fields that have no column.
fn check_required(map: &Input<'_>, kind: Kind, cx: &mut Context<'_>) {
    for group in fields::required(kind) {
        if !group.iter().any(|field| map.child(field).is_some()) {
            let path = join(&map.path, group.first().unwrap_or(&""));
            let message = format!("kind {} needs {}", kind.name(), group.join(" or "));
            let fix = "say which column gives it";
            cx.report_missing(map.place, &path, message, fix);
        }
    }
}

/// Reports `sum_rows` without an id to group by or an amount to add.
fn check_sum(csv: &SectionReading<Csv>, map: &Input<'_>, kind: Kind, cx: &mut Context<'_>) {
    if !csv.model.sum_rows || !csv.are_valid(&["sum_rows"]) {
        return;
    }
    let (place, path): (Location, String) = csv.location_of("sum_rows");
    let lacks = |field: &&&str| map.child(field).is_none();
    if !fields::of(kind).contains(&"amount") {
        let message = format!("kind {} has no amount to add up", kind.name());
        cx.report(place, &path, message, "leave it out");
    } else if let Some(field) = ["id", "amount"].iter().find(lacks) {
        let message = format!("needs a column for {field}");
        cx.report_missing(
            place,
            &path,
            message,
            "rows are added up by id, and what is added is amount",
        );
    }
}
