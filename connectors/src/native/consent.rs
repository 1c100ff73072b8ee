//! Consent statements: records of their own, and those that a web or partner
//! record carries.
//!
//! A signal yields two things. A *statement* is a stored record like any other:
//! which uses are allowed for the holders of its identifiers. The *evidence* is
//! the signal verbatim, kept apart from all numbers, to show what was allowed
//! and why.
//!
//! A web record speaks for its browser, so its statement names the cookie
//! alone, and a partner record for its device; without one, the statement names
//! all identifiers. However many views repeat a string, one statement is stored for each source, cookie, string and
//! four-week period: the first. The first occurrence of the exact string orders
//! the statements, and the repetition in a later period keeps the statement
//! from expiring. Opt-outs and checkboxes carry no date; one of each content is
//! stored for each source and cookie, the newest. There is one evidence for each cookie and string. Such a
//! statement records that a string was sent, so a correction of the record that
//! carried it does not retract the statement. A signal that cannot be parsed
//! rejects its record: without knowing what the person allowed, nothing may be
//! stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::value::RawValue;
use tributary_config::model::FormBox;
use tributary_consent::Boxes;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, IdSet, Record, RecordId, RecordKey, Right};

use super::fields::Field;
use super::identifiers::Identifiers;
use super::line::Line;
use super::notice::{Evidence, compact};
use super::reader::{FieldResult, MAX_LABEL, Reader, missing, too_long, trimmed, wrong_type};
use super::record::{self, RecordHead};
use crate::dead_letter::{Reason, Refusal, Sink};
use crate::signals::{PurposeConsent, Signal};

/// The maximum length of a consent string, bytes.
const MAX_STRING: usize = 16_384;

/// How the names of opt-outs begin.
const OPT_OUT: &str = "do_not_";

/// The identifiers that a statement may name.
const IDENTIFIERS: [(Field, IdKind); 7] = [
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Cookie, IdKind::Cookie),
    (Field::Customer, IdKind::Customer),
    (Field::Wallet, IdKind::Wallet),
    (Field::Device, IdKind::Device),
    (Field::ClickId, IdKind::ClickId),
];

/// The evidence of a signal as stored: canonical JSON with sorted keys, so that
/// the same signal has one record key.
#[derive(Serialize)]
struct EvidenceText<'a> {
    /// What the person was shown, verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Box<RawValue>>,
    /// The applicable GPP sections, verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpp_sid: Option<Box<RawValue>>,
    /// The id of the statement; absent for a web record, whose repetitions are
    /// one evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// `tcf`, `gpp` or `boxes`.
    method: &'static str,
    /// The signal, verbatim.
    signal: &'a GivenSignal<'a>,
    /// The name of the source.
    source: &'a str,
}

/// A signal as received, by its form.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum GivenSignal<'a> {
    /// A TC string.
    TcString(Cow<'a, str>),
    /// A GPP string.
    Gpp(Cow<'a, str>),
    /// Checkboxes by name.
    Boxes(BTreeMap<String, bool>),
}

/// Decodes a consent statement, and emits its evidence and, for undated
/// opt-outs, an objection.
///
/// # Errors
/// `missing_field` without an identifier or with other than one signal,
/// `bad_consent` for a signal that cannot be evaluated, and those of the
/// fields.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Event> {
    let head = RecordHead::read(line)?;
    let ids = Identifiers::read(line, &IDENTIFIERS)?.set(line);
    if ids.is_empty() {
        return Err(Refusal::new(
            Reason::MissingField,
            "a consent needs an identifier, and none that is blocked or no telephone number",
        ));
    }
    let reader = line.reader;
    let signal = [
        tc_string(&reader)?,
        gpp(&reader)?,
        boxes(reader.fields.raw(Field::Purposes), &reader)?,
    ];
    let evidence = Evidence::read(line)?;
    let mut signal = signal.into_iter().flatten();
    let (Some(signal), None) = (signal.next(), signal.next()) else {
        return Err(Refusal::new(
            Reason::MissingField,
            "a consent needs one of `tc_string`, `gpp` and `purposes`, and no other",
        ));
    };
    let counted = match &signal {
        GivenSignal::Boxes(boxes) => {
            GivenSignal::Boxes(counted_boxes(boxes, &evidence, &line.brand.boxes))
        }
        string => string.clone(),
    };
    let is_implied = evidence.is_implied(None);
    let body = match read_signal(line, &counted, sink)? {
        Some(Signal::Steps(consent)) => {
            if consent.opted_out {
                emit_opt_out(line, head.ts, &ids, sink);
            }
            match &signal {
                GivenSignal::Boxes(boxes) => Body::Consent {
                    steps: consent.steps,
                    string: None,
                    boxes: evidence.boxes(line, boxes, sink),
                },
                // A string that nobody agreed to must not stand for the same one given later.
                _ if is_implied => Body::Consent {
                    steps: consent.steps.intersect(AllowedUses::NONE.with(Use::Share)),
                    string: None,
                    boxes: None,
                },
                _ => Body::Consent {
                    steps: consent.steps,
                    string: consent.string,
                    boxes: None,
                },
            }
        }
        Some(Signal::OptedOut(false)) if is_implied => {
            return Err(Refusal::new(
                Reason::BadConsent,
                "a statement with `preticked`, or with the `method` `implied` or `scroll`, allows nothing, and this one refuses nothing",
            ));
        }
        Some(Signal::OptedOut(out)) => do_not_sell(out),
        None => {
            return Err(Refusal::new(
                Reason::BadConsent,
                "the string contains nothing that the brand evaluates: for a TC string, set consent.vendor or consent.publisher",
            ));
        }
    };
    emit_evidence(line, &signal, Some((&head, evidence)), head.ts, &ids, sink)?;
    Ok(record::put_event(line, head, ids, body, sink))
}

