//! Decodes messages into events: each line yields exactly one event, one dead
//! letter or one counted omission. A web record may also yield consent
//! statements and the evidence for them.
//!
//! A message is one JSON object, in any layout, or NDJSON. In NDJSON each line
//! is decoded independently, so a malformed line does not affect the others.
//! CloudEvents supply the id, the time and the source that a record lacks. A
//! source in a vendor's format has an adapter ([`crate::formats`]), which turns
//! each item into native records, and these are decoded like any other line.
//!
//! The decoder stores no records; it caches only the labels that it has
//! announced, parsed consent strings, and the answers of the time-zone
//! database. Each worker thread therefore owns a decoder, and any two decoders
//! of one configuration produce the same events.

mod arrivals;
mod cloud_events;
mod rekey;
mod route;

use std::borrow::Cow;

use tributary_config::key_chain::KeyChain;
use tributary_config::model::{Config, Kind};
use tributary_operators::label::Label;
use tributary_operators::record::{Arrival, BrandId, Day};

pub use self::arrivals::{Arrivals, MessageArrival};
use crate::brand::{BrandContext, SourceContext};
pub use crate::dead_letter::{DeadLetter, Ignored, Reason as DeadReason, Sink};
use crate::dead_letter::{Reason, Refusal};
use crate::formats::{self, Adapter, Item, Outcome};
use crate::keys::Scratch;
use crate::lines;
use crate::native::fields::{Field, Fields};
use crate::native::labels::AnnouncedLabels;
pub use crate::native::labels::Withdrawal;
use crate::native::line::{Line, MessageContext};
use crate::native::ping::{self, PingOutcome};
use crate::native::reader::{FieldResult, Reader};
use crate::native::{consent, fields, spend, transaction, web};
use cloud_events::{Attributes, Content};
use rekey::RekeyingSink;
use route::{Route, Routes};

/// One message as received.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The subject: `tributary.in.<brand>.<kind>`, optionally with `.<source>`
    /// and `.<partition>`.
    pub subject: &'a str,
    /// The arrival, Unix milliseconds ([`Arrivals`]).
    pub at: i64,
    /// The position in the order of arrival ([`crate::nats::number_of`]);
    /// breaks ties between records.
    pub number: u64,
    /// The headers, of which the CloudEvents attributes are used.
    pub headers: &'a [(String, String)],
    /// One JSON object, or NDJSON.
    pub data: &'a [u8],
}

/// Decodes messages into events; each worker thread owns one.
/// ```
/// use std::path::Path;
/// use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
/// use tributary_connectors::decode::{DeadReason, Decoder, Message};
/// use tributary_operators::event::Event;
///
/// /// Counts what a decoder emits.
/// #[derive(Default)]
/// struct Counts {
///     records: usize,
///     reasons: Vec<DeadReason>,
/// }
///
/// impl Sink for Counts {
///     fn event(&mut self, event: Event) {
///         self.records += usize::from(matches!(event, Event::Put { .. }));
///     }
///     fn dead_letter(&mut self, dead: DeadLetter) {
///         self.reasons.push(dead.reason);
///     }
///     fn ignore(&mut self, _: Ignored) {}
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "0123456789abcdef0123456789abcdef")?;
/// let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// let config = tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
/// let mut decoder = Decoder::new(&config);
/// let mut counts = Counts::default();
///
/// // NDJSON: the second line is malformed and does not affect the others.
/// let data = br#"{"id":"t1","ts":1700000000000,"store":"s1","amount":"12.50"}
/// {"id":"t2","ts":
/// {"id":"t3","ts":1700000000000,"store":"s1","amount":"8.00"}"#;
/// decoder.decode(
///     &Message {
///         subject: "tributary.in.acme.transaction",
///         at: 1_700_000_001_000,
///         number: 1,
///         headers: &[],
///         data,
///     },
///     &mut counts,
/// );
/// assert_eq!(counts.records, 2);
/// assert_eq!(counts.reasons, [DeadReason::MalformedJson]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    brands: Vec<BrandContext>,
    /// The sources of each brand, sorted by name.
    sources: Vec<Vec<SourceContext>>,
    /// The cache of the last subject.
    routes: Routes,
    /// `ingest.max_future`, milliseconds.
    max_future: i64,
    /// `ingest.max_message_bytes`.
    max_line: usize,
    /// `ingest.strict`.
    strict: bool,
    /// Whether the records of robots are decoded like any others.
    keep_robots: bool,
    /// The labels that this decoder has announced, by brand.
    labels: Vec<AnnouncedLabels>,
    /// The key chains, by brand.
    chains: Vec<KeyChain>,
    /// The buffer of clear identifiers.
    scratch: Scratch,
}

