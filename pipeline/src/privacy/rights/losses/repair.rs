//! Repair after an accepted loss: damaged files are rewritten without their
//! damaged part, and the ledger without the records of objectors.

use std::sync::Arc;

use tributary_config::model::Config;
use tributary_ledger::{EarlierIds, Ledger};
use tributary_operators::event::Event;
use tributary_rights::BrandKeys;
use tributary_rights::audit;
use tributary_rights::suppression;
use tributary_rights::tombstones::Tombstones;

use super::super::files::{self, is_registrar, log};
use crate::privacy::erased::{self, Erased, level_of};
use crate::privacy::objections::{LIST, Objections};

/// Rewrites the objection list and the audit logs with their readable entries.
/// The original of each rewritten file is kept beside it. `ledger` is the ID of
/// the ledger that the list belongs to from now on.
///
/// # Errors
///
/// Any error of the disk.
pub fn repair(config: &Config, ledger: [u8; 16]) -> anyhow::Result<()> {
    let directory = files::directory(config);
    let list = directory.join(LIST);
    let keys: Vec<BrandKeys> = config.brands.iter().map(files::keys).collect();
    if let Some(kept) = suppression::repair(&list, &keys, ledger)? {
        tracing::warn!(file = %list.display(), kept = %kept.display(), "rewrote the objection list");
    }
    let path = erased::path(config);
    if let Some(kept) = Tombstones::repair(&path, &keys)? {
        tracing::warn!(file = %path.display(), kept = %kept.display(), "began the tombstones of erased people anew");
    }
    for brand in config.brands.iter().filter(|_| is_registrar(config)) {
        let path = directory.join(log(&brand.name));
        if let Some(kept) = audit::repair(&path, &files::keys(brand))? {
            tracing::warn!(file = %path.display(), kept = %kept.display(), "rewrote the audit log");
        }
    }
    Ok(())
}

/// Rewrites a ledger without the records of persons on the objection list, and
/// without those that were erased lately, which an outdated copy may contain, and
/// closes it.
///
/// A record is found by its pseudonyms under each secret from the one under which
/// it was sealed to the newest: whoever was erased or has objected before a rotation
/// is entered under an older one. Returns the number of replaced files that could not
/// be overwritten.
///
/// # Errors
///
/// Any error of the ledger.
pub fn leave_out(
    mut ledger: Ledger,
    objections: &Objections,
    erased: Arc<Erased>,
) -> anyhow::Result<usize> {
    let objectors = objections.snapshot();
    let keep = move |event: &Event, earlier: &EarlierIds| {
        let levels = earlier.iter().map(|(links, ids)| (level_of(*links), ids));
        !objectors.refuses(event, levels) && !erased.covers(event, earlier)
    };
    let rewrite = ledger.rewrite(Arc::new(keep))?;
    let written = rewrite.run(&mut |_, _| ())?;
    let entries = written.erased.total();
    let removed = ledger.install_and_remove(written)?;
    ledger.close()?;
    if entries > 0 {
        tracing::warn!(
            entries,
            "removed people who have objected or were erased from the ledger"
        );
    }
    Ok(removed.not_overwritten)
}
