//! Statements of consent: records of their own, and what a web record brings along.
//!
//! Two things come of a signal. A *statement* is a held record like any other: which steps are allowed with whatever
//! names its identifiers. The *evidence* is the signal word for word, kept beside all numbers, so that it can be shown
//! what was allowed and why.
//!
//! A web record speaks for its browser, so its statement names the cookie alone, and everybody in the record where it
//! has none. However many views repeat a string, one statement is held for each source, cookie, string and four weeks, the
//! first: that the very same string was said before is what orders statements, and that it was said again keeps it from
//! being forgotten. Of opt-outs, which bear no date, one is held for each source and cookie, the newest. There is one
//! evidence for each cookie and string. Such a statement is a fact of its own, that a string was sent; a correction of the
//! record that brought it does not unsay it. A signal that cannot be read refuses the record that brings it: what the
//! person allowed is not known, so nothing may be held.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tributary_consent::Boxes;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, IdSet, Record, RecordKey, Right};

use super::fields::Field;
use super::identifiers::Identifiers;
use super::line::Line;
use super::reader::{MAX_LABEL, Read, Reader, missing, too_long, wrong_type};
use super::record::{self, Head};
use crate::dead::{Reason, Refusal, Sink};
use crate::signals::{Consent, Signal};

/// The most bytes of a consent string.
const MAX_STRING: usize = 16_384;

/// The most bytes of what was shown.
const MAX_EVIDENCE: usize = 65_536;

/// The identifiers of a statement.
const IDENTIFIERS: [(Field, IdKind); 6] = [
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Cookie, IdKind::Cookie),
    (Field::Customer, IdKind::Customer),
    (Field::Wallet, IdKind::Wallet),
    (Field::Device, IdKind::Device),
];

/// A signal word for word, its keys in order.
#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpp_sid: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    method: &'static str,
    signal: &'a Given<'a>,
    source: &'a str,
}

/// What was given.
#[derive(Serialize)]
#[serde(untagged)]
enum Given<'a> {
    TcString(Cow<'a, str>),
    Gpp(Cow<'a, str>),
    Boxes(BTreeMap<String, bool>),
}

/// Reads a statement.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> Read<Event> {
    let head = Head::read(line)?;
    let ids = Identifiers::read(line, &IDENTIFIERS)?.set();
    if ids.is_empty() {
        return Err(Refusal::new(
            Reason::MissingField,
            "a consent needs an identifier, and none that is blocked or no telephone number",
        ));
    }
    let reader = line.reader;
    let given = [
        tc_string(&reader)?,
        gpp(&reader)?,
        boxes(reader.fields.raw(Field::Purposes), &reader)?,
    ];
    let mut given = given.into_iter().flatten();
    let (Some(given), None) = (given.next(), given.next()) else {
        return Err(Refusal::new(
            Reason::MissingField,
            "a consent needs one of `tc_string`, `gpp` and `purposes`, and no other",
        ));
    };
    let body = match signal(line, &given, sink)? {
        Some(Signal::Steps(consent)) => {
            if consent.opted_out {
                opt_out(line, head.ts, &ids, sink);
            }
            Body::Consent {
                steps: consent.steps,
                string: consent.string,
            }
        }
        Some(Signal::OptedOut(out)) => do_not_sell(out),
        None => {
            return Err(Refusal::new(
                Reason::BadConsent,
                "the string contains nothing that the brand evaluates: for a TC string, set consent.vendor or consent.publisher",
            ));
        }
    };
    evidence(line, &given, Some(&head), head.ts, &ids, sink)?;
    Ok(record::put(line, head, ids, body, sink))
}

/// What a web record brings along.
pub struct WebSignals<'a> {
    given: [Option<Given<'a>>; 2],
    consent: Option<Consent>,
    opted_out: bool,
}

/// For so many days a string that is said again is no new statement.
const SAME_STATEMENT_DAYS: i32 = 28;

