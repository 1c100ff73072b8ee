//! A warning of thresholds under which cells may show individuals.

use crate::context::Context;
use crate::read::SectionReading;

/// The number of contributors below which a released cell may show individuals.
const FEW: u64 = 10;

/// Warns of a `k` so small that cells may show individuals: of `[release]`, or of a
/// brand that has its own.
pub(super) fn check_few<T>(k: Option<u64>, release: &SectionReading<T>, cx: &mut Context<'_>) {
    if release.are_valid(&["k"]) && k.is_some_and(|k| k < FEW) {
        let (place, path) = release.location_of("k");
        let message = format!("cells of fewer than {FEW} contributors may show individuals");
        cx.warn(
            place,
            &path,
            message,
            "use 50 where people other than testers read the numbers",
        );
    }
}
