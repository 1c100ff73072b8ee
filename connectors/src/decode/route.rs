//! Resolves a subject to a brand, a kind and a source.
//!
//! The subject is `tributary.in.<brand>.<kind>[.<source>[.<partition>]]`. Records of
//! partners that have a `mac` are published with `partner_mac` instead of the kind.
//! Without a source, the CloudEvents attribute `source` chooses one, by the
//! setting `ce_source` or by name, then the source that is named like the kind,
//! then the first of the kind. A name from outside is
//! never repeated in the refusal.

use tributary_config::model::Kind;

use crate::brand::{BrandContext, SourceContext};
use crate::dead_letter::{Reason, Refusal};

/// Kinds that the specification defines and that no source has. A dead letter
/// may name them, because they are no sender's invention.
const LATER: [&str; 1] = ["rights"];

/// The brand, the source and the kind that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The position of the brand in the configuration.
    pub brand: usize,
    /// The position of the source among the brand's, sorted by name.
    pub source: usize,
    /// The kind, which is that of the source.
    pub kind: Kind,
    /// Whether the subject is one whose messages may have MAC addresses in clear.
    pub takes_mac: bool,
}

/// A subject without a route, with the parts of it that are known.
#[derive(Clone, Debug)]
pub struct Unroutable {
    /// The brand, if it is configured.
    pub brand: Option<String>,
    /// The kind, if the specification defines it.
    pub kind: Option<String>,
    /// Why there is no route.
    pub refusal: Refusal,
}

/// Resolves subjects. It caches the last routes, because there are far fewer
/// subjects than messages.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    known: Vec<KnownRoute>,
    /// The position of the one that gives way to the next.
    oldest: usize,
}

/// A subject without its partition, a source, and the route of both.
#[derive(Clone, Debug)]
struct KnownRoute {
    subject: String,
    source: Option<String>,
    route: Route,
}

/// How many routes are cached.
const KNOWN: usize = 16;

impl Routes {
    /// The route of a subject; `source` is the header's, for a subject that
    /// names none.
    ///
    /// # Errors
    /// [`Unroutable`] with one of the reasons `malformed_subject`,
    /// `unknown_brand`, `unknown_kind` and `unknown_source`.
    pub fn find(
        &mut self,
        subject: &str,
        source: Option<&str>,
        brands: &[BrandContext],
        sources: &[Vec<SourceContext>],
    ) -> Result<Route, Box<Unroutable>> {
        if let Some(route) = self.known(subject, source) {
            return Ok(route);
        }
        let subject = without_partition(subject);
        if let Some(route) = self.known(subject, source) {
            return Ok(route);
        }
        let route = resolve(subject, source, brands, sources)?;
        let known = KnownRoute {
            subject: subject.to_owned(),
            source: source.map(str::to_owned),
            route,
        };
        match self.known.get_mut(self.oldest) {
            Some(oldest) => *oldest = known,
            None => self.known.push(known),
        }
        self.oldest = (self.oldest + 1) % KNOWN;
        Ok(route)
    }

    /// The route of a subject without a partition, if it is cached.
    fn known(&self, subject: &str, source: Option<&str>) -> Option<Route> {
        let mut known = self.known.iter();
        let is_it =
            |known: &&KnownRoute| known.subject == subject && known.source.as_deref() == source;
        known.find(is_it).map(|known| known.route)
    }
}

/// The subject without its sixth token. A partition only determines which
/// process reads the message.
fn without_partition(subject: &str) -> &str {
    let mut dots = memchr::memchr_iter(b'.', subject.as_bytes()).skip(4);
    match (dots.next(), dots.next()) {
        (Some(end), None) if end + 1 < subject.len() => subject.get(..end).unwrap_or(subject),
        _ => subject,
    }
}

