//! Dead letters of a message: of one line, of an event, or of all of it.

use super::{Decoder, Message, Route};
use crate::csv;
use crate::dead_letter::{DeadLetter, RESENT_HEADER, Reason, Refusal, Sink};
use crate::native::fields;
use tributary_config::model::Kind;
use tributary_operators::record::Arrival;

impl Message<'_> {
    /// Whether the message was sent again after a dead letter.
    pub(super) fn is_resent(&self) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(name, _)| name.eq_ignore_ascii_case(RESENT_HEADER))
    }
}

impl Decoder {
    /// Emits the dead letter of a message, or of an event of it, whose lines
    /// were not read.
    pub(super) fn refuse_unread(
        &mut self,
        message: &Message<'_>,
        payload: &[u8],
        refusal: Refusal,
        place: u32,
        sink: &mut impl Sink,
    ) {
        let route = self
            .routes
            .find(message.subject, None, &self.brands, &self.sources);
        let known = route.ok().and_then(|route| {
            let brand = self.brands.get(route.brand)?;
            Some((brand.name.to_string(), route.kind.name().to_owned()))
        });
        let (brand, kind) = known.unzip();
        sink.dead_letter(DeadLetter {
            brand,
            kind,
            reason: refusal.reason,
            detail: refusal.detail,
            subject: message.subject.to_owned(),
            source_subject: None,
            is_resent: message.is_resent(),
            at: message.at,
            arrival: Arrival {
                message: message.number,
                line: place,
            },
            payload: payload.to_vec(),
        });
    }

    /// Emits the dead letter of a line.
    pub(super) fn refuse(
        &self,
        message: &Message<'_>,
        route: Route,
        arrival: Arrival,
        refusal: Refusal,
        payload: &[u8],
        sink: &mut impl Sink,
    ) {
        let brand = self.brands.get(route.brand);
        let source_subject = brand.zip(self.source(route)).map(|(brand, source)| {
            format!(
                "tributary.in.{}.{}.{}",
                brand.name,
                source.kind.name(),
                source.name
            )
        });
        sink.dead_letter(DeadLetter {
            source_subject,
            is_resent: message.is_resent(),
            brand: brand.map(|brand| brand.name.to_string()),
            kind: Some(route.kind.name().to_owned()),
            reason: refusal.reason,
            detail: refusal.detail,
            subject: message.subject.to_owned(),
            at: message.at,
            arrival,
            payload: payload.to_vec(),
        });
    }
}

/// A refusal that names, behind each field of a CSV source, the column that
/// supplies it.
pub(super) fn with_columns(refusal: Refusal, columns: &[(Box<str>, Box<str>)]) -> Refusal {
    let mut parts = refusal.detail.split('`');
    let mut detail = parts.next().unwrap_or_default().to_owned();
    while let Some(quoted) = parts.next() {
        detail.push_str(&format!("`{quoted}`"));
        let column = columns.iter().find(|(field, _)| **field == *quoted);
        if let Some((_, header)) = column.filter(|(_, header)| **header != *quoted) {
            detail.push_str(&format!(" (column `{header}`)"));
        }
        detail.push_str(parts.next().unwrap_or_default());
    }
    Refusal { detail, ..refusal }
}

/// The refusal of a CSV row that is not a record; its elements tell which rule
/// it breaks.
pub(super) fn row_refusal(text: &str, error: &serde_json::Error) -> Refusal {
    /// An element of the array that the CSV reader makes of such a row.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Part {
        /// A cell: the row does not fit the header.
        Cell(#[allow(dead_code)] String),
        /// The cells of one of several rows that share an id.
        Cells(#[allow(dead_code)] Vec<String>),
        /// The record of one currency of a group that mixes currencies.
        Record(#[allow(dead_code)] serde::de::IgnoredAny),
    }
    if let Some(detail) = csv::unclosed_line(text) {
        return Refusal::new(Reason::MalformedRow, detail);
    }
    let parts: Result<Vec<Part>, _> = serde_json::from_str(text);
    match parts.ok().as_deref() {
        Some([Part::Cell(_), ..]) => Refusal::new(
            Reason::MalformedRow,
            "the row has more or fewer cells than the header: quote cells that hold the delimiter",
        ),
        Some([Part::Cells(_), ..]) => Refusal::new(
            Reason::MalformedRow,
            "a row that shares this `id` has more or fewer cells than the header: quote cells that hold the delimiter",
        ),
        Some([Part::Record(_), ..]) => Refusal::new(
            Reason::MixedCurrencies,
            "rows that share this `id` are of different currencies: give each currency an id of its own",
        ),
        _ => Refusal::no_object(text, error),
    }
}

/// The refusal of an unknown field. Its name comes from outside and is not
/// repeated; the known ones are listed instead.
pub(super) fn unknown_field(kind: Kind) -> Refusal {
    let known: Vec<&str> = fields::of_kind(kind)
        .iter()
        .map(|field| field.name())
        .collect();
    let detail = format!(
        "the record has a field that a `{}` record does not know; it knows {}",
        kind.name(),
        known.join(", ")
    );
    Refusal::new(Reason::UnknownField, detail)
}
