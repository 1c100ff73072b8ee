//! Tables of `config/DATA-PROTECTION.md`, generated from the behavior of the
//! program.
//!
//! A guide for data-protection officers must not describe an earlier version of
//! the program. Retention periods therefore come from the retention rules and
//! the defaults of the configuration, and the permission that a use requires is
//! determined by evaluating signals: which box, ticked alone, allows it. A test
//! compares the guide with the output.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use tributary_config::model::Consent;
use tributary_connectors::signals::{Signal, SignalReader};
use tributary_consent::Boxes;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Body, Currency, RefundAmount, Right, SaleKind, SaleName, SightingCookie, TouchKind,
    WalletPlatform, WalletType,
};

use crate::privacy::retention::{Category, Retention, purposes};

/// All tables, as Markdown.
///
/// # Errors
///
/// None in practice: the minimal configuration is valid.
pub fn reference() -> anyhow::Result<String> {
    let retention = defaults()?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    out.push_str("| record | used for | kept for (default) |\n|---|---|---|\n");
    for (name, body) in bodies() {
        let held = match Category::of(&body) {
            Some(category) => months(&retention, category),
            None => kept(&body).to_owned(),
        };
        let _ = writeln!(out, "| {name} | {} | {held} |", purposes(&body).join(", "));
    }
    out.push_str("\n| category | setting of `[brand.retention]` | default | counts from | what is deleted |\n|---|---|---|---|---|\n");
    for category in Category::ALL {
        let (name, from, goes) = (category.name(), category.from(), category.goes());
        let months = months(&retention, category);
        let _ = writeln!(
            out,
            "| {name} | `{name}_months` | {months} | {from} | {goes} |"
        );
    }
    out.push_str("\n| use | what it is | requires | without it |\n|---|---|---|---|\n");
    for step in Use::ALL {
        let (what, without) = words(step);
        let _ = writeln!(
            out,
            "| `{}` | {what} | {} | {without} |",
            step.name(),
            needs(step)
        );
    }
    Ok(out)
}

/// How long a record without a category is stored.
fn kept(body: &Body) -> &'static str {
    match body {
        Body::Spend { .. } => {
            "indefinitely: it is not personal, and the latest figure replaces earlier ones"
        }
        _ => "until the person is erased; a newer statement replaces it",
    }
}

/// The default retention of a category.
fn months(retention: &Retention, category: Category) -> String {
    format!("{} calendar months", retention.months(category))
}

