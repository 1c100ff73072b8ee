//! What a partner may query: released cells of its own channel sources, in three
//! families, and nothing else.
//!
//! The cells of others are left out before anything is computed. No sum, page,
//! order or coverage of an answer depends on them, and the rest `*`, in which
//! hidden channels of any source are together, is never a partner's. A question
//! for what is not its own is refused, also if the answer would be empty: an
//! empty answer would read as if there were none.

use std::collections::BTreeSet;

use tributary_config::model::{Brand, LabelCase, Partner};
use tributary_connectors::native::labels;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::{Cell, Dim, Dimension, Family};
use tributary_operators::record::BrandId;
use tributary_operators::release::REST;

use super::request::{self, Refusal};
use crate::report::cell_query::{CellQuery, Wanted};

/// The names of the families that a partner may query. Their cells have a
/// source.
const FAMILIES: [&str; 3] = ["campaign_day", "attribution", "visit_lift"];

/// The families that a partner may query.
pub fn families() -> impl Iterator<Item = Family> {
    FAMILIES.into_iter().filter_map(Family::of)
}

/// The channel sources of one partner, as they stand in cells.
#[derive(Clone, Debug)]
pub struct PartnerSources(BTreeSet<String>);

impl PartnerSources {
    /// The sources that the configuration gives a partner.
    pub fn of(brand: &Brand, partner: &Partner) -> PartnerSources {
        let sources = partner.sources.iter().map(|source| {
            let source = labels::normalize_channel(source.as_str().into());
            match brand.channels.case {
                LabelCase::Keep => source.into_owned(),
                LabelCase::Lower => source.to_lowercase(),
            }
        });
        let is_own = |source: &String| !source.is_empty() && source != REST;
        PartnerSources(sources.filter(is_own).collect())
    }

    /// Whether a value of the dimension `source` is the partner's.
    fn has(&self, source: &Dim) -> bool {
        matches!(source, Dim::Text(text) if self.0.contains(&**text))
    }

    /// Whether a cell is the partner's: of one of its sources, in a family that
    /// it may query.
    pub fn may_see(&self, cell: &Cell) -> bool {
        let dimensions = cell.family.row().dimensions;
        let place = dimensions.iter().position(|of| *of == Dimension::Source);
        families().any(|family| family == cell.family)
            && place
                .and_then(|place| cell.dims.get(place))
                .is_some_and(|source| self.has(source))
    }

    /// Parses a partner's request, which is that of a query with a family.
    ///
    /// # Errors
    ///
    /// 400 for an invalid request, 403 for a family or a source that is not the
    /// partner's.
    pub fn read(
        &self,
        payload: &[u8],
        brand: BrandId,
    ) -> Result<(Question, Option<CellQuery>), Refusal> {
        let (question, query) = request::query(payload, brand)?;
        let family = match question {
            Question::Cells {
                family: Some(family),
                ..
            } => family,
            _ => {
                return Err(Refusal::bad(format!(
                    "`family` is needed: {}",
                    FAMILIES.join(", ")
                )));
            }
        };
        if !families().any(|own| own == family) {
            return Err(Refusal::forbidden(format!(
                "`family` must be one of {}",
                FAMILIES.join(", ")
            )));
        }
        let filters = query.iter().flat_map(|query| &query.filters);
        let sources = filters
            .filter(|(of, _)| *of == Dimension::Source)
            .flat_map(|(_, wanted)| wanted);
        for wanted in sources {
            if !matches!(wanted, Wanted::Is(source) if self.has(source)) {
                return Err(Refusal::forbidden(
                    "`source` must be a source of this partner",
                ));
            }
        }
        Ok((question, query))
    }

    /// The replies that are the partner's.
    pub fn own(&self, mut replies: Vec<Reply>) -> Vec<Reply> {
        replies.retain(|reply| matches!(reply, Reply::Cell(cell) if self.may_see(cell)));
        replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waze() -> PartnerSources {
        PartnerSources(["waze".to_owned()].into())
    }

    fn cell(family: Family, source: Dim) -> Cell {
        let dims = family.row().dimensions.iter().map(|of| match of {
            Dimension::Source => source.clone(),
            _ => Dim::Null,
        });
        Cell {
            family,
            dims: dims.collect(),
            values: vec![1],
        }
    }

    #[test]
    fn only_cells_of_own_sources_in_three_families_are_seen() {
        let own = || Dim::Text("waze".into());
        for family in Family::ALL {
            let may = FAMILIES.contains(&family.name());
            assert_eq!(waze().may_see(&cell(family, own())), may, "{family:?}");
        }
        for other in [Dim::Null, Dim::Text("google".into()), Dim::Text("*".into())] {
            assert!(!waze().may_see(&cell(Family::CampaignDay, other)));
        }
    }

    #[test]
    fn every_family_of_a_partner_has_a_source() {
        for family in families() {
            assert!(family.row().dimensions.contains(&Dimension::Source));
        }
    }

    #[test]
    fn what_is_not_its_own_is_refused() {
        let ask = |text: &str| waze().read(text.as_bytes(), BrandId(1));
        for question in [
            r#"{"family":"campaign_day"}"#,
            r#"{"family":"attribution","source":"waze","model":"last"}"#,
            r#"{"family":"attribution","group_by":["month"]}"#,
        ] {
            assert!(ask(question).is_ok(), "{question}");
        }
        for (question, code) in [
            ("", 400),
            ("{}", 400),
            (r#"{"family":null}"#, 400),
            (r#"{"family":"store_day"}"#, 403),
            (r#"{"family":"identity"}"#, 403),
            (r#"{"family":"attribution","source":"google"}"#, 403),
            (
                r#"{"family":"attribution","source":["waze","google"]}"#,
                403,
            ),
            (r#"{"family":"attribution","source":null}"#, 403),
            (r#"{"family":"attribution","source":"*"}"#, 403),
            (r#"{"family":"attribution","brand":"bolt"}"#, 400),
        ] {
            let refused = ask(question).map(|_| ()).map_err(|refusal| refusal.code);
            assert_eq!(refused, Err(code), "{question}");
        }
    }
}
