//! From messages to events: every line becomes exactly one event, one dead letter or one omission; an event of
//! the web may bring along what the person allows with it, and the evidence of that.
//!
//! A message is one JSON object, however it is laid out, or NDJSON, where every line stands alone: a bad
//! one is refused and the others count. Headers of CloudEvents lend a record what it lacks. The
//! decoder keeps no records; it remembers which words it has told and what time zones have answered,
//! so that each worker thread has a decoder of its own, and any two give the same events.

mod arrivals;
mod climb;
mod lines;
mod route;

use tributary_config::chain::Chain;
use tributary_config::model::{Config, Kind};
use tributary_operators::label::Label;
use tributary_operators::record::{Arrival, BrandId, Day};

pub use self::arrivals::{Arrivals, MessageArrival};
pub use crate::dead::{DeadLetter, Ignored, Reason as DeadReason, Sink};
use crate::dead::{Reason, Refusal};
use crate::keys::Scratch;
use crate::native::fields::Fields;
pub use crate::native::labels::Withdrawal;
use crate::native::labels::Words;
use crate::native::line::{Given, Line};
use crate::native::ping::{self, Heard};
use crate::native::reader::{Read, Reader};
use crate::native::{consent, fields, spend, transaction, web};
use crate::tenant::{Feed, Tenant};
use climb::Climb;
use route::{Route, Routes};

/// One message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `tributary.in.<brand>.<kind>`, with or without `.<source>`.
    pub subject: &'a str,
    /// When it arrived, Unix milliseconds.
    pub at: i64,
    /// Its place in the order of arrival.
    pub number: u64,
    /// Its headers.
    pub headers: &'a [(String, String)],
    /// One JSON object or NDJSON.
    pub data: &'a [u8],
}

/// What turns messages into events. One a worker thread.
#[derive(Clone, Debug)]
pub struct Decoder {
    tenants: Vec<Tenant>,
    feeds: Vec<Vec<Feed>>,
    routes: Routes,
    max_future: i64,
    max_line: usize,
    strict: bool,
    robots: bool,
    /// For each tenant the words that were told.
    words: Vec<Words>,
    /// For each tenant the links between its secrets.
    chains: Vec<Chain>,
    scratch: Scratch,
}

/// The headers that lend a record what it lacks.
#[derive(Clone, Copy, Default)]
struct Lent<'a> {
    id: Option<&'a str>,
    time: Option<&'a str>,
    source: Option<&'a str>,
}

impl Decoder {
    /// A decoder for the brands of a configuration, with no word told yet.
    pub fn new(config: &Config) -> Decoder {
        let tenants: Vec<Tenant> = config.brands.iter().map(Tenant::new).collect();
        let with_keys = config.brands.iter().zip(&tenants);
        let feeds = with_keys.map(|(brand, tenant)| Feed::all(brand, &tenant.key));
        Decoder {
            feeds: feeds.collect(),
            chains: tenants.iter().map(|t| t.key.chain().clone()).collect(),
            words: tenants.iter().map(|tenant| Words::of(tenant.id)).collect(),
            tenants,
            routes: Routes::default(),
            max_future: config.ingest.max_future_ms,
            max_line: config.ingest.max_message_bytes,
            strict: config.ingest.strict,
            robots: false,
            scratch: Scratch::default(),
        }
    }

    /// Reads the web records of robots like any others, for whoever looks for all that a person has left.
    pub fn with_robots(mut self) -> Decoder {
        self.robots = true;
        self
    }

    /// Begins an epoch, later than the one before.
    pub fn begin(&mut self, epoch: u64) {
        self.words.iter_mut().for_each(|words| words.begin(epoch));
    }

    /// The word of a label counts as announced, because it is known from before a restart. Whether it was not announced yet.
    pub fn know_word(&mut self, brand: BrandId, label: Label) -> bool {
        let words = self.words_of(brand);
        words.is_none_or(|words| words.know(label))
    }

    /// Nothing named the word of a label at the end of an epoch: what becomes of it.
    pub fn withdraw_word(&mut self, brand: BrandId, label: Label, as_of: u64) -> Withdrawal {
        let words = self.words_of(brand);
        words.map_or(Withdrawal::NotAnnounced, |words| {
            words.withdraw(label, as_of)
        })
    }

    fn words_of(&mut self, brand: BrandId) -> Option<&mut Words> {
        let place = self.tenants.iter().position(|tenant| tenant.id == brand);
        place.and_then(|place| self.words.get_mut(place))
    }

    /// Refuses pings of a brand's salt days before one from now on: these days are closed.
    pub fn close_salt_days(&mut self, brand: BrandId, before: Day) {
        let mut tenants = self.tenants.iter_mut();
        if let Some(tenant) = tenants.find(|tenant| tenant.id == brand) {
            tenant.first_salt_day = tenant.first_salt_day.max(before);
        }
    }

