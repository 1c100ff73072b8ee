//! Answers of the policy filter, the only operator that keeps the contents of records.
//!
//! A question about one identifier set reads the records of that set; [`crate::consent_state`] knows which sets contain an
//! identifier. Records that are excluded by a policy are part of the answer: access to personal data does not depend on their
//! use. The question of a retention pass for all expired records scans a brand, unless the oldest record of each category shows
//! that nothing can have expired ([`EarliestHeld`]).

use crate::ask::{Question, Reply, RoutedQuestion};
use crate::engine::QueryOperator;
use crate::horizons::{EarliestHeld, Horizons, is_interaction};
use crate::id_sets::packed_records::{Part, key_of};
use crate::policy_filter::{PolicyFilter, unpack_free};
use crate::record::BrandId;

impl QueryOperator for PolicyFilter {
    type Question = Question;
    type Reply = Reply;

    /// The key of a query is an identifier set, or a worker for [`Question::Expired`].
    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<Reply>) {
        match &query.question {
            Question::Records { brand, .. } => {
                let sets = &*self.sets.borrow();
                let records = sets.records_of(*brand, query.key, Part::Whole);
                replies.extend(records.map(|(key, record)| Reply::Record(key, Box::new(record))));
            }
            Question::ActiveSince { brand, since, .. } => {
                let sets = &*self.sets.borrow();
                let mut records = sets.records_of(*brand, query.key, Part::WithoutId);
                let recent =
                    records.find(|(_, record)| is_interaction(record) && record.ts >= *since);
                replies.extend(recent.map(|(_, record)| {
                    let ids = record.ids.ids().iter().map(|id| id.pseudonym);
                    Reply::Active(ids.collect())
                }));
            }
            Question::Expired { brand, horizons } => self.expired(*brand, horizons, replies),
            Question::Cells { .. }
            | Question::Link { .. }
            | Question::Paths { .. }
            | Question::Members { .. }
            | Question::DeviceDays { .. }
            | Question::Settle { .. }
            | Question::AcceptedSightings { .. } => {}
        }
    }
}

impl PolicyFilter {
    /// The expired records of a brand on this worker, its expired cookies, and the identifiers whose person may be inactive.
    fn expired(&mut self, brand: BrandId, horizons: &Horizons, replies: &mut Vec<Reply>) {
        let oldest = self.oldest.get_mut(&brand);
        let Some(oldest) = oldest.filter(|oldest| oldest.may_have_expired(horizons)) else {
            return;
        };
        *oldest = EarliestHeld::default();
        let sets = &*self.sets.borrow();
        let table = &*sets.table.borrow();
        for (_, set) in sets.sets.of(&brand) {
            let (mut goes, mut is_active) = (None, false);
            let of = (brand, set.ids(table));
            for (key, record) in set.unpacked(of, Part::WithoutId, &sets.numbers) {
                oldest.note(&record);
                horizons.judge(key, &record, replies);
                is_active |= horizons.is_recent(&record);
                if horizons.goes_with_person(&record) {
                    goes = goes.or(Some(record.ids));
                }
            }
            // Any identifier of the set finds the person.
            if let Some(ids) = goes.filter(|_| !is_active) {
                let ids = ids.ids().iter();
                replies.extend(ids.map(|id| Reply::Inactive(id.pseudonym)));
            }
        }
        let free = self.free.values().filter(|(of, _)| *of == brand);
        let free = free.filter_map(|of| Some((key_of(&of.1), unpack_free(of, &self.numbers)?)));
        for (key, record) in free {
            oldest.note(&record);
            horizons.judge(key, &record, replies);
        }
        replies.sort_unstable();
        replies.dedup();
    }
}
