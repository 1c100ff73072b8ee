//! Taking a pattern over: one difference after the other, round after round, until none can be.

use std::collections::BTreeMap;

use super::name::Name;
use super::pattern::Names;

/// The pattern that `current` becomes on the way to `wanted`, where every step must be allowed.
pub(super) fn take_over(
    mut current: Names,
    wanted: &Names,
    is_allowed: impl Fn(&Names) -> bool,
) -> Names {
    loop {
        let before = current.clone();
        for difference in differences(&current, wanted) {
            let mut next = current.clone();
            for name in difference {
                if !next.remove(&name) {
                    next.insert(name);
                }
            }
            if is_allowed(&next) {
                current = next;
            }
        }
        if current == before {
            return current;
        }
    }
}

/// What one pattern has and the other has not, in the order of names; the days of a channel are one difference.
fn differences(current: &Names, wanted: &Names) -> Vec<Vec<Name>> {
    let mut steps: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for name in current.symmetric_difference(wanted) {
        let step = match name {
            Name::ChannelDay(source, medium, campaign, _) => {
                Name::ChannelDay(source.clone(), medium.clone(), campaign.clone(), 0)
            }
            other => other.clone(),
        };
        steps.entry(step).or_default().push(name.clone());
    }
    steps.into_values().collect()
}
