//! Paths: the touches that count for a conversion.

use crate::facts::{Contact, Conversion};
use crate::label::Channel;
use crate::record::SaleKind;
use crate::settings::BrandSettings;

/// How many steps of a path its statistics keep.
pub const STEPS: usize = 20;

/// The path of a conversion: of a person's touches in order, those within the window of their kind,
/// at most the newest `max_path`, oldest first. What happened at a till has a path only where it and the touches
/// may be joined.
pub fn path(
    touches: &[Contact],
    conversion: &Conversion,
    settings: &BrandSettings,
) -> Vec<Contact> {
    let till = conversion.kind == SaleKind::Transaction;
    if till && !conversion.joins {
        return Vec::new();
    }
    let longest = settings
        .click_window
        .max(settings.view_window)
        .max(settings.impression_window);
    let end = touches.partition_point(|touch| touch.ts <= conversion.ts);
    let mut path: Vec<Contact> = touches
        .get(..end)
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|touch| conversion.ts - touch.ts <= longest)
        .filter(|touch| conversion.ts - touch.ts <= settings.window(touch.kind))
        .filter(|touch| touch.joins || !till)
        .take(settings.max_path)
        .cloned()
        .collect();
    path.reverse();
    path
}

/// The channels of a path with repeats in a row taken once, the last [`STEPS`] of them.
pub fn steps(path: &[Contact]) -> Vec<Channel> {
    let mut steps: Vec<Channel> = path.iter().map(|touch| touch.channel).collect();
    steps.dedup();
    let surplus = steps.len().saturating_sub(STEPS);
    steps.drain(..surplus);
    steps
}