impl Decoder {
    /// A decoder for the brands of a configuration that has announced no label
    /// yet.
    pub fn new(config: &Config) -> Decoder {
        let brands: Vec<BrandContext> = config.brands.iter().map(BrandContext::new).collect();
        let with_keys = config.brands.iter().zip(&brands);
        let sources = with_keys.map(|(brand, context)| SourceContext::sorted(brand, &context.key));
        Decoder {
            sources: sources.collect(),
            chains: brands
                .iter()
                .map(|context| context.key.chain().clone())
                .collect(),
            labels: brands
                .iter()
                .map(|context| AnnouncedLabels::new(context.id))
                .collect(),
            brands,
            routes: Routes::default(),
            max_future: config.ingest.max_future_ms,
            max_line: config.ingest.max_message_bytes,
            strict: config.ingest.strict,
            keep_robots: false,
            scratch: Scratch::default(),
        }
    }

    /// Decodes the web records of robots like any others, for searches that
    /// must find everything about a person.
    pub fn with_robots(mut self) -> Decoder {
        self.keep_robots = true;
        self
    }

    /// Decodes the messages of every source as native records, for corrections
    /// that are written by hand.
    pub fn without_adapters(mut self) -> Decoder {
        let sources = self.sources.iter_mut().flatten();
        sources.for_each(|source| source.adapter = None);
        self
    }

    /// Begins an epoch, which dates the use of labels. Epochs ascend.
    pub fn begin_epoch(&mut self, epoch: u64) {
        self.labels
            .iter_mut()
            .for_each(|labels| labels.begin_epoch(epoch));
    }

    /// Marks a label as announced, because it was restored after a restart.
    /// Returns whether it is new to this decoder; true for a brand that is not
    /// configured.
    pub fn mark_label_announced(&mut self, brand: BrandId, label: Label) -> bool {
        let labels = self.labels_of(brand);
        labels.is_none_or(|labels| labels.mark_announced(label))
    }

    /// Withdraws a label that nothing referenced at the end of epoch `as_of`,
    /// unless it has been used since. A withdrawn label is announced again
    /// before its next use.
    pub fn withdraw_label(&mut self, brand: BrandId, label: Label, as_of: u64) -> Withdrawal {
        let labels = self.labels_of(brand);
        labels.map_or(Withdrawal::NotAnnounced, |labels| {
            labels.withdraw(label, as_of)
        })
    }

    /// The labels of a brand; `None` if the brand is not configured.
    fn labels_of(&mut self, brand: BrandId) -> Option<&mut AnnouncedLabels> {
        let place = self.brands.iter().position(|context| context.id == brand);
        place.and_then(|place| self.labels.get_mut(place))
    }

    /// Closes the salt days of a brand before `before`: their pings are
    /// rejected from now on. Closed days stay closed.
    pub fn close_salt_days(&mut self, brand: BrandId, before: Day) {
        let mut brands = self.brands.iter_mut();
        if let Some(context) = brands.find(|context| context.id == brand) {
            context.first_salt_day = context.first_salt_day.max(before);
        }
    }

    /// Decodes a message into the sink, in the order of its lines. A message
    /// whose subject has no route is one dead letter as a whole. Otherwise each
    /// line is decoded on its own, and the position of a line, from 0, is part
    /// of its [`Arrival`], so that two records of one message have an order.
    pub fn decode(&mut self, message: &Message<'_>, sink: &mut impl Sink) {
        let mut place = 0;
        match cloud_events::open(message.headers, message.data) {
            Ok(Content::Payload(attributes)) => {
                self.decode_body(message, &attributes, message.data, &mut place, sink);
            }
            Ok(Content::Events(events)) => {
                if events.is_empty() {
                    sink.ignore(Ignored::NotMapped);
                }
                for event in events {
                    match event {
                        Ok(event) => {
                            let data = &event.data;
                            self.decode_body(message, &event.attributes, data, &mut place, sink);
                        }
                        Err((text, refusal)) => {
                            self.refuse_unread(message, text.as_bytes(), refusal, place, sink);
                            place = place.saturating_add(1);
                        }
                    }
                }
            }
            Err(refusal) => self.refuse_unread(message, message.data, refusal, place, sink),
        }
    }

