//! Who is counted once in a set, and what a conversion is credited to.

use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Day, Pseudonym, Record};

use crate::brand::Brand;
use crate::journeys::Conversion;
use crate::person::Person;
use crate::rules::{Model, receivers};
use crate::share::largest_remainder;

/// Who is counted once in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contributor {
    Person(Person),
    /// A record without identifier: its source and its id.
    Record(Label, Label),
    /// A device of a store and salt day, and whether its MAC is random.
    Device(Label, Pseudonym, Day, bool),
}

/// The contributor of a record.
pub(super) fn who(person: Option<Person>, record: &Record) -> Contributor {
    let alone = Contributor::Record(record.source, Label::of(&record.id));
    person.map_or(alone, Contributor::Person)
}

/// The credits of one conversion: channel, millionths of the conversion, and minor units.
pub(super) fn credits_of(
    model: Model,
    brand: &Brand,
    conversion: &Conversion,
) -> Vec<(Channel, i128, i128)> {
    let receivers = match (conversion.oversized, conversion.path.is_empty()) {
        (true, _) => vec![(Channel::oversized(), 1)],
        (false, true) => vec![(Channel::unattributed(), 1)],
        (false, false) => receivers(model, brand.settings, &conversion.path),
    };
    let weights: Vec<u128> = receivers.iter().map(|(_, weight)| *weight).collect();
    let millionths = largest_remainder(conversion.weight.unsigned_abs(), &weights);
    let values = largest_remainder(conversion.sale.left.unsigned_abs().into(), &weights);
    let shares = millionths.into_iter().zip(values);
    receivers
        .into_iter()
        .zip(shares)
        .map(|((channel, _), (millionths, value))| (channel, millionths as i128, value as i128))
        .collect()
}
