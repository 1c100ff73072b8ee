//! Several brands in one trace, as one input stream carries them.
//!
//! Each brand is a [`World`] of its own, with its own customers. Their lines are merged by time of
//! arrival; at the same time the brand that was given first comes first, so the trace is as
//! reproducible as those of its worlds.

use std::iter::Peekable;

use crate::line::Line;
use crate::options::{Options, OptionsError};
use crate::world::World;

/// The lines of several worlds in order of arrival.
pub struct Merged {
    /// The worlds, in the order in which they were given.
    worlds: Vec<Peekable<World>>,
}

/// Merges the traces of several brands. A brand that ends before the others is then silent.
///
/// # Errors
///
/// Options that do not define a world.
///
/// ```
/// use tributary_simulate::{Options, merged};
///
/// let first = Options { days: Some(2), persons: Some(100), ..Options::default() };
/// let trace: Vec<_> = merged([first.clone(), Options::second(&first)])?.collect();
/// assert!(trace.is_sorted_by_key(|line| line.at));
/// assert!(trace.iter().any(|line| line.subject.starts_with("tributary.in.willow.")));
/// # Ok::<(), tributary_simulate::OptionsError>(())
/// ```
pub fn merged(brands: impl IntoIterator<Item = Options>) -> Result<Merged, OptionsError> {
    let worlds = brands
        .into_iter()
        .map(|options| World::new(options).map(Iterator::peekable));
    let worlds = worlds.collect::<Result<_, _>>()?;
    Ok(Merged { worlds })
}

impl Iterator for Merged {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let heads = self.worlds.iter_mut().enumerate();
        let heads = heads.filter_map(|(index, world)| Some((world.peek()?.at, index)));
        let (_, index) = heads.min()?;
        self.worlds.get_mut(index)?.next()
    }
}
