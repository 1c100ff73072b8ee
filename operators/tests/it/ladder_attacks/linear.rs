//! Linear algebra over a prime field: which linear combinations follow from others.
//!
//! The numbers that a reader has are linear combinations of the numbers that he does not have. Another combination is
//! determined if and only if its coefficients lie in the space that theirs span. All coefficients are small integers, so
//! that a rank over a field of 2^61 - 1 elements is the rank over the rationals: a minor that is a multiple of the prime
//! without being zero does not occur in practice, and could only make the reader stronger.

/// The order of the field, a Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;

/// An element of the field for an integer.
pub fn element(number: i64) -> u64 {
    number.rem_euclid(PRIME as i64) as u64
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let folded = (product & u128::from(PRIME)) as u64 + (product >> 61) as u64;
    folded.checked_sub(PRIME).unwrap_or(folded)
}

fn add(a: u64, b: u64) -> u64 {
    (a + b).checked_sub(PRIME).unwrap_or(a + b)
}

fn negate(a: u64) -> u64 {
    (PRIME - a) % PRIME
}

/// The difference of two elements.
pub fn subtract(a: u64, b: u64) -> u64 {
    add(a, negate(b))
}

/// The quotient of two elements, of which the second is not zero.
pub fn divide(a: u64, b: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (a, b, PRIME - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    result
}

/// Adds a multiple of one vector to another.
pub fn add_multiple(vector: &mut [u64], factor: u64, of: &[u64]) {
    if factor != 0 {
        for (at, x) in vector.iter_mut().zip(of).filter(|(_, x)| **x != 0) {
            *at = add(*at, multiply(factor, *x));
        }
    }
}

/// A space of vectors, by its basis in reduced row echelon form: every basis vector has a 1 at its pivot, where all
/// others have a 0.
#[derive(Clone, Debug, Default)]
pub struct Space {
    basis: Vec<Vec<u64>>,
    pivots: Vec<usize>,
}

impl Space {
    /// The space that vectors span.
    pub fn spanned_by(vectors: impl IntoIterator<Item = Vec<u64>>) -> Space {
        let mut space = Space::default();
        for vector in vectors {
            space.insert(vector);
        }
        space
    }

    /// The combinations of the vectors that come to zero, as vectors of factors.
    pub fn relations(vectors: &[Vec<u64>]) -> Space {
        let width = vectors.first().map_or(0, Vec::len);
        let rows = vectors.iter().enumerate().map(|(at, vector)| {
            let mut row = vector.clone();
            row.resize(width + vectors.len(), 0);
            row[width + at] = 1;
            row
        });
        let all = Space::spanned_by(rows);
        let zero = all.pivots.iter().zip(&all.basis);
        let zero = zero.filter(|(pivot, _)| **pivot >= width);
        let (pivots, basis) = zero
            .map(|(pivot, row)| (pivot - width, row[width..].to_vec()))
            .unzip();
        Space { basis, pivots }
    }

    /// The basis.
    pub fn basis(&self) -> &[Vec<u64>] {
        &self.basis
    }

    /// What is left of a vector without its part in the space: zero if it is in the space.
    pub fn reduce(&self, mut vector: Vec<u64>) -> Vec<u64> {
        for (pivot, row) in self.pivots.iter().zip(&self.basis) {
            let factor = negate(vector[*pivot]);
            add_multiple(&mut vector, factor, row);
        }
        vector
    }

    fn insert(&mut self, vector: Vec<u64>) {
        let mut vector = self.reduce(vector);
        let Some(pivot) = vector.iter().position(|x| *x != 0) else {
            return;
        };
        let inverse = divide(1, vector[pivot]);
        for x in vector.iter_mut().filter(|x| **x != 0) {
            *x = multiply(*x, inverse);
        }
        for row in &mut self.basis {
            let factor = negate(row[pivot]);
            add_multiple(row, factor, &vector);
        }
        self.basis.push(vector);
        self.pivots.push(pivot);
    }

    /// The coordinates that are one and the same number in every vector of the space, grouped; those that are always
    /// zero are left out.
    pub fn equal_coordinates(&self) -> Vec<Vec<usize>> {
        let width = self.basis.first().map_or(0, Vec::len);
        let mut groups = std::collections::BTreeMap::<Vec<u64>, Vec<usize>>::new();
        for at in 0..width {
            let column: Vec<u64> = self.basis.iter().map(|row| row[at]).collect();
            if column.iter().any(|x| *x != 0) {
                groups.entry(column).or_default().push(at);
            }
        }
        groups.into_values().collect()
    }

    /// The coordinates whose unit vector is in the space.
    pub fn unit_coordinates(&self) -> impl Iterator<Item = usize> {
        let rows = self.pivots.iter().zip(&self.basis);
        // The first entry of a unit vector is its pivot, and no other basis vector has part in it.
        let alone = rows.filter(|(_, row)| row.iter().filter(|x| **x != 0).count() == 1);
        alone.map(|(pivot, _)| *pivot)
    }
}

#[test]
fn spaces_know_their_vectors() {
    let vector = |numbers: &[i64]| numbers.iter().map(|x| element(*x)).collect::<Vec<u64>>();
    // Two rows and two columns of a table of four fields.
    let sums = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]];
    let sums = sums.map(|sum| vector(&sum));
    let space = Space::spanned_by(sums.to_vec());
    assert_eq!(space.basis().len(), 3);
    assert!(space.reduce(vector(&[1, 0, 0, -1])).iter().all(|x| *x == 0));
    assert!(space.reduce(vector(&[1, 0, 0, 0])).iter().any(|x| *x != 0));
    assert_eq!(space.unit_coordinates().count(), 0);
    let relations = Space::relations(&sums);
    assert_eq!(relations.basis().len(), 1);
    assert_eq!(
        relations.equal_coordinates().len(),
        2,
        "rows against columns"
    );
    let more = Space::spanned_by(sums.into_iter().chain([vector(&[0, 0, 2, 0])]));
    assert_eq!(more.unit_coordinates().count(), 4);
    assert_eq!(divide(element(6), element(-3)), element(-2));
}
