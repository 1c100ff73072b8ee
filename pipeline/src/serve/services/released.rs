//! `explain cell` for a brand: what is published about a channel.
//!
//! Exact numbers of persons by path are for the workers' account alone
//! ([`Topic::Contributions`](super::Topic::Contributions)), because a brand that
//! asks before and after each record could tell a single person from them. Here
//! the answer is made of released cells only: for each model the finest cell that
//! counts the conversions in question, which names the channel or is the rest
//! that it is in, and the published paths of the month that contain the channel.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tributary_connectors::native::labels;
use tributary_connectors::out::parse_dim;
use tributary_operators::ask::Reply;
use tributary_operators::calendar::month;
use tributary_operators::cell::{Cell, Dim, Family, Form};
use tributary_operators::record::SaleKind;
use tributary_operators::release::REST;

use super::reply::Words;
use super::request::{MAX_LABEL, Refusal, object, parse, text};

/// Families whose cells answer.
pub const FAMILIES: [Family; 2] = [Family::Attribution, Family::Paths];

/// The answer to `explain cell` from released cells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasedCell {
    /// The finest released cell of each model that counts the conversions; none if
    /// they are hidden, or if there are none.
    pub cells: Vec<Credit>,
    /// Released paths of the month with the channel, the most frequent first.
    pub paths: Vec<ReleasedPath>,
}

/// A released cell of credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    /// Name of the model.
    pub model: String,
    /// Source, medium and campaign; `*` where the cell counts several.
    pub channel: Words,
    /// The store; `*` for all stores, `None` online.
    pub store: Option<String>,
    /// The day or the month that the cell counts.
    pub day: String,
    /// Millionths of conversions.
    pub conversions_millionths: Option<i128>,
    /// Minor units of the currency.
    pub value_minor: Option<i128>,
}

/// A released path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasedPath {
    /// Its channels, oldest first.
    pub path: Vec<Words>,
    /// Number of conversions at its end.
    pub conversions: Option<i128>,
}

/// The conversions and the channel that a brand asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellInQuestion {
    /// Source, medium and campaign.
    channel: [Dim; 3],
    /// Order, transaction or visit.
    kind: SaleKind,
    /// The store; [`Dim::Null`] for orders, or for all stores of a month.
    store: Dim,
    /// A day or a month.
    day: Dim,
    /// ISO 4217 code; empty for visits, which have no value.
    currency: String,
}

impl CellInQuestion {
    /// Parses `{"cell": {…}}`. `own` is the brand's currency.
    ///
    /// # Errors
    ///
    /// 403 for persons, 400 for the first field that is missing or invalid.
    pub fn read(payload: &[u8], own: &str) -> Result<CellInQuestion, Refusal> {
        let mut fields = object(parse(payload)?, "the request", &["person", "cell"])?;
        if fields.contains_key("person") {
            return Err(Refusal::forbidden(
                "`person` is answered to the workers' account alone, on tributary.contributions.<brand>",
            ));
        }
        let cell = fields
            .remove("cell")
            .ok_or_else(|| Refusal::bad("the request must hold `cell`"))?;
        let known = [
            "source", "medium", "campaign", "kind", "store", "day", "currency",
        ];
        let fields = object(cell, "`cell`", &known)?;
        let label = |name| -> Result<Dim, Refusal> {
            let text = text(&fields, name)?.unwrap_or_default();
            let label = labels::normalize(text.into());
            Ok(match label.is_empty() || label.len() > MAX_LABEL {
                true => Dim::Null,
                false => Dim::Text(Arc::from(&*label)),
            })
        };
        let channel = [label("source")?, label("medium")?, label("campaign")?];
        if channel.iter().all(|word| *word == Dim::Null) {
            return Err(Refusal::bad(
                "`cell.source`, `cell.medium` and `cell.campaign` are all absent, which no channel is: \
                 direct has the source `direct` and the medium `none`",
            ));
        }
        let kind = text(&fields, "kind")?
            .and_then(|word| SaleKind::ALL.into_iter().find(|kind| kind.name() == word))
            .ok_or_else(|| Refusal::bad("`cell.kind` must be order, transaction or visit"))?;
        let store = label("store")?;
        if kind == SaleKind::Order && store != Dim::Null {
            return Err(Refusal::bad(
                "`cell.store` must be absent: orders have none",
            ));
        }
        let day = text(&fields, "day")?
            .filter(|text| matches!(text.len(), 7 | 10))
            .and_then(|text| parse_dim(Form::Day, &Value::from(text)))
            .ok_or_else(|| {
                Refusal::bad("`cell.day` must be a day or a month, as 2025-10-26 or 2025-10")
            })?;
        let given = text(&fields, "currency")?;
        let currency = match kind {
            SaleKind::Visit if given.is_some() => {
                return Err(Refusal::bad(
                    "`cell.currency` must be absent: visits have no value",
                ));
            }
            SaleKind::Visit => String::new(),
            _ => given.unwrap_or(own).to_owned(),
        };
        if kind != SaleKind::Visit && tributary_operators::currency::of(&currency).is_none() {
            return Err(Refusal::bad(
                "`cell.currency` must be a currency of ISO 4217, as EUR",
            ));
        }
        Ok(CellInQuestion {
            channel,
            kind,
            store,
            day,
            currency: currency.to_uppercase(),
        })
    }

