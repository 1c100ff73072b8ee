//! Linear programming in integers: between which bounds does a number lie that is not determined?
//!
//! The simplex method with the rule of Bland (1977), which ends on every input, on a tableau of integers with one common
//! denominator (Edmonds 1967): every entry is a subdeterminant of the equations, so that all divisions are exact and no
//! rounding decides what a reader can find out.

/// The nonnegative solutions of equations, at one of their corners.
pub struct Polytope {
    /// One row for each basic variable; the last column is the right side.
    rows: Vec<Vec<i128>>,
    basic: Vec<usize>,
    denominator: i128,
    variables: usize,
}

impl Polytope {
    /// The solutions of `rows`, each with its right side last. They must have a nonnegative solution.
    pub fn of(variables: usize, equations: Vec<Vec<i128>>) -> Polytope {
        let count = equations.len();
        let rows = equations.into_iter().enumerate().map(|(at, mut row)| {
            let sum = row.pop().expect("a right side");
            let sign = if sum < 0 { -1 } else { 1 };
            row.iter_mut().for_each(|x| *x *= sign);
            // An artificial variable for each equation makes a first corner.
            row.extend((0..count).map(|of| i128::from(of == at)));
            row.push(sum * sign);
            row
        });
        let mut polytope = Polytope {
            rows: rows.collect(),
            basic: (variables..variables + count).collect(),
            denominator: 1,
            variables: variables + count,
        };
        let artificial: Vec<(usize, i128)> =
            (variables..variables + count).map(|at| (at, -1)).collect();
        polytope.maximize(&artificial, |_| false);
        assert_eq!(polytope.value(&artificial), (0, polytope.denominator));
        // What is artificial still, and zero, leaves the basis. An equation of nothing else follows from the others.
        for row in 0..count {
            if polytope.basic[row] >= variables
                && let Some(column) = (0..variables).find(|at| polytope.rows[row][*at] != 0)
            {
                polytope.pivot(row, column);
            }
        }
        let keep: Vec<bool> = polytope.basic.iter().map(|of| *of < variables).collect();
        let mut kept = keep.iter();
        polytope.rows.retain(|_| *kept.next().expect("a row"));
        polytope.basic.retain(|of| *of < variables);
        for row in &mut polytope.rows {
            row.drain(variables..variables + count);
        }
        polytope.variables = variables;
        polytope
    }

    /// A linear function at the current corner, as a fraction.
    pub fn value(&self, function: &[(usize, i128)]) -> (i128, i128) {
        let sum = function.iter().map(|(variable, times)| {
            let row = self.basic.iter().position(|of| of == variable);
            row.map_or(0, |row| times * self.rows[row][self.variables])
        });
        (sum.sum(), self.denominator)
    }

    /// Moves to corners with ever larger values of a linear function until one is the largest, or `is_enough` says so of
    /// a corner. The function must be bounded.
    pub fn maximize(
        &mut self,
        function: &[(usize, i128)],
        mut is_enough: impl FnMut(&Polytope) -> bool,
    ) {
        while !is_enough(self) {
            let Some(column) = self.improving(function) else {
                return;
            };
            let ratios = self.rows.iter().zip(&self.basic).enumerate();
            let ratios = ratios.filter(|(_, (row, _))| row[column] > 0);
            let leaving = ratios.min_by(|(_, (a, of_a)), (_, (b, of_b))| {
                let left = a[self.variables] * b[column];
                let right = b[self.variables] * a[column];
                left.cmp(&right).then(of_a.cmp(of_b))
            });
            let (row, _) = leaving.expect("a bounded function");
            self.pivot(row, column);
        }
    }

    /// The first variable whose growth makes the function grow.
    fn improving(&self, function: &[(usize, i128)]) -> Option<usize> {
        let mut gains = vec![0; self.variables];
        for (variable, times) in function {
            gains[*variable] += times * self.denominator;
            if let Some(row) = self.basic.iter().position(|of| of == variable) {
                for (gain, x) in gains.iter_mut().zip(&self.rows[row]) {
                    *gain -= times * x;
                }
            }
        }
        gains.iter().position(|gain| *gain > 0)
    }

    fn pivot(&mut self, row: usize, column: usize) {
        if self.rows[row][column] < 0 {
            self.rows[row].iter_mut().for_each(|x| *x = -*x);
        }
        let pivot = self.rows[row].clone();
        let others = self.rows.iter_mut().enumerate();
        for (_, other) in others.filter(|(at, _)| *at != row) {
            let factor = other[column];
            for (x, p) in other.iter_mut().zip(&pivot) {
                if factor != 0 && *p != 0 {
                    *x = (*x * pivot[column] - factor * *p) / self.denominator;
                } else if *x != 0 {
                    *x = *x * pivot[column] / self.denominator;
                }
            }
        }
        self.denominator = pivot[column];
        self.basic[row] = column;
    }
}

#[test]
fn bounds_of_a_small_table() {
    // Rows sum to 3 and 4, columns to 5 and 2; the last equation follows from the others.
    let equations = vec![
        vec![1, 1, 0, 0, 3],
        vec![0, 0, 1, 1, 4],
        vec![1, 0, 1, 0, 5],
        vec![0, 1, 0, 1, 2],
    ];
    let mut table = Polytope::of(4, equations);
    let mut largest = |function: &[(usize, i128)]| {
        table.maximize(function, |_| false);
        let (value, denominator) = table.value(function);
        assert_eq!(value % denominator, 0);
        value / denominator
    };
    assert_eq!(largest(&[(0, 1)]), 3);
    assert_eq!(largest(&[(0, -1)]), -1);
    assert_eq!(largest(&[(0, 2), (3, 1)]), 8);
    assert_eq!(largest(&[(1, 1)]), 2);
}
