//! Stream scrub: finds the messages of a stream that contain data of a person.
//!
//! Each message is examined twice. Decoding it with the current rules finds
//! every spelling of an identifier that the decoder understands. A search of
//! its bytes for the clear-text values and their SHA-256 digests finds rejected
//! lines, which cannot be decoded.

use std::time::Duration;

use aho_corasick::AhoCorasick;
use data_encoding::HEXLOWER;
use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};
use tributary_config::model::Config;
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_connectors::nats::{Client, InMessage, Reader, stream_state};
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Pseudonym};
use tributary_rights::Request;
use tributary_rights::request::Identifier;
use zeroize::{Zeroizing, zeroize_stack};

use super::subject::Person;
use crate::broker::retry::retry_transient;

/// Minimum length, in bytes, of a value that is searched for as it is. Shorter
/// values are searched for in quotation marks only, because they occur in
/// unrelated text.
const LONG: usize = 6;

/// Maximum time to wait for messages before the read is repeated.
const LOOK: Duration = Duration::from_millis(500);

/// Decides whether a message contains data of the persons of a batch.
pub struct Finder {
    /// Decodes each message, including those of robots.
    decoder: Decoder,
    /// Receives the decoded events.
    named: Named,
    /// Automaton over the clear-text values and digests; `None` if it cannot be
    /// built.
    text: Option<AhoCorasick>,
}

/// A [`Sink`] that looks for the pseudonyms of the persons.
struct Named {
    /// Pseudonyms and device addresses, by brand.
    ids: FxHashSet<(BrandId, Pseudonym)>,
    /// Whether one was found since it was last reset.
    found: bool,
}

impl Finder {
    /// Creates a finder for persons, and for the clear-text values in their
    /// requests.
    pub fn new(config: &Config, persons: &[(BrandId, &Person)], requests: &[&Request]) -> Finder {
        let ids = persons.iter().flat_map(|(brand, person)| {
            let ids = person.ids.iter().map(|id| id.pseudonym);
            ids.chain(person.devices.iter().copied())
                .map(|id| (*brand, id))
        });
        let mut texts: Vec<Zeroizing<String>> = Vec::new();
        for request in requests {
            for identifier in &request.identifiers {
                // A name alone is shared by many; all three are found by decoding.
                if let Identifier::One { value, .. } = identifier {
                    texts.extend(spellings(value.expose()));
                }
            }
        }
        texts.sort_unstable_by(|a, b| a.as_str().cmp(b));
        texts.dedup();
        let mut builder = AhoCorasick::builder();
        Finder {
            decoder: Decoder::new(config).with_robots(),
            named: Named {
                ids: ids.collect(),
                found: false,
            },
            text: {
                let texts = texts.iter().map(|text| text.as_bytes());
                builder.ascii_case_insensitive(true).build(texts).ok()
            },
        }
    }

    /// Whether a message contains data of one of the persons. A dead letter is
    /// decoded under its original subject.
    pub fn holds(&mut self, message: &InMessage) -> bool {
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.is_match(&message.payload[..]))
        {
            return true;
        }
        // A dead letter is read as the message that it was.
        let was = message
            .headers
            .iter()
            .find(|(name, _)| name == "Tributary-Subject");
        let subject = was.map_or(message.subject.as_str(), |(_, subject)| subject.as_str());
        let message = Message {
            subject,
            at: message.at_ms,
            number: message.sequence,
            headers: &message.headers,
            data: &message.payload,
        };
        self.named.found = false;
        self.decoder.decode(&message, &mut self.named);
        self.named.found
    }
}

impl Sink for Named {
    fn event(&mut self, event: Event) {
        self.found |= match event {
            Event::Put { record, .. } => {
                let mut ids = record.ids.ids().iter();
                ids.any(|id| self.ids.contains(&(record.brand, id.pseudonym)))
            }
            Event::Ping { ping, .. } => self.ids.contains(&(ping.brand, ping.device)),
            _ => false,
        };
    }

    fn dead_letter(&mut self, _: DeadLetter) {}

    fn ignore(&mut self, _: Ignored) {}
}

/// Forms in which a value may appear in a message: as given, and as its SHA-256
/// digest in hexadecimal.
fn spellings(value: &str) -> [Zeroizing<String>; 2] {
    let value = value.trim();
    let plain = Zeroizing::new(value.to_lowercase());
    let digest = Sha256::digest(plain.as_bytes());
    let digest = HEXLOWER.encode(&digest);
    let written = match plain.len() >= LONG {
        true => plain,
        false => Zeroizing::new(format!("\"{}\"", *plain)),
    };
    [written, Zeroizing::new(digest)]
}

/// How much of the stack a search may have used for clear text, bytes.
const SEARCH_STACK: usize = 64 << 10;

/// Adds the sequences of the messages up to `until` that contain data of the
/// persons. Not inlined, so that its stack can be overwritten when it has returned.
#[inline(never)]
fn search(batch: &[InMessage], until: u64, finder: &mut Finder, found: &mut Vec<u64>) {
    let held = batch.iter().filter(|message| message.sequence <= until);
    found.extend(
        held.filter(|message| finder.holds(message))
            .map(|message| message.sequence),
    );
}

/// Sequence numbers of the messages of a stream, up to `until`, that contain
/// data of the persons.
///
/// # Errors
///
/// An error of the broker that a retry cannot resolve.
pub async fn find(
    client: &Client,
    stream: &str,
    until: Option<u64>,
    finder: &mut Finder,
) -> anyhow::Result<Vec<u64>> {
    let state = retry_transient(|| stream_state(client, stream)).await?;
    let until = until
        .unwrap_or(state.last_sequence)
        .min(state.last_sequence);
    let mut found = Vec::new();
    if state.messages == 0 {
        return Ok(found);
    }
    let mut reader = retry_transient(|| Reader::open(client, stream, 1)).await?;
    loop {
        let batch = match reader.next_batch(1_000, LOOK).await {
            Ok(batch) => batch,
            Err(error) if error.is_transient() => {
                tracing::warn!(stream, %error, "retrying to read");
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let ended = batch.is_empty() && reader.caught_up();
        tokio::task::block_in_place(|| {
            search(&batch, until, finder, &mut found);
            // On this thread, before another task uses it.
            zeroize_stack::<SEARCH_STACK>();
        });
        if ended || reader.next_sequence() > until || reader.caught_up() {
            return Ok(found);
        }
    }
}