/// Retention of a brand without settings.
fn defaults() -> anyhow::Result<Retention> {
    let text = "[[brand]]\nname = \"brand\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
    let secret =
        |name: &str| (name == "SECRET").then(|| "224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
    let loaded = tributary_config::parse_in(text, Path::new("defaults"), &secret)?;
    let brand = loaded.config.brands.first().context("there is a brand")?;
    Ok(Retention::of(brand))
}

/// One record of each kind.
fn bodies() -> [(&'static str, Body); 16] {
    let (store, name) = (Label::of("store"), SaleName(0));
    let (kind, currency) = (SaleKind::Transaction, Currency(*b"EUR"));
    let contact = |kind| Body::Contact {
        kind,
        channel: Channel::direct(),
        touch: true,
    };
    let wallet = |kind| Body::Wallet {
        kind,
        platform: WalletPlatform::Other,
        store,
        channel: Channel::direct(),
        holder: 0,
    };
    [
        ("impression, click, view", contact(TouchKind::Click)),
        ("identify", Body::Identify),
        (
            "order, transaction",
            Body::Sale {
                kind,
                name,
                store,
                amount: 0,
                currency,
            },
        ),
        (
            "refund",
            Body::Refund {
                kind,
                name,
                store,
                amount: RefundAmount::All,
            },
        ),
        (
            "restatement",
            Body::Restatement {
                kind,
                name,
                store,
                amount: RefundAmount::Of(0, currency),
            },
        ),
        (
            "adjustment",
            Body::Adjustment {
                kind,
                store,
                amount: 0,
                currency,
            },
        ),
        (
            "spend",
            Body::Spend {
                platform: store,
                channel: Channel::direct(),
                cost: 0,
                currency,
                impressions: 0,
                clicks: 0,
            },
        ),
        ("wallet: push, open", wallet(WalletType::Push)),
        (
            "wallet: issue, void, install, remove, scan, redeem",
            wallet(WalletType::Scan),
        ),
        (
            "partner: sighting",
            Body::Sighting {
                store,
                salt_day: 0,
                until: 0,
                blur: 0,
                cookie: SightingCookie::None,
            },
        ),
        (
            "partner: exposure",
            Body::Exposure {
                kind: TouchKind::Click,
                channel: Channel::direct(),
            },
        ),
        ("partner: link", Body::PartnerLink),
        (
            "partner: settled visit",
            Body::SettledVisit {
                store,
                until: 0,
                candidates: 0,
                weight: 0,
                by_position: false,
            },
        ),
        (
            "partner: member of the panel",
            Body::PanelMember { by_position: false },
        ),
        (
            "consent statement",
            Body::Consent {
                steps: AllowedUses::NONE,
                string: None,
                boxes: None,
            },
        ),
        (
            "right: restriction, do not sell, directive",
            Body::Right {
                right: Right::Restriction,
                stands: true,
            },
        ),
    ]
}

/// Meaning of a use, and the effect on a record without it.
fn words(step: Use) -> (&'static str, &'static str) {
    match step {
        Use::Hold => (
            "use of a web record, or of any record from a source with basis `consent`",
            "the record is excluded from all numbers; it stays stored, encrypted, until its retention ends, and counts if consent is given later",
        ),
        Use::Credit => (
            "crediting a campaign",
            "the contact is counted, but earns no credit for a sale",
        ),
        Use::Join => (
            "counts that join online and in-store data",
            "online and in-store data are not joined",
        ),
        Use::Link => (
            "linking across devices and sources",
            "the record counts for a single identifier, preferably its cookie",
        ),
        Use::Position => (
            "precise location",
            "a sighting of a partner without offline cookie and MAC address does not count; no other location is read",
        ),
        Use::Share => (
            "sharing with partners",
            "sightings, exposures and links of partners do not count; nothing is sent to partners either way",
        ),
    }
}

/// What allows a use, determined by ticking one box at a time.
fn needs(step: Use) -> String {
    let purposes: Vec<String> = (1..=11).map(|purpose: u8| purpose.to_string()).collect();
    let alone: Vec<&str> = (purposes.iter().map(String::as_str))
        .filter(|purpose| allows(step, &[(purpose, true)], true))
        .collect();
    if alone.len() == purposes.len() {
        let outs = ["do_not_sell", "do_not_share", "do_not_target"];
        let against = outs.map(|out| (out, allows(step, &[("1", true), (out, true)], true)));
        let against = against.iter().filter(|(_, allowed)| !allowed);
        let against: Vec<String> = against.map(|(out, _)| format!("`{out}`")).collect();
        return format!("none of the objections {}", against.join(", "));
    }
    if alone.is_empty() {
        // A feature is nothing without a purpose.
        let features = ["special_feature_1", "special_feature_2"].into_iter();
        let features: Vec<&str> = features
            .filter(|feature| allows(step, &[(feature, true), ("2", true)], true))
            .collect();
        let features = features.join(" or ").replace('_', " ");
        return format!("{features}, and any purpose");
    }
    let disclosed = alone
        .iter()
        .all(|purpose| !allows(step, &[(purpose, true)], false));
    let feature = if disclosed {
        ", and feature 2 disclosed"
    } else {
        ""
    };
    format!("purpose {}{feature}", alone.join(" or "))
}

/// Whether boxes allow a use. `feature_2` states whether the brand discloses
/// that devices are linked.
fn allows(step: Use, boxes: &[(&str, bool)], feature_2: bool) -> bool {
    let consent = Consent {
        feature_2,
        ..Consent::default()
    };
    let Ok(boxes) = Boxes::read(boxes.iter().copied()) else {
        return false;
    };
    match SignalReader::new(&consent).boxes(&boxes) {
        Signal::Steps(consent) => consent.steps.allows(step),
        Signal::OptedOut(_) => false,
    }
}
