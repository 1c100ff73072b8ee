//! Which changes of a release gate a running process takes: those that hide more.
//!
//! | setting | hides more if it is | and otherwise the same |
//! |---|---|---|
//! | `k` | raised, from 2 on | with 1 other cells are published |
//! | `k_traffic` | raised, from 2 on | with 1 a random address of a device is a contributor |
//! | `k_delta` | raised | |
//! | `dominance` | lowered | |
//! | `max_hold` | raised | |
//!
//! What they publish less is withdrawn by the dataflow. Any other change would publish
//! something by a rule under which it was not collected, or draw other noise.

use tributary_config::model::{Config, Release};

/// Whether the second of two gates has a value that hides no less than that of the first.
type HidesNoLess = fn(&Release, &Release) -> bool;

/// Judges a change of a setting of `[release]`, or of a brand's own gate: why it is
/// refused, if it is. `None` for any other setting.
pub(super) fn judge(
    path: &str,
    before: &Config,
    after: &Config,
) -> Option<Result<(), &'static str>> {
    let hides_no_less = rule(path)?;
    for brand in &before.brands {
        let then = before.release_of(&brand.name);
        let now = after.release_of(&brand.name);
        if thresholds(&then) == thresholds(&now) {
            continue;
        }
        if then.k <= 1 {
            return Some(Err("because a gate with k = 1 publishes other cells"));
        }
        if brand.noise.epsilon_thousandths.is_some() {
            return Some(Err(
                "because the noise of what is published would be drawn for other values",
            ));
        }
        if !hides_no_less(&then, &now) {
            return Some(Err(
                "because only a gate that hides more is taken without one",
            ));
        }
    }
    Some(Ok(()))
}

/// What this judges of a gate.
fn thresholds(of: &Release) -> [u64; 5] {
    [of.k, of.k_traffic, of.k_delta, of.dominance, of.max_hold_ms]
}

/// How to compare two values of a setting.
fn rule(path: &str) -> Option<HidesNoLess> {
    let setting = match path.strip_prefix("brand.") {
        Some(path) => path.split_once('.')?.1,
        None => path,
    };
    match setting.strip_prefix("release.")? {
        "k" => Some(|then, now| now.k >= then.k),
        "k_traffic" => Some(|then, now| {
            let raised = then.k_traffic > 1 && now.k_traffic > then.k_traffic;
            now.k_traffic == then.k_traffic || raised
        }),
        "k_delta" => Some(|then, now| now.k_delta >= then.k_delta),
        "dominance" => Some(|then, now| now.dominance <= then.dominance),
        "max_hold" => Some(|then, now| now.max_hold_ms >= then.max_hold_ms),
        _ => None,
    }
}
