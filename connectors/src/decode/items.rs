//! Items of a vendor's format, each of which becomes native records.

use super::supplied::completed;
use super::{Attributes, Decoder, Message, Route};
use crate::dead_letter::{Ignored, Sink};
use crate::formats::{self, Adapter, Item, Outcome, SuppliedId};
use crate::native::line::MessageContext;
use tributary_operators::record::Arrival;

impl Decoder {
    /// Decodes the items of a vendor's format.
    #[expect(clippy::too_many_arguments, reason = "the parts of one payload")]
    pub(super) fn decode_items(
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
            let id = attributes.id.as_deref();
            let id = id.map(|id| SuppliedId {
                id,
                position: (!single).then_some(index),
            });
            let text = match self.text_of(&item) {
                Ok(text) => text,
                Err(refusal) => {
                    index += 1;
                    let arrival = Arrival {
                        message: message.number,
                        line: *place,
                    };
                    *place = place.saturating_add(1);
                    self.refuse(message, route, arrival, refusal, &item, sink);
                    continue;
                }
            };
            index += match id {
                Some(_) => formats::elements(&adapter.format, text),
                None => 1,
            };
            let item = Item {
                text,
                at: message.at,
                max_future: self.max_future,
                strict: self.strict,
                id,
            };
            let id = id.map(|id| id.to_string());
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
                    takes_mac: route.takes_mac || !self.refuses_addresses,
                };
                *place = place.saturating_add(1);
                let refused = match outcome {
                    Outcome::NotMapped => {
                        sink.ignore(Ignored::NotMapped);
                        Ok(())
                    }
                    Outcome::Rights(request) => {
                        if let Some(brand) = self.brands.get(route.brand) {
                            sink.rights_request(&brand.name, &request);
                        }
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
}
