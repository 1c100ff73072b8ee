//! The identifiers of one record, as they are gathered.
//!
//! Blocked values and numbers that are none leave no trace; what is left is counted by value, not by hash,
//! since one value gives as many hashes as the brand enables rules.

use tributary_operators::record::{IdKind, IdSet, Identifier};

use super::fields::Field;
use super::line::Line;
use super::reader::FieldResult;
use crate::dead_letter::{Reason, Refusal};
use crate::keys::MAX_IDENTIFIER;

/// The most values that may identify in one record.
pub const MAX_VALUES: usize = 16;

/// What a record names so far.
#[derive(Debug, Default)]
pub struct Identifiers {
    ids: Vec<Identifier>,
    values: usize,
}

impl Identifiers {
    /// The values of the fields, each under its kind.
    pub fn read(line: &mut Line<'_, '_>, fields: &[(Field, IdKind)]) -> FieldResult<Identifiers> {
        let mut found = Identifiers::default();
        for &(field, kind) in fields {
            let (key, reading) = (&line.brand.key, line.source.rules);
            let Some(text) = line.reader.clear(field, MAX_IDENTIFIER)? else {
                continue;
            };
            let named = key.identifiers(kind, &text, reading, line.scratch, &mut found.ids);
            found.count(named)?;
        }
        Ok(found)
    }

    /// First name, last name and postcode, which identify together where the brand says so. Each is read
    /// even where they do not: whether its type is right does not depend on the configuration.
    pub fn read_name(&mut self, line: &mut Line<'_, '_>) -> FieldResult<()> {
        let part = |field| line.reader.clear(field, MAX_IDENTIFIER);
        let first = part(Field::FirstName)?;
        let last = part(Field::LastName)?;
        let postcode = part(Field::Postcode)?;
        let (Some(first), Some(last), Some(postcode)) = (first, last, postcode) else {
            return Ok(());
        };
        if line.brand.name_postcode {
            let parts = [&*first, &*last, &*postcode];
            let key = &line.brand.key;
            let named = key.name_postcode(parts, line.scratch, &mut self.ids);
            self.count(named)?;
        }
        Ok(())
    }

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

    /// The set of them.
    pub fn set(self) -> IdSet {
        IdSet::new(self.ids)
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
