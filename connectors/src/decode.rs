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
mod items;
mod record;
mod refusals;
mod rekey;
mod route;
mod supplied;

use tributary_config::key_chain::KeyChain;
use tributary_config::model::Config;
use tributary_operators::label::Label;
use tributary_operators::record::{Arrival, BrandId, Day};

pub use self::arrivals::{Arrivals, MessageArrival};
use crate::brand::{BrandContext, SourceContext};
pub use crate::dead_letter::{DeadLetter, Ignored, Reason as DeadReason, Sink};
use crate::keys::Scratch;
use crate::lines;
use crate::native::labels::AnnouncedLabels;
pub use crate::native::labels::Withdrawal;
use crate::native::line::MessageContext;
use cloud_events::{Attributes, Content};
use route::{Route, Routes};
use supplied::supplied_id;

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
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
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
    /// Whether a MAC address is refused outside of the subjects of such.
    refuses_addresses: bool,
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
            refuses_addresses: false,
            scratch: Scratch::default(),
        }
    }

    /// The same decoder in the place of one whose configuration had fewer brands or
    /// sources. Of the brands of both it goes on with the labels that are announced,
    /// and with the salt days that are closed or settled.
    pub fn succeeding(mut self, before: &Decoder) -> Decoder {
        for (known, announced) in before.brands.iter().zip(&before.labels) {
            let mut brands = self.brands.iter_mut().zip(&mut self.labels);
            if let Some((brand, labels)) = brands.find(|(brand, _)| brand.id == known.id) {
                brand.first_salt_day = known.first_salt_day;
                brand.first_sighting_day = known.first_sighting_day;
                labels.clone_from(announced);
            }
        }
        self
    }

    /// Decodes the web records of robots like any others, for searches that
    /// must find everything about a person.
    pub fn with_robots(mut self) -> Decoder {
        self.keep_robots = true;
        self
    }

    /// Refuses records with MAC addresses in clear that come under another subject
    /// than those of the pings stream: the broker would keep them for as long as
    /// everything else. What comes from a file is kept by no broker.
    pub fn refusing_addresses(mut self) -> Decoder {
        self.refuses_addresses = true;
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

    /// Whether records that this decoder has read or that were restored use a name.
    pub fn knows_label(&mut self, brand: BrandId, label: Label) -> bool {
        let labels = self.labels_of(brand);
        labels.is_some_and(|labels| labels.is_announced(label))
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

    /// Settles the salt days of a brand before `before`: their sightings are
    /// rejected from now on, whatever arrival they claim. Settled days stay
    /// settled.
    pub fn settle_sightings(&mut self, brand: BrandId, before: Day) {
        let mut brands = self.brands.iter_mut();
        if let Some(context) = brands.find(|context| context.id == brand) {
            context.first_sighting_day = context.first_sighting_day.max(before);
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
                // Once the configuration has the brand or source, it can be sent again.
                let is_subject = unroutable.refusal.reason != DeadReason::MalformedSubject;
                sink.dead_letter(DeadLetter {
                    brand: unroutable.brand,
                    kind: unroutable.kind,
                    reason: unroutable.refusal.reason,
                    detail: unroutable.refusal.detail,
                    subject: message.subject.to_owned(),
                    source_subject: is_subject.then(|| message.subject.to_owned()),
                    is_resent: message.is_resent(),
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
        let source = sources
            .get(route.brand)
            .and_then(|sources| sources.get(route.source));
        if let Some(source) = source {
            sink.source(&source.name);
        }
        let adapter = source.and_then(|source| source.adapter.clone());
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
                takes_mac: route.takes_mac || !self.refuses_addresses,
            };
            *place = place.saturating_add(1);
            if let Err(refusal) = self.decode_line(route, bytes, context, sink) {
                self.refuse(message, route, context.arrival, refusal, bytes, sink);
            }
        }
    }
}