    /// Names of the cells that count the conversions, the finest first: channel,
    /// store and day, each as asked and then given up.
    fn candidates(&self) -> Vec<([Dim; 3], Dim, Dim)> {
        let rest = || Dim::Text(REST.into());
        let [source, medium, campaign] = self.channel.clone();
        let channels = [
            [source.clone(), medium.clone(), campaign],
            [source.clone(), medium, rest()],
            [source, rest(), rest()],
            [rest(), rest(), rest()],
            // With the finest ladder, what a day hides is one channel.
            [Dim::Text("other".into()), Dim::Null, Dim::Null],
        ];
        let mut days = vec![self.day.clone()];
        if let Dim::Day(day) = self.day {
            days.push(Dim::Month(month(day)));
        }
        let stores = match self.kind {
            SaleKind::Order => vec![Dim::Null],
            SaleKind::Transaction | SaleKind::Visit => vec![self.store.clone(), rest()],
        };
        let mut candidates = Vec::new();
        for day in &days {
            for store in &stores {
                for channel in &channels {
                    candidates.push((channel.clone(), store.clone(), day.clone()));
                }
            }
        }
        candidates
    }

    /// The answer from the released cells of [`FAMILIES`].
    pub fn answer(&self, replies: Vec<Reply>) -> ReleasedCell {
        let cells: Vec<Cell> = replies
            .into_iter()
            .filter_map(|reply| match reply {
                Reply::Cell(cell) if !cell.values.is_empty() => Some(cell),
                _ => None,
            })
            .collect();
        ReleasedCell {
            cells: self.credits(&cells),
            paths: self.paths(&cells),
        }
    }

    /// Whether a cell counts conversions of the kind and currency.
    fn is_of_kind(&self, cell: &Cell) -> bool {
        cell.text("kind") == self.kind.name() && cell.text("currency") == self.currency
    }

    /// The finest cell of each model.
    fn credits(&self, cells: &[Cell]) -> Vec<Credit> {
        let candidates = self.candidates();
        let mut found: Vec<(&str, usize, &Cell)> = Vec::new();
        for cell in cells {
            if cell.family != Family::Attribution || !self.is_of_kind(cell) {
                continue;
            }
            let dim = |name| cell.dim(name).unwrap_or(&Dim::Null);
            let channel = ["source", "medium", "campaign"].map(|name| dim(name).clone());
            let name = (channel, dim("store").clone(), dim("day").clone());
            let Some(rank) = candidates.iter().position(|candidate| *candidate == name) else {
                continue;
            };
            let model = cell.text("model");
            match found.iter_mut().find(|(of, ..)| *of == model) {
                Some(best) if best.1 > rank => *best = (model, rank, cell),
                Some(_) => {}
                None => found.push((model, rank, cell)),
            }
        }
        found.sort_unstable_by_key(|(model, ..)| *model);
        found.into_iter().map(|(_, _, cell)| credit(cell)).collect()
    }

