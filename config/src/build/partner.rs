//! The partners that may query cells of a brand.

use super::tables::tables;
use crate::context::{Context, Input, quote};
use crate::model::Partner;
use crate::read::{SectionReading, read_section};
use crate::settings::SettingsModel;

/// Reads the partners of a brand. Reports two with one name, whose answers
/// nobody could tell apart, and one that may query nothing.
pub(super) fn partners(brand: &Input<'_>, cx: &mut Context<'_>) -> Vec<Partner> {
    let given = brand.child(Partner::SECTION.key());
    let tables = given.map_or_else(Vec::new, |given| tables(&given, "[[brand.partner]]", cx));
    let mut read: Vec<Partner> = Vec::new();
    for table in &tables {
        let partner: SectionReading<Partner> =
            read_section(Some(table), &table.path, table.place, cx);
        let name = &partner.model.name;
        if !name.is_empty() && read.iter().any(|other| other.name == *name) {
            let (place, path) = partner.location_of("name");
            let message = format!(
                "{} is already the name of another partner of the brand",
                quote(name)
            );
            cx.report(place, &path, message, "give each partner its own");
        }
        if partner.are_valid(&["sources"]) && partner.model.sources.is_empty() {
            let (place, path) = partner.location_of("sources");
            let fix = r#"name the sources of its channels: sources = ["waze"]"#;
            cx.report(
                place,
                &path,
                "is empty, so that the partner may query nothing",
                fix,
            );
        }
        if partner.model.sources.iter().any(|source| source == "*") {
            let (place, path) = partner.location_of("sources");
            let message =
                "cannot contain \"*\", the channels that the release gate publishes together";
            cx.report(place, &path, message, "name each source");
        }
        read.push(partner.model);
    }
    read
}