/// Resolves a subject without the cache.
fn resolve(
    subject: &str,
    source: Option<&str>,
    brands: &[BrandContext],
    sources: &[Vec<SourceContext>],
) -> Result<Route, Box<Unroutable>> {
    let unroutable = |brand: Option<&str>, kind: Option<&str>, reason, detail: &str| {
        Box::new(Unroutable {
            brand: brand.map(str::to_owned),
            kind: kind.map(str::to_owned),
            refusal: Refusal::new(reason, detail),
        })
    };
    let mut tokens = subject.split('.');
    let mut token = || tokens.next().filter(|token| !token.is_empty());
    let (Some("tributary"), Some("in"), Some(brand), Some(word)) =
        (token(), token(), token(), token())
    else {
        return Err(malformed(unroutable));
    };
    let named = tokens.next();
    if named == Some("") || tokens.next().is_some() {
        return Err(malformed(unroutable));
    }
    let kind = Kind::of_subject(word);
    let known_word = kind.map(Kind::name);
    let known_word = known_word.or_else(|| LATER.into_iter().find(|later| *later == word));
    let index = brands.iter().position(|context| *context.name == *brand);
    let Some(index) = index else {
        let detail = "the subject's brand is not in the configuration";
        return Err(unroutable(None, known_word, Reason::UnknownBrand, detail));
    };
    let Some(kind) = kind else {
        let detail = "the subject's kind must be web, transaction, spend, ping, consent, wallet, partner or partner_mac";
        return Err(unroutable(
            Some(brand),
            known_word,
            Reason::UnknownKind,
            detail,
        ));
    };
    let sources = sources.get(index).map(Vec::as_slice).unwrap_or_default();
    let position = match named {
        Some(name) => source_position(sources, kind, name),
        None => source
            .and_then(|name| {
                let mut all = sources.iter();
                let is_it = |source: &SourceContext| {
                    source.kind == kind && source.ce_source.as_deref() == Some(name)
                };
                all.position(is_it)
                    .or_else(|| source_position(sources, kind, name))
            })
            .or_else(|| source_position(sources, kind, kind.name()))
            .or_else(|| {
                // What names no source is a native record, unless the brand has only vendors' sources.
                let mut all = sources.iter();
                all.position(|source| source.kind == kind && source.adapter.is_none())
            })
            .or_else(|| sources.iter().position(|source| source.kind == kind)),
    };
    match position {
        Some(position) => Ok(Route {
            brand: index,
            source: position,
            kind,
            takes_mac: kind == Kind::Ping || word == Kind::PARTNER_MAC,
        }),
        None => {
            let detail = "the subject's source is not one of the brand's for this kind";
            Err(unroutable(
                Some(brand),
                known_word,
                Reason::UnknownSource,
                detail,
            ))
        }
    }
}

/// The refusal of a subject that does not have four or five tokens under
/// `tributary.in`.
fn malformed<T>(unroutable: impl Fn(Option<&str>, Option<&str>, Reason, &str) -> T) -> T {
    let detail = "the subject must be tributary.in.<brand>.<kind>, with .<source> or .<source>.<partition> behind it or not";
    unroutable(None, None, Reason::MalformedSubject, detail)
}

/// The position of the source with this kind and name.
fn source_position(sources: &[SourceContext], kind: Kind, name: &str) -> Option<usize> {
    let is_it = |source: &SourceContext| source.kind == kind && *source.name == *name;
    sources.iter().position(is_it)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::fixture;

    /// Whatever was asked before, the route is the one that is resolved.
    #[test]
    fn what_came_before_never_shows() {
        let config = fixture::config(vec![fixture::brand("acme"), fixture::brand("shop")]);
        let brands: Vec<BrandContext> = config.brands.iter().map(BrandContext::new).collect();
        let of = config.brands.iter().zip(&brands);
        let sources: Vec<Vec<SourceContext>> = of
            .map(|(brand, context)| SourceContext::sorted(brand, &context.key))
            .collect();
        let subjects = [
            "tributary.in.acme.web",
            "tributary.in.acme.web.web",
            "tributary.in.acme.web.web.3",
            "tributary.in.acme.web.web.3.4",
            "tributary.in.acme.web.web.",
            "tributary.in.acme.web.ping",
            "tributary.in.acme.web.",
            "tributary.in.acme.ping",
            "tributary.in.acme.partner_mac",
            "tributary.in.shop.web",
            "tributary.in.shop.web.web.17",
            "tributary.in.shop.transaction",
            "tributary.in.other.web",
            "tributary.in.acme.weather",
            "tributary",
            "",
        ];
        let names = [None, Some("web"), Some("ping"), Some("transaction")];
        let mut routes = Routes::default();
        let mut found = 0;
        for step in 0..4_000_usize {
            let draw = step.wrapping_mul(2_654_435_761) >> 7;
            let subject = subjects[draw % subjects.len()];
            let source = names[draw / subjects.len() % names.len()];
            let expected = resolve(without_partition(subject), source, &brands, &sources);
            let route = routes.find(subject, source, &brands, &sources);
            assert_eq!(route.as_ref().ok(), expected.as_ref().ok(), "{subject}");
            found += usize::from(route.is_ok());
        }
        assert!(found > 1_000 && routes.known.len() == KNOWN);
    }
}