    /// The paths of the month with the channel.
    fn paths(&self, cells: &[Cell]) -> Vec<ReleasedPath> {
        let of_month = match self.day {
            Dim::Day(day) => Dim::Month(month(day)),
            ref month => month.clone(),
        };
        let channel = self.channel.each_ref().map(word);
        let cells = cells.iter().filter(|cell| {
            cell.family == Family::Paths
                && self.is_of_kind(cell)
                && cell.dim("month") == Some(&of_month)
        });
        let mut paths: Vec<ReleasedPath> = cells
            .filter_map(|cell| match cell.dim("path") {
                Some(Dim::Path(path)) if path.contains(&channel) => Some(ReleasedPath {
                    path: path.clone(),
                    conversions: known(cell, "conversions"),
                }),
                _ => None,
            })
            .collect();
        paths.sort_by(|a, b| b.conversions.cmp(&a.conversions).then(a.path.cmp(&b.path)));
        paths
    }
}

/// A word of a channel.
fn word(dim: &Dim) -> Option<Arc<str>> {
    match dim {
        Dim::Text(word) => Some(word.clone()),
        _ => None,
    }
}

/// A value that a cell has.
fn known(cell: &Cell, name: &str) -> Option<i128> {
    let value = cell.value(name);
    (value != tributary_operators::cell::NO_VALUE).then_some(value)
}

/// A cell of credits in the answer.
fn credit(cell: &Cell) -> Credit {
    let dim = |name| cell.dim(name).unwrap_or(&Dim::Null);
    let mut day = String::new();
    tributary_connectors::out::write_dim(&mut day, dim("day"));
    Credit {
        model: cell.text("model").to_owned(),
        channel: ["source", "medium", "campaign"].map(|name| word(dim(name))),
        store: word(dim("store")).map(|store| store.to_string()),
        day: day.trim_matches('"').to_owned(),
        conversions_millionths: known(cell, "conversions_millionths"),
        value_minor: known(cell, "value_minor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(model: &str, channel: [&str; 3], store: &str, day: Dim, minor: i128) -> Reply {
        let text = |word: &str| match word {
            "" => Dim::Null,
            word => Dim::Text(word.into()),
        };
        let [source, medium, campaign] = channel.map(text);
        Reply::Cell(Cell {
            family: Family::Attribution,
            dims: vec![
                text("acme"),
                text(model),
                source,
                medium,
                campaign,
                text("transaction"),
                text(store),
                day,
                text("EUR"),
            ],
            values: vec![1_000_000, minor],
        })
    }

    fn asked(more: &str) -> Result<CellInQuestion, Refusal> {
        let cell = format!(r#"{{"cell":{{"source":"google","medium":"cpc"{more}}}}}"#);
        CellInQuestion::read(cell.as_bytes(), "EUR")
    }

    #[test]
    fn the_finest_released_cell_of_each_model_answers() {
        let month = || Dim::Month(2025 * 12 + 9);
        let replies = vec![
            cell("linear", ["*", "*", "*"], "*", month(), 1),
            cell("linear", ["google", "cpc", "*"], "*", month(), 2),
            cell("linear", ["google", "cpc", "fall"], "*", month(), 3),
            cell("last", ["google", "*", "*"], "*", month(), 4),
            cell("first", ["bing", "", ""], "*", month(), 5),
        ];
        let question = asked(r#","kind":"transaction","store":"lyon","day":"2025-10-26""#).unwrap();
        let answer = question.answer(replies);
        let found: Vec<_> = answer
            .cells
            .iter()
            .map(|credit| {
                (
                    credit.model.as_str(),
                    credit.value_minor,
                    credit.day.as_str(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [("last", Some(4), "2025-10"), ("linear", Some(2), "2025-10")]
        );
        assert_eq!(question.answer(Vec::new()), ReleasedCell::default());
    }

    #[test]
    fn persons_are_refused_and_wrong_fields_are_named() {
        let person = CellInQuestion::read(br#"{"person":{"from":[],"to":[]}}"#, "EUR");
        assert_eq!(person.unwrap_err().code, 403);
        for (more, names) in [
            (r#","day":"2025-10""#, "`cell.kind`"),
            (r#","kind":"order""#, "`cell.day`"),
            (r#","kind":"order","day":"26.10.2025""#, "`cell.day`"),
            (
                r#","kind":"order","store":"x","day":"2025-10""#,
                "`cell.store`",
            ),
            (
                r#","kind":"order","day":"2025-10","currency":"EURO""#,
                "`cell.currency`",
            ),
        ] {
            let refusal = asked(more).unwrap_err();
            assert!(refusal.sentence.contains(names), "{more}: {refusal}");
        }
        assert!(asked(r#","kind":"order","day":"2025-10""#).is_ok());
    }
}
