//! From a subject to a brand, a kind and a source.

use tributary_config::model::Kind;

use crate::brand::{BrandContext, SourceContext};
use crate::dead_letter::{Reason, Refusal};

/// Kinds of the specification that are not taken yet: named in dead letters, since they are no
/// sender's invention.
const LATER: [&str; 2] = ["partner", "rights"];

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The position of the brand.
    pub brand: usize,
    /// The position of the source among the brand's.
    pub source: usize,
    /// The kind.
    pub kind: Kind,
}

/// A subject that leads nowhere, with what of it is known.
#[derive(Clone, Debug)]
pub struct Unroutable {
    /// The brand, where it is a configured one.
    pub brand: Option<String>,
    /// The kind, where it is a word of the specification.
    pub kind: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

/// Finds routes, and remembers the last one: messages of a subject come in rows.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    subject: String,
    source: Option<String>,
    route: Option<Route>,
}

impl Routes {
    /// The route of a subject, with the source that the headers name where the subject names none.
    pub fn find(
        &mut self,
        subject: &str,
        source: Option<&str>,
        tenants: &[BrandContext],
        feeds: &[Vec<SourceContext>],
    ) -> Result<Route, Box<Unroutable>> {
        let subject = without_partition(subject);
        if let Some(route) = self.route
            && self.subject == subject
            && self.source.as_deref() == source
        {
            return Ok(route);
        }
        let route = find(subject, source, tenants, feeds)?;
        self.subject.clear();
        self.subject.push_str(subject);
        self.source = source.map(str::to_owned);
        self.route = Some(route);
        Ok(route)
    }
}

/// A sixth token only says which process reads the message: it is a partition, and no part of the
/// route.
fn without_partition(subject: &str) -> &str {
    let mut dots = subject.match_indices('.').map(|(place, _)| place).skip(4);
    match (dots.next(), dots.next()) {
        (Some(end), None) if end + 1 < subject.len() => subject.get(..end).unwrap_or(subject),
        _ => subject,
    }
}

fn find(
    subject: &str,
    source: Option<&str>,
    tenants: &[BrandContext],
    feeds: &[Vec<SourceContext>],
) -> Result<Route, Box<Unroutable>> {
    let stray = |brand: Option<&str>, kind: Option<&str>, reason, detail: &str| {
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
        return Err(malformed(stray));
    };
    let named = tokens.next();
    if named == Some("") || tokens.next().is_some() {
        return Err(malformed(stray));
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    let known_word = kind.map(Kind::name);
    let known_word = known_word.or_else(|| LATER.into_iter().find(|later| *later == word));
    let tenant = tenants.iter().position(|tenant| *tenant.name == *brand);
    let Some(tenant) = tenant else {
        let detail = "the subject's brand is not in the configuration";
        return Err(stray(None, known_word, Reason::UnknownBrand, detail));
    };
    let Some(kind) = kind else {
        let detail = "the subject's kind must be web, transaction, spend, ping or consent";
        return Err(stray(Some(brand), known_word, Reason::UnknownKind, detail));
    };
    let feeds = feeds.get(tenant).map(Vec::as_slice).unwrap_or_default();
    let feed = match named {
        Some(name) => position(feeds, kind, name),
        None => source
            .and_then(|name| position(feeds, kind, name))
            .or_else(|| position(feeds, kind, kind.name()))
            .or_else(|| feeds.iter().position(|feed| feed.kind == kind)),
    };
    match feed {
        Some(feed) => Ok(Route {
            brand: tenant,
            source: feed,
            kind,
        }),
        None => {
            let detail = "the subject's source is not one of the brand's for this kind";
            Err(stray(
                Some(brand),
                known_word,
                Reason::UnknownSource,
                detail,
            ))
        }
    }
}

fn malformed<T>(stray: impl Fn(Option<&str>, Option<&str>, Reason, &str) -> T) -> T {
    let detail = "the subject must be tributary.in.<brand>.<kind>, with .<source> or .<source>.<partition> behind it or not";
    stray(None, None, Reason::MalformedSubject, detail)
}

fn position(feeds: &[SourceContext], kind: Kind, name: &str) -> Option<usize> {
    let is_it = |feed: &SourceContext| feed.kind == kind && *feed.name == *name;
    feeds.iter().position(is_it)
}