impl<'a> WebSignals<'a> {
    /// Reads the strings of a web record. A TC string that speaks for nobody is passed over.
    pub fn read(line: &mut Line<'_, 'a>, sink: &mut impl Sink) -> Read<WebSignals<'a>> {
        let reader = line.reader;
        let tc_string = match line.tenant.signals.reads_strings() {
            true => tc_string(&reader)?,
            false => None,
        };
        let mut signals = WebSignals {
            given: [tc_string, gpp(&reader)?],
            consent: None,
            opted_out: false,
        };
        for given in signals.given.iter().flatten() {
            match signal(line, given, sink)? {
                Some(Signal::Steps(consent)) => {
                    signals.opted_out |= consent.opted_out;
                    signals.consent = match signals.consent {
                        Some(other) => Some(other.and(consent)),
                        None => Some(consent),
                    };
                }
                // The page says that nobody opted out to everybody: it takes no objection back.
                Some(Signal::OptedOut(out)) => signals.opted_out |= out,
                None => {}
            }
        }
        Ok(signals)
    }

    /// Tells the statements and the evidence of a record that is in order.
    pub fn tell(
        &self,
        line: &mut Line<'_, '_>,
        ts: i64,
        ids: &IdSet,
        sink: &mut impl Sink,
    ) -> Read<()> {
        if ids.is_empty() || self.given.iter().all(Option::is_none) {
            return Ok(());
        }
        let ids = browser(ids);
        if let Some(Consent { steps, string, .. }) = self.consent {
            let hash = string.map_or(0, |string| string.hash);
            let weeks = line.tenant.clock.day(ts).div_euclid(SAME_STATEMENT_DAYS);
            let mut last = vec![steps.bits()];
            last.extend(hash.to_le_bytes());
            last.extend(weeks.to_le_bytes());
            let key = key(line, "consent", &ids, &last);
            // Of the highest version is the first.
            attach(
                line,
                key,
                -ts,
                ts,
                &ids,
                Body::Consent { steps, string },
                sink,
            );
        }
        if self.opted_out {
            opt_out(line, ts, &ids, sink);
        }
        for given in self.given.iter().flatten() {
            evidence(line, given, None, ts, &ids, sink)?;
        }
        Ok(())
    }
}

/// Tells that somebody opted out, beside what a record says of purposes: the newest of each source.
fn opt_out(line: &mut Line<'_, '_>, ts: i64, ids: &IdSet, sink: &mut impl Sink) {
    let key = key(line, "do_not_sell", ids, &[0]);
    attach(line, key, ts, ts, ids, do_not_sell(true), sink);
}

/// Tells a statement that rides on a record, and so has no id of its own.
fn attach(
    line: &mut Line<'_, '_>,
    key: RecordKey,
    version: i64,
    ts: i64,
    ids: &IdSet,
    body: Body,
    sink: &mut impl Sink,
) {
    let record = Record {
        brand: line.tenant.id,
        source: line.words.tell(&line.feed.name, sink),
        id: Arc::from(""),
        ts,
        day: line.tenant.clock.day(ts),
        ids: ids.clone(),
        body,
    };
    sink.event(Event::Put {
        key,
        version,
        arrival: line.given.arrival,
        record,
    });
}

/// The cookie among the identifiers, all of them where there is none.
fn browser(ids: &IdSet) -> IdSet {
    let cookies: Vec<_> = (ids.ids().iter())
        .filter(|id| id.kind == IdKind::Cookie)
        .copied()
        .collect();
    match cookies.is_empty() || cookies.len() == ids.ids().len() {
        true => ids.clone(),
        false => IdSet::new(cookies),
    }
}

fn do_not_sell(stands: bool) -> Body {
    Body::Right {
        right: Right::DoNotSell,
        stands,
    }
}

fn tc_string<'a>(reader: &Reader<'_, 'a>) -> Read<Option<Given<'a>>> {
    Ok(reader
        .text(Field::TcString, MAX_STRING)?
        .map(Given::TcString))
}

fn gpp<'a>(reader: &Reader<'_, 'a>) -> Read<Option<Given<'a>>> {
    Ok(reader.text(Field::Gpp, MAX_STRING)?.map(Given::Gpp))
}

fn boxes<'a>(raw: &str, reader: &Reader<'_, 'a>) -> Read<Option<Given<'a>>> {
    if !reader.is_present(Field::Purposes) {
        return Ok(None);
    }
    let boxes: BTreeMap<String, bool> = serde_json::from_str(raw).map_err(|_| {
        wrong_type(
            Field::Purposes,
            "an object of boxes, each `true` or `false`",
        )
    })?;
    match boxes.is_empty() {
        true => Err(missing(Field::Purposes)),
        false => Ok(Some(Given::Boxes(boxes))),
    }
}

