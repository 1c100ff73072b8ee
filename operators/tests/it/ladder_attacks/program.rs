//! An integer programme: is any plain sum of fields determined that too few contributors stand behind?
//!
//! A sum is a vector of zeros and ones over the fields. The determined combinations form a space, so that the question
//! is whether the space holds a vector of zeros and ones whose ones touch at least one contributor and fewer than `k`.
//! Branch and bound decides it. Contributors are left out or taken in one after the other: all fields of somebody who is
//! left out are 0, which leaves little of the space, and fewer than `k` are taken in. Among those who are taken in, fields
//! become 0 or 1 one after the other, until what follows for the others is no such vector.

use std::collections::BTreeMap;

use crate::ladder_attacks::linear::{Space, add_multiple, divide, subtract};

/// Contributors as bits.
pub type People = u128;

/// The coordinates of a vector of zeros and ones in the space behind which at least one contributor and fewer than `k`
/// stand, if there is any. `people` are the contributors behind each coordinate.
pub fn find_small_sum(space: &Space, people: &[People], k: u64) -> Option<Vec<usize>> {
    let classes = space.equal_coordinates();
    let union = |class: &Vec<usize>| class.iter().fold(0, |all, at| all | people[*at]);
    let classes: Vec<(People, Vec<usize>)> =
        classes.into_iter().map(|of| (union(&of), of)).collect();
    let project = |row: &Vec<u64>| classes.iter().map(|(_, of)| row[of[0]]).collect();
    let search = Search {
        people: classes.iter().map(|(people, _)| *people).collect(),
        k,
    };
    let all = Family {
        point: vec![0; classes.len()],
        directions: space.basis().iter().map(project).collect(),
    };
    let found = search.choose(all, 0, 0)?;
    let ones = classes.into_iter().zip(found).filter(|(_, x)| *x == 1);
    Some(ones.flat_map(|((_, of), _)| of).collect())
}

/// The vectors that are still possible: a point and all directions in which it can move.
#[derive(Clone)]
struct Family {
    point: Vec<u64>,
    directions: Vec<Vec<u64>>,
}

impl Family {
    fn is_decided(&self, at: usize) -> bool {
        self.directions.iter().all(|direction| direction[at] == 0)
    }

    /// Those with a number at an undecided coordinate.
    fn with(&self, at: usize, number: u64) -> Family {
        let mut family = self.clone();
        let Some(moving) = family.directions.iter().position(|of| of[at] != 0) else {
            return family;
        };
        let moving = family.directions.swap_remove(moving);
        let distance = divide(subtract(number, family.point[at]), moving[at]);
        add_multiple(&mut family.point, distance, &moving);
        for direction in &mut family.directions {
            let distance = divide(subtract(0, direction[at]), moving[at]);
            add_multiple(direction, distance, &moving);
        }
        family
    }
}

impl Family {
    /// The coordinates that are not decided, grouped by what moves in proportion.
    fn proportional(&self) -> Vec<Vec<usize>> {
        let mut groups = BTreeMap::<Vec<u64>, Vec<usize>>::new();
        for at in (0..self.point.len()).filter(|at| !self.is_decided(*at)) {
            let mut column: Vec<u64> = self.directions.iter().map(|of| of[at]).collect();
            let first = column.iter().copied().find(|x| *x != 0).unwrap_or(1);
            let mut scaled = vec![0; column.len()];
            add_multiple(&mut scaled, divide(1, first), &column);
            std::mem::swap(&mut column, &mut scaled);
            groups.entry(column).or_default().push(at);
        }
        groups.into_values().collect()
    }

    /// Whether a number at the first coordinate of a group lets all of it be 0 or 1.
    fn is_possible(&self, group: &[usize], number: u64) -> bool {
        let first = group[0];
        let moving = self.directions.iter().find(|of| of[first] != 0);
        let moving = moving.expect("a coordinate that is not decided");
        let distance = divide(subtract(number, self.point[first]), moving[first]);
        group.iter().all(|at| {
            let mut there = [self.point[*at]];
            add_multiple(&mut there, distance, &moving[*at..=*at]);
            there[0] <= 1
        })
    }
}

struct Search {
    people: Vec<People>,
    k: u64,
}

impl Search {
    /// The contributors behind the ones of the vectors of a family; `None` if they are not zeros and ones.
    fn ones(&self, family: &Family) -> Option<People> {
        let mut people: People = 0;
        for (at, number) in family.point.iter().enumerate() {
            if family.is_decided(at) {
                match number {
                    0 => {}
                    1 => people |= self.people[at],
                    _ => return None,
                }
            }
        }
        Some(people)
    }

    /// The contributors behind what is not decided.
    fn open(&self, family: &Family) -> People {
        let all = self.people.iter().enumerate();
        let open = all.filter(|(at, _)| !family.is_decided(*at));
        open.fold(0, |open, (_, people)| open | people)
    }