    /// Emits the dead letter of a message, or of an event of it, whose lines
    /// were not read.
    fn refuse_unread(
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
            at: message.at,
            arrival: Arrival {
                message: message.number,
                line: place,
            },
            payload: payload.to_vec(),
        });
    }

    /// Decodes the lines of a payload. `place` is the position of the next line
    /// in the message.
    fn decode_body(
        &mut self,
        message: &Message<'_>,
        attributes: &Attributes<'_>,
        data: &[u8],
        place: &mut u32,
        sink: &mut impl Sink,
    ) {
        let (brands, sources) = (&self.brands, &self.sources);
        let source = attributes.source.as_deref();
        let route = self.routes.find(message.subject, source, brands, sources);
        let route = match route {
            Ok(route) => route,
            Err(unroutable) => {
                sink.dead_letter(DeadLetter {
                    brand: unroutable.brand,
                    kind: unroutable.kind,
                    reason: unroutable.refusal.reason,
                    detail: unroutable.refusal.detail,
                    subject: message.subject.to_owned(),
                    at: message.at,
                    arrival: Arrival {
                        message: message.number,
                        line: *place,
                    },
                    payload: data.to_vec(),
                });
                return;
            }
        };
        let adapter = sources.get(route.brand);
        let adapter = adapter.and_then(|sources| sources.get(route.source)?.adapter.clone());
        if let Some(adapter) = adapter {
            return self.decode_items(message, route, &adapter, attributes, data, place, sink);
        }
        let objects = lines::split(data);
        let single = objects.single;
        for (index, bytes) in objects.enumerate() {
            let id = supplied_id(attributes.id.as_deref(), single, index);
            let context = MessageContext {
                at: message.at,
                max_future: self.max_future,
                id: id.as_deref(),
                time: attributes.time.as_deref(),
                arrival: Arrival {
                    message: message.number,
                    line: *place,
                },
            };
            *place = place.saturating_add(1);
            if let Err(refusal) = self.decode_line(route, bytes, context, sink) {
                self.refuse(message, route, context.arrival, refusal, bytes, sink);
            }
        }
    }

    /// Decodes the items of a vendor's format.
    #[expect(clippy::too_many_arguments, reason = "the parts of one payload")]
    fn decode_items(
        &mut self,
        message: &Message<'_>,
        route: Route,
        adapter: &Adapter,
        attributes: &Attributes<'_>,
        data: &[u8],
        place: &mut u32,
        sink: &mut impl Sink,
    ) {
        let mut items = formats::items(&adapter.format, data).peekable();
        let mut index = 0;
        while let Some(item) = items.next() {
            let single = index == 0 && items.peek().is_none();
            let id = supplied_id(attributes.id.as_deref(), single, index);
            index += 1;
            let text = match self.text_of(&item) {
                Ok(text) => text,
                Err(refusal) => {
                    let arrival = Arrival {
                        message: message.number,
                        line: *place,
                    };
                    *place = place.saturating_add(1);
                    self.refuse(message, route, arrival, refusal, &item, sink);
                    continue;
                }
            };
            let item = Item {
                text,
                at: message.at,
                max_future: self.max_future,
                strict: self.strict,
                id: id.as_deref(),
            };
            let (max_future, id, time) =
                (self.max_future, id.as_deref(), attributes.time.as_deref());
            formats::read(adapter, item, &mut |part: &str, outcome| {
                let context = MessageContext {
                    at: message.at,
                    max_future,
                    id,
                    time,
                    arrival: Arrival {
                        message: message.number,
                        line: *place,
                    },
                };
                *place = place.saturating_add(1);
                let refused = match outcome {
                    Outcome::NotMapped => {
                        sink.ignore(Ignored::NotMapped);
                        Ok(())
                    }
                    Outcome::Refused(refusal) => Err(refusal),
                    Outcome::Record(record) => {
                        let route = Route {
                            kind: record.kind,
                            ..route
                        };
                        if record.is_time_corrected {
                            sink.time_corrected();
                        }
                        let fields = record.fields();
                        sink.native_record(record.kind, &|| {
                            completed(&record.to_json(), record.kind, context)
                        });
                        self.decode_fields(route, &fields, context, sink)
                            .map_err(|refusal| record.with_paths(refusal))
                    }
                };
                if let Err(refusal) = refused {
                    let bytes = part.as_bytes();
                    self.refuse(message, route, context.arrival, refusal, bytes, sink);
                }
            });
        }
    }

    /// Emits the dead letter of a line.
    fn refuse(
        &self,
        message: &Message<'_>,
        route: Route,
        arrival: Arrival,
        refusal: Refusal,
        payload: &[u8],
        sink: &mut impl Sink,
    ) {
        let brand = self.brands.get(route.brand);
        sink.dead_letter(DeadLetter {
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

    /// The text of a line.
    ///
    /// # Errors
    /// `too_large` and `not_utf8`.
    fn text_of<'a>(&self, bytes: &'a [u8]) -> FieldResult<&'a str> {
        if bytes.len() > self.max_line {
            let detail = format!("the line has more than {} bytes", self.max_line);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        std::str::from_utf8(bytes)
            .map_err(|_| Refusal::new(Reason::NotUtf8, "the line is not UTF-8"))
    }

    /// Decodes one line, which is one JSON object.
    ///
    /// # Errors
    /// The [`Refusal`] of the dead letter. Statements and evidence are emitted
    /// only for accepted lines.
    fn decode_line(
        &mut self,
        route: Route,
        bytes: &[u8],
        context: MessageContext<'_>,
        sink: &mut impl Sink,
    ) -> FieldResult<()> {
        let text = self.text_of(bytes)?;
        let mut fields = Fields::default();
        fields.fill(text).map_err(|error| {
            match self.source(route).is_some_and(|of| of.text_values) {
                true => row_refusal(text, &error),
                false => Refusal::no_object(text, &error),
            }
        })?;
        if self.strict && fields.has_unknown(route.kind) {
            return Err(unknown_field(route.kind));
        }
        sink.native_record(route.kind, &|| completed(text, route.kind, context));
        self.decode_fields(route, &fields, context, sink)
    }

    /// The source of a route.
    fn source(&self, route: Route) -> Option<&SourceContext> {
        self.sources.get(route.brand)?.get(route.source)
    }

    /// Decodes the fields of one record.
    ///
    /// # Errors
    /// As [`Decoder::decode_line`].
    fn decode_fields(
        &mut self,
        route: Route,
        fields: &Fields<'_>,
        context: MessageContext<'_>,
        sink: &mut impl Sink,
    ) -> FieldResult<()> {
        let brand = self.brands.get_mut(route.brand);
        let source = self
            .sources
            .get(route.brand)
            .and_then(|sources| sources.get(route.source));
        let labels = self.labels.get_mut(route.brand);
        let chain = self.chains.get(route.brand);
        let (Some(brand), Some(source), Some(labels), Some(chain)) = (brand, source, labels, chain)
        else {
            return Err(Refusal::new(Reason::UnknownSource, "no such source"));
        };
        let sink = &mut RekeyingSink { sink, chain };
        let mut line = Line {
            reader: Reader {
                fields,
                loose: source.text_values,
                decimal: source.decimal,
            },
            message: context,
            brand,
            source,
            labels,
            keep_robots: self.keep_robots,
            scratch: &mut self.scratch,
        };
        let event = match route.kind {
            Kind::Web => match web::read(&mut line, sink)? {
                Ok(event) => event,
                Err(ignored) => {
                    sink.ignore(ignored);
                    return Ok(());
                }
            },
            Kind::Transaction => transaction::read(&mut line, sink)?,
            Kind::Spend => spend::read(&mut line, sink)?,
            Kind::Consent => consent::read(&mut line, sink)?,
            Kind::Ping => match ping::read(&mut line, sink)? {
                PingOutcome::Ping(event) => event,
                PingOutcome::Ignored(what) => {
                    sink.ignore(what);
                    return Ok(());
                }
            },
        };
        sink.event(event);
        Ok(())
    }
}

/// The id that a message supplies to a record at a position: its own if it has
/// one record, else with the position, because an id names one record.
fn supplied_id(id: Option<&str>, single: bool, index: usize) -> Option<Cow<'_, str>> {
    let id = id?;
    Some(match single {
        true => Cow::Borrowed(id),
        false => Cow::Owned(format!("{id}/{index}")),
    })
}

/// A record with what its message supplies, as a JSON object with sorted keys.
fn completed(text: &str, kind: Kind, context: MessageContext<'_>) -> String {
    use serde_json::Value;
    let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    let supplied = [(Field::Id, context.id), (Field::Ts, context.time)];
    for (field, value) in supplied {
        let own = record.get(field.name());
        let is_absent = own.is_none_or(|own| own.is_null() || own == "");
        if let Some(value) = value.filter(|_| is_absent)
            && fields::of_kind(kind).contains(&field)
        {
            record.insert(field.name().to_owned(), Value::from(value));
        }
    }
    Value::Object(record).to_string()
}

/// The refusal of a CSV row that is not a record; its elements tell which rule
/// it breaks.
fn row_refusal(text: &str, error: &serde_json::Error) -> Refusal {
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
fn unknown_field(kind: Kind) -> Refusal {
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