/// What was given says; nothing where it says nothing that the brand reads. Sections that are not read are told of.
fn signal(
    line: &mut Line<'_, '_>,
    given: &Given<'_>,
    sink: &mut impl Sink,
) -> Read<Option<Signal>> {
    let brand = line.tenant.id;
    let signals = &mut line.tenant.signals;
    let read = match given {
        Given::TcString(_) if !signals.reads_strings() => Ok(None),
        Given::TcString(text) => signals
            .tc_string(text)
            .map(|consent| Some(Signal::Steps(consent))),
        Given::Gpp(text) => signals.gpp(text).map(|gpp| {
            if gpp.unread > 0 {
                sink.unread_sections(brand, gpp.unread);
            }
            gpp.signal
        }),
        Given::Boxes(boxes) => {
            let named = boxes.iter().map(|(name, ticked)| (name.as_str(), *ticked));
            Boxes::read(named).map(|boxes| Some(signals.boxes(&boxes)))
        }
    };
    read.map_err(|error| {
        let name = given.field().name();
        Refusal::new(
            Reason::BadConsent,
            format!("`{name}` cannot be read: {error}"),
        )
    })
}

impl Given<'_> {
    fn field(&self) -> Field {
        match self {
            Given::TcString(_) => Field::TcString,
            Given::Gpp(_) => Field::Gpp,
            Given::Boxes(_) => Field::Purposes,
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Given::TcString(_) => "tcf",
            Given::Gpp(_) => "gpp",
            Given::Boxes(_) => "boxes",
        }
    }
}

/// Tells the evidence: of a statement with its id and what was shown, of a web record without either, so that the
/// same string of the same cookie is kept once.
fn evidence(
    line: &Line<'_, '_>,
    given: &Given<'_>,
    head: Option<&Head<'_>>,
    ts: i64,
    ids: &IdSet,
    sink: &mut impl Sink,
) -> Read<()> {
    let text = Text {
        evidence: match head {
            Some(_) => word_for_word(line, Field::Evidence, MAX_EVIDENCE)?,
            None => None,
        },
        gpp_sid: match given {
            Given::Gpp(_) => word_for_word(line, Field::GppSid, MAX_LABEL)?,
            _ => None,
        },
        id: head.map(|head| &*head.id),
        method: given.method(),
        signal: given,
        source: &line.feed.name,
    };
    // Texts, truth values and JSON that was read: there is nothing that could not be written.
    let text = serde_json::to_string(&text).unwrap_or_default();
    sink.event(Event::Evidence {
        key: key(line, "evidence", ids, text.as_bytes()),
        brand: line.tenant.id,
        ids: ids.clone(),
        ts,
        text: text.into(),
    });
    Ok(())
}

/// The key of what is said of these identifiers.
fn key(line: &Line<'_, '_>, what: &str, ids: &IdSet, last: &[u8]) -> RecordKey {
    let pseudonyms: Vec<[u8; 16]> = (ids.ids().iter())
        .map(|id| id.pseudonym.to_le_bytes())
        .collect();
    let mut parts = vec![line.feed.name.as_bytes(), what.as_bytes()];
    parts.extend(pseudonyms.iter().map(<[u8; 16]>::as_slice));
    parts.push(last);
    RecordKey::of(&line.tenant.name, &parts)
}

/// The JSON of a field as it came, without the white space around its parts; none where it is absent.
fn word_for_word(line: &Line<'_, '_>, field: Field, limit: usize) -> Read<Option<Box<RawValue>>> {
    if !line.reader.is_present(field) {
        return Ok(None);
    }
    let raw = line.reader.fields.raw(field);
    if raw.len() > limit {
        return Err(too_long(field, limit));
    }
    let mut quoted = false;
    let mut escaped = false;
    let compact = raw.chars().filter(|c| {
        let kept = quoted || !c.is_ascii_whitespace();
        quoted ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        kept
    });
    Ok(RawValue::from_string(compact.collect()).ok())
}
