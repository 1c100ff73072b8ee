//! One record: a line that is a JSON object, or what an adapter made of an item.

use super::refusals::{row_refusal, unknown_field, with_columns};
use super::rekey::RekeyingSink;
use super::supplied::completed;
use super::{Decoder, Route};
use crate::brand::SourceContext;
use crate::dead_letter::{Reason, Refusal, Sink};
use crate::native::fields::Fields;
use crate::native::line::{Line, MessageContext};
use crate::native::ping::{self, PingOutcome};
use crate::native::reader::{FieldResult, Reader};
use crate::native::{consent, partner, spend, transaction, wallet, web};
use tributary_config::model::Kind;

impl Decoder {
    /// The text of a line.
    ///
    /// # Errors
    /// `too_large` and `not_utf8`.
    pub(super) fn text_of<'a>(&self, bytes: &'a [u8]) -> FieldResult<&'a str> {
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
    pub(super) fn decode_line(
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
        let decoded = self.decode_fields(route, &fields, context, sink);
        decoded.map_err(|refusal| match self.source(route) {
            Some(source) => with_columns(refusal, &source.columns),
            None => refusal,
        })
    }

    /// The source of a route.
    pub(super) fn source(&self, route: Route) -> Option<&SourceContext> {
        self.sources.get(route.brand)?.get(route.source)
    }

    /// Decodes the fields of one record.
    ///
    /// # Errors
    /// As [`Decoder::decode_line`].
    pub(super) fn decode_fields(
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
        // A rejected record leaves none behind.
        self.scratch.take_emails();
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
            Kind::Wallet => wallet::read(&mut line, sink)?,
            Kind::Partner => partner::read(&mut line, sink)?,
            Kind::Ping => match ping::read(&mut line, sink)? {
                PingOutcome::Ping(event) => event,
                PingOutcome::Ignored(what) => {
                    sink.ignore(what);
                    return Ok(());
                }
            },
        };
        let emails = line.scratch.take_emails();
        if emails.all > 0 {
            sink.emails(line.brand.id, emails);
        }
        sink.event(event);
        Ok(())
    }
}
