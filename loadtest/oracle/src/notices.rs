//! Notices: how many statements agreed to each wording, by the boxes of consent statements.
//!
//! A tick is withdrawn if the next statement of its subject with that box leaves it empty, among the statements whose box was
//! ticked or left empty by the person. The subject is the first identifier by kind, then by pseudonym.

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Label;
use tributary_operators::record::{Body, BoxAnswer, Day, NoticeBox, Pseudonym, Record};

use crate::brand::Brand;
use crate::family_sums::{CountedCell, FamilySums};

/// The cells of `notice_day`.
pub(crate) fn notice_days(brand: &Brand, statements: &[&Record]) -> Vec<CountedCell> {
    let mut sums: FamilySums<([Label; 4], Day), 4> = FamilySums::new();
    // A statement that names nobody has no subject.
    for record in statements.iter().filter(|record| subject(record).is_some()) {
        for of in boxes(record) {
            let counted = match of.answer {
                BoxAnswer::Ticked if is_withdrawn(record, of, statements) => [1, 0, 0, 1],
                BoxAnswer::Ticked => [1, 0, 0, 0],
                BoxAnswer::Unticked => [0, 1, 0, 0],
                BoxAnswer::Preticked => [0, 0, 1, 0],
            };
            let names = [of.notice, of.version, of.language, of.name];
            sums.add((names, record.day), counted, (None, true));
        }
    }
    sums.cells(Family::NoticeDay, |(names, day), sum| {
        let mut dims = vec![brand.name()];
        dims.extend(names.iter().map(|name| brand.word(*name)));
        dims.push(Dim::Day(*day));
        (dims, sum.values.to_vec())
    })
}

/// The boxes of a statement.
fn boxes(record: &Record) -> &[NoticeBox] {
    match &record.body {
        Body::Consent { boxes, .. } => boxes.as_deref().unwrap_or_default(),
        _ => &[],
    }
}

/// The subject of a statement.
fn subject(record: &Record) -> Option<Pseudonym> {
    let first = record
        .ids
        .ids()
        .iter()
        .min_by_key(|id| (id.kind, id.pseudonym));
    first.map(|id| id.pseudonym)
}

/// Whether the next statement of the subject takes a tick back. Of several at one place, which have no ID of their own, the order
/// is that of what they say.
fn is_withdrawn(record: &Record, of: &NoticeBox, statements: &[&Record]) -> bool {
    fn place<'a>(record: &'a Record, of: &NoticeBox) -> impl Ord + use<'a> {
        let shown = [of.notice, of.version, of.language];
        let record_place = (record.ts, record.source, &*record.id, record.day);
        (record_place, of.answer, shown)
    }
    let here = place(record, of);
    let answers = statements
        .iter()
        .filter(|other| subject(other) == subject(record))
        .flat_map(|other| boxes(other).iter().map(move |of| (place(other, of), of)))
        .filter(|(_, other)| other.name == of.name && other.answer != BoxAnswer::Preticked)
        .filter(|(place, _)| *place > here);
    let next = answers.min_by(|(one, _), (other, _)| one.cmp(other));
    next.is_some_and(|(_, next)| next.answer == BoxAnswer::Unticked)
}
