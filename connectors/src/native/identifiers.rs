//! The identifiers of one record.
//!
//! Blocked values and texts that are no phone number leave no trace. The rest
//! is counted by value, not by pseudonym, because one value has as many
//! pseudonyms as the brand enables rules.

use tributary_operators::record::{IdKind, IdSet, Identifier};

use super::fields::Field;
use super::line::Line;
use super::reader::{ClearText, FieldResult};
use crate::dead_letter::{Reason, Refusal};
use crate::keys::MAX_IDENTIFIER;

/// The maximum number of values that identify in one record.
pub const MAX_VALUES: usize = 16;

/// The fields that may list several values.
const LISTS: [Field; 5] = [
    Field::Email,
    Field::Phone,
    Field::Customer,
    Field::Device,
    Field::ClickId,
];

/// The identifiers that a record names so far.
#[derive(Debug, Default)]
pub struct Identifiers {
    /// All pseudonyms of all values.
    ids: Vec<Identifier>,
    /// The number of values that identify.
    values: usize,
    /// Whether an e-mail address hides another one.
    is_relayed: bool,
}

impl Identifiers {
    /// Reads fields, each as an identifier of its kind.
    ///
    /// # Errors
    /// `wrong_type`, `text_too_long`, and `too_many_identifiers` beyond
    /// [`MAX_VALUES`].
    pub fn read(line: &mut Line<'_, '_>, fields: &[(Field, IdKind)]) -> FieldResult<Identifiers> {
        let mut found = Identifiers {
            ids: std::mem::take(&mut line.scratch.ids),
            ..Identifiers::default()
        };
        for &(field, kind) in fields {
            let reader = line.reader;
            if !reader.is_present(field) {
                continue;
            }
            let mut add = |text: ClearText<'_>| found.add(line, kind, &text);
            match LISTS.contains(&field) {
                true => reader.each_clear(field, MAX_IDENTIFIER, add)?,
                false => reader
                    .clear(field, MAX_IDENTIFIER)?
                    .map_or(Ok(()), &mut add)?,
            }
        }
        Ok(found)
    }

    /// Adds one value as an identifier of a kind.
    ///
    /// # Errors
    /// `too_many_identifiers`.
    pub fn add(&mut self, line: &mut Line<'_, '_>, kind: IdKind, text: &str) -> FieldResult<()> {
        let (key, reading) = (&line.brand.key, line.source.rules);
        let before = line.scratch.emails().relayed;
        let named = key.identifiers(kind, text, reading, line.scratch, &mut self.ids);
        self.is_relayed |= line.scratch.emails().relayed > before;
        self.count(named)
    }

    /// Reads first name, last name and postcode, which identify together if the
    /// brand enables it and no e-mail address of the record hides another one: who
    /// hides their address does not want to be found by their name. To be called
    /// after the addresses are read. They are parsed even if it does not: whether their
    /// types are valid does not depend on the configuration.
    ///
    /// # Errors
    /// As [`Identifiers::read`].
    pub fn read_name(&mut self, line: &mut Line<'_, '_>) -> FieldResult<()> {
        let part = |field| line.reader.clear(field, MAX_IDENTIFIER);
        let first = part(Field::FirstName)?;
        let last = part(Field::LastName)?;
        let postcode = part(Field::Postcode)?;
        let (Some(first), Some(last), Some(postcode)) = (first, last, postcode) else {
            return Ok(());
        };
        if line.brand.name_postcode && !self.is_relayed {
            let parts = [&*first, &*last, &*postcode];
            let key = &line.brand.key;
            let named = key.name_postcode(parts, line.scratch, &mut self.ids);
            self.count(named)?;
        }
        Ok(())
    }

    /// Counts a value if it identifies.
    fn count(&mut self, named: bool) -> FieldResult<()> {
        self.values += usize::from(named);
        match self.values > MAX_VALUES {
            false => Ok(()),
            true => Err(Refusal::new(
                Reason::TooManyIdentifiers,
                format!("the record has more than {MAX_VALUES} identifiers"),
            )),
        }
    }

    /// The identifiers as a set; their buffer is for the next record.
    pub fn set(mut self, line: &mut Line<'_, '_>) -> IdSet {
        let set = IdSet::drain(&mut self.ids);
        line.scratch.ids = self.ids;
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_values_are_enough() {
        let mut found = Identifiers::default();
        for _ in 0..MAX_VALUES {
            found.count(true).unwrap();
            found.count(false).unwrap();
        }
        let refusal = found.count(true).unwrap_err();
        assert_eq!(refusal.reason, Reason::TooManyIdentifiers);
    }
}