    /// Decodes a message into the sink, in the order of its lines.
    pub fn message(&mut self, message: &Message<'_>, sink: &mut impl Sink) {
        let lent = Lent::of(message.headers);
        let (tenants, feeds) = (&self.tenants, &self.feeds);
        let route = self
            .routes
            .find(message.subject, lent.source, tenants, feeds);
        let route = match route {
            Ok(route) => route,
            Err(stray) => {
                sink.dead(DeadLetter {
                    brand: stray.brand,
                    kind: stray.kind,
                    reason: stray.refusal.reason,
                    detail: stray.refusal.detail,
                    subject: message.subject.to_owned(),
                    at: message.at,
                    arrival: Arrival {
                        message: message.number,
                        line: 0,
                    },
                    payload: message.data.to_vec(),
                });
                return;
            }
        };
        let objects = lines::split(message.data);
        let single = objects.single;
        for (place, bytes) in objects.enumerate() {
            let given = Given {
                at: message.at,
                max_future: self.max_future,
                // An id names one record: that of a message with several lends itself to none.
                id: lent.id.filter(|_| single),
                time: lent.time,
                arrival: Arrival {
                    message: message.number,
                    line: u32::try_from(place).unwrap_or(u32::MAX),
                },
            };
            if let Err(refusal) = self.line(route, bytes, given, sink) {
                let tenant = self.tenants.get(route.tenant);
                sink.dead(DeadLetter {
                    brand: tenant.map(|tenant| tenant.name.to_string()),
                    kind: Some(route.kind.name().to_owned()),
                    reason: refusal.reason,
                    detail: refusal.detail,
                    subject: message.subject.to_owned(),
                    at: message.at,
                    arrival: given.arrival,
                    payload: bytes.to_vec(),
                });
            }
        }
    }

    fn line(
        &mut self,
        route: Route,
        bytes: &[u8],
        given: Given<'_>,
        sink: &mut impl Sink,
    ) -> Read<()> {
        if bytes.len() > self.max_line {
            let detail = format!("the line has more than {} bytes", self.max_line);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Refusal::new(Reason::NotUtf8, "the line is not UTF-8"))?;
        let tenant = self.tenants.get_mut(route.tenant);
        let feed = self
            .feeds
            .get(route.tenant)
            .and_then(|feeds| feeds.get(route.feed));
        let words = self.words.get_mut(route.tenant);
        let chain = self.chains.get(route.tenant);
        let (Some(tenant), Some(feed), Some(words), Some(chain)) = (tenant, feed, words, chain)
        else {
            return Err(Refusal::new(Reason::UnknownSource, "no such source"));
        };
        let mut fields = Fields::default();
        fields.fill(text).map_err(|error| match feed.loose {
            true => no_row(text, &error),
            false => no_object(text, &error),
        })?;
        if self.strict && fields.has_unknown(route.kind) {
            return Err(unknown_field(route.kind));
        }
        let sink = &mut Climb { sink, chain };
        let mut line = Line {
            reader: Reader {
                fields: &fields,
                loose: feed.loose,
                decimal: feed.decimal,
            },
            given,
            tenant,
            feed,
            words,
            robots: self.robots,
            scratch: &mut self.scratch,
        };
        let event = match route.kind {
            Kind::Web => match web::read(&mut line, sink)? {
                Ok(event) => event,
                Err(ignored) => {
                    sink.ignored(ignored);
                    return Ok(());
                }
            },
            Kind::Transaction => transaction::read(&mut line, sink)?,
            Kind::Spend => spend::read(&mut line, sink)?,
            Kind::Consent => consent::read(&mut line, sink)?,
            Kind::Ping => match ping::read(&mut line, sink)? {
                Heard::Ping(event) => event,
                Heard::Ignored(what) => {
                    sink.ignored(what);
                    return Ok(());
                }
            },
        };
        sink.event(event);
        Ok(())
    }
}

impl<'a> Lent<'a> {
    fn of(headers: &'a [(String, String)]) -> Lent<'a> {
        let mut lent = Lent::default();
        for (name, value) in headers {
            let prefixed = name
                .get(..2)
                .is_some_and(|ce| ce.eq_ignore_ascii_case("ce"));
            let attribute = name.get(2..).and_then(|rest| rest.strip_prefix(['-', '_']));
            let Some(name) = attribute.filter(|_| prefixed) else {
                continue;
            };
            let place = if name.eq_ignore_ascii_case("id") {
                &mut lent.id
            } else if name.eq_ignore_ascii_case("time") {
                &mut lent.time
            } else if name.eq_ignore_ascii_case("source") {
                &mut lent.source
            } else {
                continue;
            };
            *place = Some(value.as_str()).filter(|value| !value.is_empty());
        }
        lent
    }
}

/// Why what came of the rows of a CSV file is no record.
fn no_row(text: &str, error: &serde_json::Error) -> Refusal {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Part {
        Cell(#[allow(dead_code)] String),
        Cells(#[allow(dead_code)] Vec<String>),
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
        _ => no_object(text, error),
    }
}

fn no_object(text: &str, error: &serde_json::Error) -> Refusal {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Refusal::new(Reason::NotAnObject, "the line must be a JSON object"),
        Err(_) => Refusal::new(
            Reason::MalformedJson,
            format!(
                "no JSON at line {}, column {} of the object",
                error.line(),
                error.column()
            ),
        ),
    }
}

/// The name of the field comes from outside, so it is not repeated.
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
