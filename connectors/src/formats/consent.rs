//! Consent categories of vendors, and the statements that they make.
//!
//! A category decides checkboxes by a table of the source. A checkbox is true
//! if every category present that lists it is granted, false if one of them is
//! denied, and absent if none of them is present. Categories that the table has
//! not say nothing.

use std::collections::BTreeMap;

use tributary_config::model::{Kind, Mapping};

use super::record::NativeRecord;
use crate::native::fields::Field;

/// The identifiers of a statement for a record without a cookie.
const IDENTIFIERS: [Field; 6] = [
    Field::Email,
    Field::Phone,
    Field::Customer,
    Field::Wallet,
    Field::Device,
    Field::ClickId,
];

/// The checkboxes that categories decide, given as name and grant.
pub(super) fn boxes<'c>(
    mapping: &Mapping,
    categories: impl Iterator<Item = (&'c str, bool)>,
) -> BTreeMap<String, bool> {
    let mut boxes: BTreeMap<String, bool> = BTreeMap::new();
    for (category, granted) in categories {
        let listed = mapping.consent_categories.get(category);
        for name in listed.into_iter().flatten() {
            let all = boxes.entry(name.clone()).or_insert(true);
            *all &= granted;
        }
    }
    boxes
}

/// The opt-outs of a browser or a person, as checkboxes.
pub(super) fn opt_outs(names: &[&str]) -> BTreeMap<String, bool> {
    let boxes = names.iter().map(|name| ((*name).to_owned(), true));
    boxes.collect()
}

/// The statement of a record: for its cookie, or for all its identifiers
/// without one. `None` without checkboxes or identifiers. `path` is where the
/// vendor states it.
pub(super) fn statement<'a>(
    of: &NativeRecord<'a>,
    id: &str,
    path: &'static str,
    boxes: &BTreeMap<String, bool>,
) -> Option<NativeRecord<'a>> {
    if boxes.is_empty() {
        return None;
    }
    let mut statement = NativeRecord::new(Kind::Consent);
    let has_cookie = !of.raw(Field::Cookie).is_empty();
    let identifiers: &[Field] = match has_cookie {
        true => &[Field::Cookie],
        false => &IDENTIFIERS,
    };
    if !identifiers.iter().any(|field| !of.raw(*field).is_empty()) {
        return None;
    }
    statement.copy(of, identifiers);
    statement.copy(of, &[Field::Ts]);
    statement.put_text(Field::Id, "id", &format!("{id}#consent"));
    let members = boxes
        .iter()
        .map(|(name, ticked)| format!("\"{name}\":{ticked}"));
    let json = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    statement.put_json(Field::Purposes, path, json);
    Some(statement)
}