/// The signals that a web or partner record carries, evaluated but not yet
/// emitted.
pub struct RecordSignals<'a> {
    /// The TC string, the GPP string, and the Global Privacy Control or the
    /// checkboxes.
    signals: [Option<GivenSignal<'a>>; 3],
    /// What both strings allow together.
    consent: Option<PurposeConsent>,
    /// Whether an undated section opts out.
    opted_out: bool,
}

/// The period, days, within which a repeated string is no new statement.
const SAME_STATEMENT_DAYS: i32 = 28;

impl<'a> RecordSignals<'a> {
    /// Evaluates the strings of a web record, and the Global Privacy Control.
    ///
    /// # Errors
    /// `bad_consent` if a string cannot be parsed, which rejects the record.
    pub fn of_web(line: &mut Line<'_, 'a>, sink: &mut impl Sink) -> FieldResult<Self> {
        let control = global_privacy_control(&line.reader)?;
        RecordSignals::read(line, control, sink)
    }

    /// Evaluates the strings and the checkboxes of a partner record.
    ///
    /// # Errors
    /// As [`RecordSignals::of_web`], and `bad_consent` for a checkbox that is
    /// unknown.
    pub fn of_partner(line: &mut Line<'_, 'a>, sink: &mut impl Sink) -> FieldResult<Self> {
        let boxes = boxes(line.reader.fields.raw(Field::Purposes), &line.reader)?;
        RecordSignals::read(line, boxes, sink)
    }

    /// Evaluates the strings of a record, and another signal. Skips a TC string
    /// if the brand names no party.
    fn read(
        line: &mut Line<'_, 'a>,
        other: Option<GivenSignal<'a>>,
        sink: &mut impl Sink,
    ) -> FieldResult<Self> {
        let reader = line.reader;
        let tc_string = match line.brand.signals.reads_strings() {
            true => tc_string(&reader)?,
            false => None,
        };
        let mut signals = RecordSignals {
            signals: [tc_string, gpp(&reader)?, other],
            consent: None,
            opted_out: false,
        };
        for signal in signals.signals.iter().flatten() {
            match read_signal(line, signal, sink)? {
                Some(Signal::Steps(consent)) => {
                    signals.opted_out |= consent.opted_out;
                    signals.consent = match signals.consent {
                        Some(other) => Some(other.and(consent)),
                        None => Some(consent),
                    };
                }
                // A page sends "not opted out" to every visitor, so it withdraws no objection; nor does a partner.
                Some(Signal::OptedOut(out)) => signals.opted_out |= out,
                None => {}
            }
        }
        Ok(signals)
    }

