//! Resolves a subject to a brand, a kind and a source.

use tributary_config::model::Kind;

use crate::brand::{BrandContext, SourceContext};
use crate::dead_letter::{Reason, Refusal};

/// Kinds of the specification that are not taken yet: named in dead letters, since they are no
/// sender's invention.
const LATER: [&str; 2] = ["partner", "rights"];

/// The brand, source and kind that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The position of the brand.
    pub brand: usize,
    /// The position of the source among the brand's.
    pub source: usize,
    /// The kind.
    pub kind: Kind,
}

/// A subject without a route, and the parts of it that are known.
#[derive(Clone, Debug)]
pub struct Unroutable {
    /// The brand, where it is a configured one.
    pub brand: Option<String>,
    /// The kind, where it is a word of the specification.
    pub kind: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

/// Resolves subjects. It caches the last route because messages of one subject arrive in runs.
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
        brands: &[BrandContext],
        sources: &[Vec<SourceContext>],
    ) -> Result<Route, Box<Unroutable>> {
        let subject = without_partition(subject);
        if let Some(route) = self.route
            && self.subject == subject
            && self.source.as_deref() == source
        {
            return Ok(route);
        }
        let route = resolve(subject, source, brands, sources)?;
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
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    let known_word = kind.map(Kind::name);
    let known_word = known_word.or_else(|| LATER.into_iter().find(|later| *later == word));
    let index = brands.iter().position(|context| *context.name == *brand);
    let Some(index) = index else {
        let detail = "the subject's brand is not in the configuration";
        return Err(unroutable(None, known_word, Reason::UnknownBrand, detail));
    };
    let Some(kind) = kind else {
        let detail = "the subject's kind must be web, transaction, spend, ping or consent";
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
            .and_then(|name| source_position(sources, kind, name))
            .or_else(|| source_position(sources, kind, kind.name()))
            .or_else(|| sources.iter().position(|source| source.kind == kind)),
    };
    match position {
        Some(position) => Ok(Route {
            brand: index,
            source: position,
            kind,
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

fn malformed<T>(unroutable: impl Fn(Option<&str>, Option<&str>, Reason, &str) -> T) -> T {
    let detail = "the subject must be tributary.in.<brand>.<kind>, with .<source> or .<source>.<partition> behind it or not";
    unroutable(None, None, Reason::MalformedSubject, detail)
}

fn source_position(sources: &[SourceContext], kind: Kind, name: &str) -> Option<usize> {
    let is_it = |source: &SourceContext| source.kind == kind && *source.name == *name;
    sources.iter().position(is_it)
}
