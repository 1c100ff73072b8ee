//! The sections of a configuration in the order of the file, each under a path
//! that no other one has.
//!
//! The path of a section that may repeat contains the name of the entry and not
//! its position, so that the order of brands, sources, partners and boxes makes
//! no difference: `brand.acme.source.web.csv`. Only tokens have no names, and
//! are numbered.

use crate::model::{Brand, Config, Format, Source};
use crate::settings::SettingsModel;

/// What is done with each section.
pub(crate) trait Visitor {
    /// Takes a section.
    fn section<T: SettingsModel>(&mut self, path: &str, model: &T);

    /// Takes a source.
    fn source(&mut self, path: &str, source: &Source) {
        self.section(path, source);
    }
}

/// Visits every section.
pub(crate) fn walk(config: &Config, visitor: &mut impl Visitor) {
    top(&config.nats, visitor);
    top(&config.workers, visitor);
    top(&config.log, visitor);
    top(&config.telemetry, visitor);
    top(&config.ledger, visitor);
    top(&config.http, visitor);
    for (at, token) in config.http.tokens.iter().enumerate() {
        visitor.section(&format!("http.token[{at}]"), token);
    }
    top(&config.http_ingest, visitor);
    for (at, token) in config.http_ingest.tokens.iter().enumerate() {
        visitor.section(&format!("http_ingest.token[{at}]"), token);
    }
    top(&config.ingest, visitor);
    top(&config.release, visitor);
    for brand in &config.brands {
        walk_brand(brand, visitor);
    }
}

/// Visits a brand and the sections below it.
fn walk_brand(brand: &Brand, visitor: &mut impl Visitor) {
    let path = format!("brand.{}", brand.name);
    visitor.section(&path, brand);
    let identity = below(&path, &brand.identity, visitor);
    below(&identity, &brand.identity.max_degree, visitor);
    below(&identity, &brand.identity.link_ttl, visitor);
    below(&path, &brand.attribution, visitor);
    below(&path, &brand.channels, visitor);
    below(&path, &brand.names, visitor);
    below(&path, &brand.sensors, visitor);
    below(&path, &brand.wallet, visitor);
    below(&path, &brand.partners, visitor);
    for partner in &brand.partner {
        visitor.section(&format!("{path}.partner.{}", partner.name), partner);
    }
    let consent = below(&path, &brand.consent, visitor);
    below(&consent, &brand.consent.also_needs, visitor);
    for of in &brand.boxes {
        visitor.section(&format!("{path}.box.{}", of.name), of);
    }
    below(&path, &brand.retention, visitor);
    below(&path, &brand.release, visitor);
    below(&path, &brand.noise, visitor);
    for source in &brand.sources {
        let path = format!("{path}.source.{}", source.name);
        visitor.source(&path, source);
        if let Format::Csv(csv) = &source.format {
            below(&path, csv, visitor);
        }
    }
}

/// Visits a section below the root.
fn top<T: SettingsModel>(model: &T, visitor: &mut impl Visitor) {
    visitor.section(T::SECTION.path, model);
}

/// Visits a section below another one, and returns its path.
fn below<T: SettingsModel>(path: &str, model: &T, visitor: &mut impl Visitor) -> String {
    let path = format!("{path}.{}", T::SECTION.key());
    visitor.section(&path, model);
    path
}
