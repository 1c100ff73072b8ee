//! An integer programme: is any plain sum of fields determined that too few contributors stand behind?
//!
//! A sum is a vector of zeros and ones over the fields. The determined combinations form a space, so that the question
//! is whether the space holds a vector of zeros and ones whose ones touch at least one contributor and fewer than `k`.
//! Branch and bound decides it: fields become 0 or 1 one after the other, those with contributors first, until what
//! follows for the others is no such vector or touches too many.

use crate::ladder_attacks::linear::{Space, add_multiple, divide, subtract};

/// Contributors as bits.
pub type People = u128;

/// The coordinates of a vector of zeros and ones in the space behind which at least one contributor and fewer than `k`
/// stand, if there is any. `people` are the contributors behind each coordinate.
pub fn find_small_sum(space: &Space, people: &[People], k: u64) -> Option<Vec<usize>> {
    let classes = space.equal_coordinates();
    let union = |class: &Vec<usize>| class.iter().fold(0, |all, at| all | people[*at]);
    let mut classes: Vec<(People, Vec<usize>)> =
        classes.into_iter().map(|of| (union(&of), of)).collect();
    // Who is alone decides most.
    classes.sort_by_key(|(people, _)| match people.count_ones() {
        0 => u32::MAX,
        count => count,
    });
    let project = |row: &Vec<u64>| classes.iter().map(|(_, of)| row[of[0]]).collect();
    let search = Search {
        people: classes.iter().map(|(people, _)| *people).collect(),
        k,
    };
    let all = Family {
        point: vec![0; classes.len()],
        directions: space.basis().iter().map(project).collect(),
    };
    let found = search.find(all)?;
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

struct Search {
    people: Vec<People>,
    k: u64,
}

impl Search {
    fn find(&self, family: Family) -> Option<Vec<u64>> {
        let mut people: People = 0;
        let mut undecided = None;
        for (at, number) in family.point.iter().enumerate() {
            if !family.is_decided(at) {
                undecided = undecided.or(Some(at));
            } else if *number > 1 {
                return None;
            } else if *number == 1 {
                people |= self.people[at];
            }
        }
        if u64::from(people.count_ones()) >= self.k {
            return None;
        }
        match undecided {
            None => (people != 0).then_some(family.point),
            // Those with contributors come first: here only empty ones are left.
            Some(at) if self.people[at] == 0 && people == 0 => None,
            Some(at) => [1, 0]
                .into_iter()
                .find_map(|number| self.find(family.with(at, number))),
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
