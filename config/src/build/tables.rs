//! Tables below the root or another table: one section, or a list of tables under one header.

use crate::context::{Context, Input, Location, Node};
use crate::read::{SectionReading, read_section};
use crate::settings::SettingsModel;

/// Reads a section directly below the root.
pub(super) fn top<T: SettingsModel>(root: &Input<'_>, cx: &mut Context<'_>) -> SectionReading<T> {
    let path = T::SECTION.path;
    read_section(root.child(path).as_ref(), path, Location::Nowhere, cx)
}

/// Reads a section below another one.
pub(super) fn below<T: SettingsModel>(
    table: &Input<'_>,
    cx: &mut Context<'_>,
) -> SectionReading<T> {
    let key = T::SECTION.key();
    let path = crate::context::join(&table.path, key);
    read_section(table.child(key).as_ref(), &path, table.place, cx)
}

/// The tables under a `[[header]]`. Reports a single table, which is checked
/// all the same, and an empty list of brands.
pub(super) fn tables<'a>(given: &Input<'a>, header: &str, cx: &mut Context<'_>) -> Vec<Input<'a>> {
    match given.elements() {
        Some(elements) if elements.is_empty() && header == "[[brand]]" => {
            cx.report_invalid(given, "at least one brand is needed", "");
            Vec::new()
        }
        Some(elements) => elements,
        None => {
            let message = format!("must be a list of tables, not {}", given.node.type_name());
            let fix = match given.node {
                Node::Table(_) => format!("write {header} with two brackets: there may be several"),
                _ => format!("write {header} and its settings below it"),
            };
            cx.report_invalid(given, message, fix);
            // What stands in the single table is checked all the same.
            match given.node {
                Node::Table(_) => vec![given.clone()],
                _ => Vec::new(),
            }
        }
    }
}
