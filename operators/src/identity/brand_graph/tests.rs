//! Tests of the brand graph: who is one person, and which facts move.

use super::*;
use crate::record::{IdKind, Identifier};

fn set(ids: &[u128]) -> IdSet {
    let id = |id: &u128| Identifier {
        pseudonym: *id,
        value: *id,
        kind: IdKind::Cookie,
    };
    IdSet::new(ids.iter().map(id).collect())
}

/// Applies sets and facts, and updates which facts belong to which person. Returns the number of assignments and retractions.
fn apply_epoch(
    graph: &mut BrandGraph,
    sets: &[(&[u128], Diff, i64)],
    persons: &mut FxHashMap<u128, Person>,
) -> usize {
    let mut changes = Changes::default();
    for (ids, diff, facts) in sets {
        let set = set(ids);
        changes.facts.push((set.key(), *facts));
        changes.sets.extend((*diff != 0).then_some((set, *diff)));
    }
    let mut out = Vec::new();
    let settings = BrandSettings::default();
    graph.apply_epoch(BrandId(0), &settings, changes, &mut out);
    out.sort_by_key(|(_, diff)| *diff);
    let mut moved = 0;
    for (update, diff) in out {
        if let GraphOut::Assigned { set, person, .. } = update {
            moved += 1;
            match diff > 0 {
                true => drop(persons.insert(set, person)),
                false => assert_eq!(persons.remove(&set), Some(person)),
            }
        }
    }
    moved
}

#[test]
fn facts_stay_where_there_are_more() {
    let (mut graph, mut persons) = (BrandGraph::default(), FxHashMap::default());
    let few: &[(&[u128], Diff, i64)] = &[(&[2], 1, 5), (&[2, 3], 1, 0), (&[3, 4], 1, 0)];
    apply_epoch(&mut graph, &[(&[1], 1, 1_000)], &mut persons);
    apply_epoch(&mut graph, few, &mut persons);
    assert_eq!(persons.len(), 2, "only what has facts has a person");
    let much = persons[&set(&[1]).key()];
    for _ in 0..3 {
        let moved = apply_epoch(&mut graph, &[(&[1, 4], 1, 0)], &mut persons);
        assert_eq!((moved, persons[&set(&[2]).key()]), (2, much));
        let moved = apply_epoch(&mut graph, &[(&[1, 4], -1, 0)], &mut persons);
        assert_eq!((moved, persons[&set(&[1]).key()]), (2, much));
    }
    let all: Vec<_> = few
        .iter()
        .map(|(ids, _, facts)| (*ids, -1, -facts))
        .collect();
    apply_epoch(&mut graph, &all, &mut persons);
    apply_epoch(&mut graph, &[(&[1], -1, -1_000)], &mut persons);
    assert!(graph.entries() == 0 && persons.is_empty());
    assert!(graph.published.is_zero());
}

#[test]
fn a_hub_comes_and_goes_and_leaves_nothing() {
    let (mut graph, mut persons) = (BrandGraph::default(), FxHashMap::default());
    // A cookie may stand beside ten others.
    for other in 2..=13 {
        apply_epoch(&mut graph, &[(&[1, other], 1, 1)], &mut persons);
        let distinct: FxHashSet<Person> = persons.values().copied().collect();
        assert_eq!(
            distinct.len(),
            if other <= 11 { 1 } else { other as usize - 1 }
        );
    }
    for other in (2..=13).rev() {
        apply_epoch(&mut graph, &[(&[1, other], -1, -1)], &mut persons);
    }
    assert!(graph.entries() == 0 && persons.is_empty());
}