    /// Emits the statements and the evidence of an accepted record, about its
    /// identifiers of a kind, or about all of them without one of that kind;
    /// nothing if the record names no one.
    ///
    /// # Errors
    /// `text_too_long` for `gpp_sid`.
    pub fn emit(
        &self,
        line: &mut Line<'_, '_>,
        ts: i64,
        ids: &IdSet,
        kind: IdKind,
        sink: &mut impl Sink,
    ) -> FieldResult<()> {
        if ids.is_empty() || self.signals.iter().all(Option::is_none) {
            return Ok(());
        }
        let ids = &of_kind_or_all(ids, kind);
        if let Some(PurposeConsent { steps, string, .. }) = self.consent {
            let mut last = vec![steps.bits()];
            let version = match string {
                Some(string) => {
                    let weeks = line.brand.clock.day(ts).div_euclid(SAME_STATEMENT_DAYS);
                    last.extend(string.hash.to_le_bytes());
                    last.extend(weeks.to_le_bytes());
                    // Of the highest version is the first.
                    -ts
                }
                // Checkboxes take effect when they are sent: of the highest version is the newest.
                None => ts,
            };
            let key = key(line, "consent", ids, &last);
            let body = Body::Consent {
                steps,
                string,
                boxes: None,
            };
            emit_statement(line, key, version, ts, ids, body, sink);
        }
        if self.opted_out {
            emit_opt_out(line, ts, ids, sink);
        }
        for signal in self.signals.iter().flatten() {
            emit_evidence(line, signal, None, ts, ids, sink)?;
        }
        Ok(())
    }
}

/// Emits an opt-out besides the purposes of a record. One is stored per source
/// and cookie: the newest.
fn emit_opt_out(line: &mut Line<'_, '_>, ts: i64, ids: &IdSet, sink: &mut impl Sink) {
    let key = key(line, "do_not_sell", ids, &[0]);
    emit_statement(line, key, ts, ts, ids, do_not_sell(true), sink);
}

/// Emits a statement that a record carries and that therefore has no id of its
/// own.
fn emit_statement(
    line: &mut Line<'_, '_>,
    key: RecordKey,
    version: i64,
    ts: i64,
    ids: &IdSet,
    body: Body,
    sink: &mut impl Sink,
) {
    let record = Record {
        brand: line.brand.id,
        source: line.labels.announce(&line.source.name, sink),
        id: RecordId::default(),
        ts,
        day: line.brand.clock.day(ts),
        ids: ids.clone(),
        body,
    };
    sink.event(Event::Put {
        key,
        version,
        arrival: line.message.arrival,
        record,
    });
}

/// The identifiers of a kind, or all of them without one.
fn of_kind_or_all(ids: &IdSet, kind: IdKind) -> IdSet {
    let of_kind: Vec<_> = (ids.ids().iter())
        .filter(|id| id.kind == kind)
        .copied()
        .collect();
    match of_kind.is_empty() || of_kind.len() == ids.ids().len() {
        true => ids.clone(),
        false => IdSet::new(of_kind),
    }
}

/// The body of an objection to sale, sharing and targeted advertising.
fn do_not_sell(stands: bool) -> Body {
    Body::Right {
        right: Right::DoNotSell,
        stands,
    }
}

/// The field `tc_string`.
fn tc_string<'a>(reader: &Reader<'_, 'a>) -> FieldResult<Option<GivenSignal<'a>>> {
    Ok(reader
        .text(Field::TcString, MAX_STRING)?
        .map(|text| GivenSignal::TcString(trimmed(text))))
}

/// The field `gpp`.
fn gpp<'a>(reader: &Reader<'_, 'a>) -> FieldResult<Option<GivenSignal<'a>>> {
    let text = reader.text(Field::Gpp, MAX_STRING)?;
    Ok(text.map(|text| GivenSignal::Gpp(trimmed(text))))
}

/// The field `gpc`: if true, the opt-outs that the Global Privacy Control
/// stands for (<https://www.w3.org/TR/gpc/>). False is what every other browser
/// sends and says nothing.
fn global_privacy_control<'a>(reader: &Reader<'_, 'a>) -> FieldResult<Option<GivenSignal<'a>>> {
    if !reader.flag(Field::Gpc)? {
        return Ok(None);
    }
    let boxes = ["do_not_sell", "do_not_share", "do_not_target"];
    let boxes = boxes.map(|name| (name.to_owned(), true));
    Ok(Some(GivenSignal::Boxes(BTreeMap::from(boxes))))
}

/// The field `purposes`: a nonempty object of truth values.
fn boxes<'a>(raw: &str, reader: &Reader<'_, 'a>) -> FieldResult<Option<GivenSignal<'a>>> {
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
        false => Ok(Some(GivenSignal::Boxes(boxes))),
    }
}

/// The boxes of a form as they count: a tick that nobody made is none, and an
/// opt-out counts whoever made it.
///
/// A box of the brand's own stands for its purposes. A purpose is ticked if all
/// boxes are that stand for it.
fn counted_boxes(
    boxes: &BTreeMap<String, bool>,
    evidence: &Evidence,
    own: &FxHashMap<Box<str>, FormBox>,
) -> BTreeMap<String, bool> {
    let mut counted: BTreeMap<String, bool> = BTreeMap::new();
    for (name, ticked) in boxes {
        let counts = name.starts_with(OPT_OUT) || !evidence.is_implied(Some(name));
        let ticked = *ticked && counts;
        let needs = own.get(name.as_str()).map(|of| of.needs.as_slice());
        let names = match needs {
            Some(needs @ [_, ..]) => needs.iter().map(u8::to_string).collect(),
            _ => vec![name.clone()],
        };
        for name in names {
            let all = counted.entry(name).or_insert(true);
            *all &= ticked;
        }
    }
    counted
}