    /// Chooses among the contributors that are neither left out nor taken in.
    fn choose(&self, family: Family, taken: People, left_out: People) -> Option<Vec<u64>> {
        let taken = taken | self.ones(&family)?;
        if taken & left_out != 0 || u64::from(taken.count_ones()) >= self.k {
            return None;
        }
        let undecided = self.open(&family) & !taken;
        // Without anybody, and with nobody to come, nothing is left to be found.
        if undecided == 0 {
            return if taken == 0 { None } else { self.find(family) };
        }
        let is_full = u64::from(taken.count_ones()) + 1 >= self.k;
        let next = match is_full {
            true => undecided,
            false => undecided & undecided.wrapping_neg(),
        };
        let mut without = family.clone();
        for (at, people) in self.people.iter().enumerate() {
            if people & next != 0 && !without.is_decided(at) {
                without = without.with(at, 0);
            }
        }
        let found = self.choose(without, taken, left_out | next);
        found.or_else(|| match is_full {
            true => None,
            false => self.choose(family, taken | next, left_out),
        })
    }

    /// A vector of zeros and ones with at least one contributor, of a family whose contributors are all taken in.
    ///
    /// Coordinates that move in proportion follow from one of them. Where only one of its numbers lets all of them be 0 or
    /// 1 it is taken at once; otherwise the one that most follow from is tried.
    fn find(&self, mut family: Family) -> Option<Vec<u64>> {
        loop {
            let people = self.ones(&family)?;
            let groups = family.proportional();
            if people == 0 && groups.iter().flatten().all(|at| self.people[*at] == 0) {
                return None;
            }
            let Some(largest) = groups.iter().max_by_key(|group| group.len()) else {
                return Some(family.point);
            };
            let mut forced = None;
            for group in &groups {
                let allowed = |number: &u64| family.is_possible(group, *number);
                match [0, 1].iter().copied().filter(allowed).collect::<Vec<_>>()[..] {
                    [] => return None,
                    [number] => forced = forced.or(Some((group[0], number))),
                    _ => {}
                }
            }
            let Some((at, number)) = forced else {
                let mut numbers = [1, 0].into_iter();
                return numbers.find_map(|number| self.find(family.with(largest[0], number)));
            };
            family = family.with(at, number);
        }
    }
}

#[test]
fn unions_of_rows_and_columns_are_found() {
    use crate::ladder_attacks::linear::element;
    let vector = |numbers: [i64; 6]| numbers.map(element).to_vec();
    // Two rows of three fields each.
    let sums = [
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 1],
        [1, 0, 0, 1, 0, 0],
        [0, 1, 0, 0, 1, 0],
    ];
    let space = Space::spanned_by(sums.map(vector));
    let people = [1, 2, 4, 8, 16, 0];
    let found = find_small_sum(&space, &people, 2).expect("the rest of the columns");
    assert_eq!(found, [2, 5]);
    let people = [1, 2, 4, 8, 16, 32];
    assert_eq!(find_small_sum(&space, &people, 2), None);
    assert!(find_small_sum(&space, &people, 3).is_some());
}

/// The definition, by trying every vector of zeros and ones.
#[test]
fn the_search_finds_what_trying_everything_finds() {
    use crate::ladder_attacks::linear::element;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    let (mut found, mut absent) = (0, 0);
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (width, k) = (rng.random_range(3..9), rng.random_range(2..4));
        let vectors = (0..rng.random_range(1..6)).map(|_| {
            let numbers = (0..width).map(|_| element(rng.random_range(0..5) / 3));
            numbers.collect::<Vec<u64>>()
        });
        let space = Space::spanned_by(vectors.collect::<Vec<_>>());
        let people: Vec<People> = (0..width).map(|_| rng.random_range(0..32)).collect();
        let is_small = |bits: u32| {
            let vector = (0..width).map(|at| u64::from(bits >> at & 1));
            let ones = (0..width).filter(|at| bits >> at & 1 == 1);
            let behind = ones.fold(0, |all, at| all | people[at]).count_ones();
            let is_inside = space.reduce(vector.collect()).iter().all(|x| *x == 0);
            is_inside && (1..k).contains(&u64::from(behind))
        };
        let expected = (1..1u32 << width).any(is_small);
        let sum = find_small_sum(&space, &people, k);
        assert_eq!(sum.is_some(), expected, "seed {seed}: {sum:?}");
        let bits = sum.iter().flatten().fold(0, |bits, at| bits | 1 << at);
        assert!(sum.is_none() || is_small(bits), "seed {seed}: {sum:?}");
        *(if expected { &mut found } else { &mut absent }) += 1;
    }
    assert!(found > 30 && absent > 30, "{found} found, {absent} absent");
}
