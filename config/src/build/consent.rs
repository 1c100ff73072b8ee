//! Cross-checks of `[brand.consent]` and `[brand.retention]`, and the vendor
//! list that they name.
//!
//! One setting defines each fact: a vendor list replaces `legitimate_interest`
//! and `feature_2`, and a brand is either a vendor or the publisher.

use tributary_consent::{Boxes, Vendor, VendorList};

use super::tables::{below, tables};
use crate::context::{Context, Input, quote};
use crate::model::{Basis, Consent, FormBox, Kind, Retention};
use crate::read::{SectionReading, read_section};
use crate::settings::SettingsModel;

/// Reads the consent settings of a brand, with the vendor's declarations from
/// the list.
pub(super) fn consent(brand: &Input<'_>, cx: &mut Context<'_>) -> Consent {
    let mut consent = below::<Consent>(brand, cx);
    consent.model.also_needs = match brand.child(Consent::SECTION.key()) {
        Some(given) => below(&given, cx).model,
        None => SettingsModel::defaults(),
    };
    let model = &consent.model;
    if model.vendor.is_some() && model.publisher {
        let (place, path) = consent.location_of("publisher");
        let fix = "name one party for which strings are evaluated: remove one of the two";
        cx.report(place, &path, "cannot stand together with vendor", fix);
    }
    let listed = consent.is_given("vendor_list_file");
    let contradicts = [
        ("legitimate_interest", !model.legitimate_interest.is_empty()),
        ("feature_2", model.feature_2),
    ];
    for (key, _) in contradicts.iter().filter(|(_, said)| listed && *said) {
        let (place, path) = consent.location_of(key);
        let message = "cannot stand together with vendor_list_file";
        cx.report(
            place,
            &path,
            message,
            "the list already defines it: remove it",
        );
    }
    if model.reads_strings() && !listed && !consent.is_given("feature_2") {
        let (place, path) = consent.location_of("feature_2");
        let message = "is not given, so that no string allows to link the records of a person";
        let fix = "set feature_2 = true if linking is disclosed, or set a vendor_list_file";
        cx.warn(place, &path, message, fix);
    }
    consent.model.declared = declared(&consent, cx);
    consent.model
}

/// Reads the boxes of a brand's forms. Reports a name that occurs twice, and
/// purposes where none are or where some must be.
pub(super) fn boxes(brand: &Input<'_>, cx: &mut Context<'_>) -> Vec<FormBox> {
    let given = brand.child(FormBox::SECTION.key());
    let tables = given.map_or_else(Vec::new, |given| tables(&given, "[[brand.box]]", cx));
    let mut boxes: Vec<FormBox> = Vec::new();
    for table in &tables {
        let read: SectionReading<FormBox> = read_section(Some(table), &table.path, table.place, cx);
        let of = &read.model;
        if !of.name.is_empty() && boxes.iter().any(|other| other.name == of.name) {
            let (place, path) = read.location_of("name");
            let message = format!("{} is already the name of another box", quote(&of.name));
            cx.report(place, &path, message, "give each box its own");
        }
        if read.are_valid(&["name", "needs"]) {
            let (place, path) = read.location_of("needs");
            match (
                Boxes::read([(of.name.as_str(), false)]),
                of.needs.is_empty(),
            ) {
                (Ok(_), false) => {
                    let message = "cannot stand with a box that exists without being listed";
                    cx.report(
                        place,
                        &path,
                        message,
                        "leave it out, or choose another name",
                    );
                }
                (Err(_), true) => {
                    let message = "is missing: no purpose is what the box stands for";
                    let fix = "list the purposes that a tick grants, such as needs = [7]";
                    cx.report(place, &path, message, fix);
                }
                _ => {}
            }
        }
        boxes.push(read.model);
    }
    boxes
}

/// The vendor's entry in the list; `None` without a list, or after a problem
/// was noted.
fn declared(consent: &SectionReading<Consent>, cx: &mut Context<'_>) -> Option<Vendor> {
    let (file, id) = (
        consent.model.vendor_list_file.as_ref()?,
        consent.model.vendor?,
    );
    let (place, path) = consent.location_of("vendor_list_file");
    let list = std::fs::read(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))
        .and_then(|json| {
            VendorList::parse(&json).map_err(|error| format!("{}: {error}", file.display()))
        });
    let list = match list {
        Ok(list) => list,
        Err(message) => {
            let fix = "take it from https://vendor-list.consensu.org/v3/vendor-list.json";
            cx.report(place, &path, message, fix);
            return None;
        }
    };
    let vendor = list.vendor(id).cloned();
    let (place, path) = consent.location_of("vendor");
    match &vendor {
        None => {
            let message = format!("{id} is not in version {} of the list", list.version());
            cx.report(place, &path, message, "check the id, or take a newer list");
        }
        Some(vendor) if vendor.deleted => {
            let message = format!("{id} has left the framework: nothing is allowed it any more");
            cx.warn(place, &path, message, "");
        }
        Some(_) => {}
    }
    vendor
}

/// Why a kind of records cannot have a legal basis; `None` if it can. Spend and
/// consent statements concern no person's processing, nobody can consent for a
/// device that sensors receive, and what partners know of a device needs
/// consent.
pub(super) fn check_basis(basis: Option<Basis>, kind: Kind) -> Option<&'static str> {
    match (kind, basis) {
        (Kind::Spend | Kind::Consent, Some(_)) => {
            Some("goes with records of persons: web, transaction, wallet, partner or ping")
        }
        (Kind::Partner, Some(Basis::LegitimateInterest)) => Some(
            "cannot be legitimate_interest: where a partner saw a device needs the person's consent",
        ),
        (Kind::Ping, Some(Basis::Consent)) => Some(
            "cannot be consent: a device that sensors hear has no name by which it could be given",
        ),
        _ => None,
    }
}

/// Reads the retention settings; warns of periods above the defaults, which
/// need a justification under the GDPR, article 5(1)(e).
pub(super) fn retention(brand: &Input<'_>, cx: &mut Context<'_>) -> Retention {
    let retention = below::<Retention>(brand, cx);
    let (model, defaults) = (&retention.model, Retention::defaults());
    let held = |of: &Retention| {
        [
            ("identification_months", of.identification_months),
            ("transactions_months", of.transactions_months),
            ("cookies_months", of.cookies_months),
            ("consent_months", of.consent_months),
            ("visits_months", of.visits_months),
            ("exposures_months", of.exposures_months),
        ]
    };
    for ((key, months), (_, default)) in held(model).into_iter().zip(held(&defaults)) {
        if months > default {
            let (place, path) = retention.location_of(key);
            let message = format!("{months} months are more than the default of {default}");
            cx.warn(place, &path, message, "be able to say why so long");
        }
    }
    retention.model
}