/// Evaluates a signal; `None` if it contains nothing that the brand supports.
/// Reports the number of unsupported GPP sections to the sink.
fn read_signal(
    line: &mut Line<'_, '_>,
    signal: &GivenSignal<'_>,
    sink: &mut impl Sink,
) -> FieldResult<Option<Signal>> {
    let brand = line.brand.id;
    let signals = &mut line.brand.signals;
    let read = match signal {
        GivenSignal::TcString(_) if !signals.reads_strings() => Ok(None),
        GivenSignal::TcString(text) => signals
            .tc_string(text)
            .map(|consent| Some(Signal::Steps(consent))),
        GivenSignal::Gpp(text) => signals.gpp(text).map(|gpp| {
            if gpp.unread > 0 {
                sink.unread_sections(brand, gpp.unread);
            }
            gpp.signal
        }),
        GivenSignal::Boxes(boxes) => {
            let named = boxes.iter().map(|(name, ticked)| (name.as_str(), *ticked));
            Boxes::read(named).map(|boxes| Some(signals.boxes(&boxes)))
        }
    };
    read.map_err(|error| {
        let name = signal.field().name();
        Refusal::new(
            Reason::BadConsent,
            format!("`{name}` cannot be read: {error}"),
        )
    })
}

impl GivenSignal<'_> {
    /// The field that carries signals of this form.
    fn field(&self) -> Field {
        match self {
            GivenSignal::TcString(_) => Field::TcString,
            GivenSignal::Gpp(_) => Field::Gpp,
            GivenSignal::Boxes(_) => Field::Purposes,
        }
    }

    /// The name of the form in evidence.
    fn method(&self) -> &'static str {
        match self {
            GivenSignal::TcString(_) => "tcf",
            GivenSignal::Gpp(_) => "gpp",
            GivenSignal::Boxes(_) => "boxes",
        }
    }
}

/// Emits the evidence of a signal: of a statement with its id and what was
/// shown, of a web record without either, so that repetitions of a string with
/// one cookie are one evidence.
fn emit_evidence(
    line: &Line<'_, '_>,
    signal: &GivenSignal<'_>,
    head: Option<(&RecordHead<'_>, Evidence)>,
    ts: i64,
    ids: &IdSet,
    sink: &mut impl Sink,
) -> FieldResult<()> {
    let (head, evidence) = head.unzip();
    let text = EvidenceText {
        evidence: evidence.and_then(|evidence| evidence.text),
        gpp_sid: match signal {
            GivenSignal::Gpp(_) => verbatim_json(line, Field::GppSid, MAX_LABEL)?,
            _ => None,
        },
        id: head.map(|head| &*head.id),
        method: signal.method(),
        signal,
        source: &line.source.name,
    };
    // Texts, truth values and JSON that was read: there is nothing that could not be written.
    let text = serde_json::to_string(&text).unwrap_or_default();
    sink.event(Event::Evidence {
        key: key(line, "evidence", ids, text.as_bytes()),
        brand: line.brand.id,
        ids: ids.clone(),
        ts,
        text: text.into(),
    });
    Ok(())
}

/// The record key of a statement about these identifiers.
fn key(line: &Line<'_, '_>, what: &str, ids: &IdSet, last: &[u8]) -> RecordKey {
    let pseudonyms: Vec<[u8; 16]> = (ids.ids().iter())
        .map(|id| id.pseudonym.to_le_bytes())
        .collect();
    let mut parts = vec![line.source.name.as_bytes(), what.as_bytes()];
    parts.extend(pseudonyms.iter().map(<[u8; 16]>::as_slice));
    parts.push(last);
    RecordKey::of(&line.brand.name, &parts)
}

/// The JSON of a field as received, without white space between its tokens;
/// `None` if absent.
fn verbatim_json(
    line: &Line<'_, '_>,
    field: Field,
    limit: usize,
) -> FieldResult<Option<Box<RawValue>>> {
    if !line.reader.is_present(field) {
        return Ok(None);
    }
    let raw = line.reader.fields.raw(field);
    if raw.len() > limit {
        return Err(too_long(field, limit));
    }
    Ok(RawValue::from_string(compact(raw)).ok())
}
