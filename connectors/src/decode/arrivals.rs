//! Arrival times: when a message counts as having arrived, and which clock
//! drives a brand's sensor days.
//!
//! A message arrives when the stream stores it, which no sender can choose. A
//! source with `arrival_header` is the exception: a load test that replays an
//! old trace states the arrival in the header [`AT_HEADER`], and the days of
//! its brand then follow those headers alone. A header never counts as later
//! than the stream's own time, so no sender can move a clock into the future. A
//! message without a source moves no clock.

use tributary_config::model::Config;

use super::cloud_events;
use super::route::Routes;
use crate::brand::{BrandContext, SourceContext};
use crate::nats::AT_HEADER;

/// Determines the arrival of messages under a configuration.
#[derive(Clone, Debug)]
pub struct Arrivals {
    brands: Vec<BrandContext>,
    sources: Vec<Vec<SourceContext>>,
    routes: Routes,
    /// For each brand, whether any of its sources has `arrival_header`.
    by_header: Vec<bool>,
}

/// When a message counts as having arrived, and whose clock it advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageArrival {
    /// The arrival, Unix milliseconds.
    pub at: i64,
    /// The position of the brand whose sensor days follow this message; `None`
    /// if they follow the stream.
    pub brand: Option<usize>,
}

impl Arrivals {
    /// Arrivals under the sources of a configuration.
    pub fn new(config: &Config) -> Arrivals {
        let brands: Vec<BrandContext> = config.brands.iter().map(BrandContext::new).collect();
        let with_keys = config.brands.iter().zip(&brands);
        let sources: Vec<Vec<SourceContext>> = with_keys
            .map(|(brand, context)| SourceContext::sorted(brand, &context.key))
            .collect();
        let any = |sources: &Vec<SourceContext>| sources.iter().any(|source| source.arrival_header);
        Arrivals {
            by_header: sources.iter().map(any).collect(),
            brands,
            sources,
            routes: Routes::default(),
        }
    }

    /// Whether the sensor days of the brand at a position follow headers; false
    /// beyond the last brand.
    pub fn is_by_header(&self, brand: usize) -> bool {
        self.by_header.get(brand).copied().unwrap_or_default()
    }

    /// The arrival of a message that the stream stored at `stored`, Unix
    /// milliseconds. A header that cannot be read counts as absent. Reads
    /// headers only if the configuration has a source that permits them.
    pub fn of(
        &mut self,
        subject: &str,
        headers: &[(String, String)],
        stored: i64,
    ) -> MessageArrival {
        let by_stream = MessageArrival {
            at: stored,
            brand: None,
        };
        // Most configurations know no such source, and look at nothing.
        if !self.by_header.contains(&true) {
            return by_stream;
        }
        let named_source = cloud_events::source(headers);
        let route = self.routes.find(
            subject,
            named_source.as_deref(),
            &self.brands,
            &self.sources,
        );
        let Ok(route) = route else {
            return by_stream;
        };
        if !self.is_by_header(route.brand) {
            return by_stream;
        }
        let source = self.sources.get(route.brand);
        let source = source.and_then(|sources| sources.get(route.source));
        let named = source
            .filter(|source| source.arrival_header)
            .and_then(|_| arrival_header(headers));
        MessageArrival {
            at: named.map_or(stored, |named| named.min(stored)),
            brand: Some(route.brand),
        }
    }
}

/// The arrival that the headers state, Unix milliseconds.
fn arrival_header(headers: &[(String, String)]) -> Option<i64> {
    let mut headers = headers.iter();
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case(AT_HEADER))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use tributary_config::model::Kind;

    use super::*;
    use crate::brand::sources;
    use crate::fixture;

    const STORED: i64 = 1_750_000_000_000;

    fn arrival(subject: &str, header: &str) -> MessageArrival {
        let mut shop = fixture::brand("shop");
        shop.sources = sources(&shop).collect();
        for source in &mut shop.sources {
            source.arrival_header = source.kind == Kind::Web;
        }
        let config = fixture::config(vec![fixture::brand("acme"), shop]);
        let headers = [("tributary-at".to_owned(), header.to_owned())];
        Arrivals::new(&config).of(subject, &headers, STORED)
    }

    #[test]
    fn a_header_counts_where_the_source_says_so_and_never_beyond_the_stream() {
        let at = |subject, header| arrival(subject, header).at;
        assert_eq!(
            at("tributary.in.shop.web", "1700000000000"),
            1_700_000_000_000
        );
        assert_eq!(at("tributary.in.shop.web", "4102444800000"), STORED);
        assert_eq!(at("tributary.in.shop.web", "yesterday"), STORED);
        assert_eq!(at("tributary.in.shop.ping", "1700000000000"), STORED);
        assert_eq!(at("tributary.in.acme.web", "1700000000000"), STORED);
    }

    #[test]
    fn only_a_brand_of_the_configuration_has_a_clock_of_its_own() {
        let brand = |subject| arrival(subject, "1700000000000").brand;
        assert_eq!(brand("tributary.in.shop.web"), Some(1));
        assert_eq!(brand("tributary.in.shop.transaction"), Some(1));
        assert_eq!(brand("tributary.in.acme.web"), None);
        assert_eq!(brand("tributary.in.unknown.web"), None);
        assert_eq!(brand("strange"), None);
    }
}
