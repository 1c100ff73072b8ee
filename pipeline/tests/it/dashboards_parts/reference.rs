//! Whether an expression names only metrics, labels and words that the program exports.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use tributary::report::metrics::label::Label;
use tributary::report::metrics::table::{TABLE, Type};

use super::all_rules;

/// What Prometheus itself attaches to every series.
const ATTACHED: [&str; 2] = ["job", "instance"];

/// What an expression names that nobody exports.
#[derive(Default)]
pub struct Reference {
    /// The labels of every series, with the words of the closed ones.
    series: BTreeMap<String, BTreeMap<String, Option<Vec<&'static str>>>>,
    /// What the expression at hand has named, and what all have.
    seen: BTreeSet<String>,
    pub used: BTreeSet<String>,
    grouped: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Reference {
    pub fn new() -> Reference {
        let mut reference = Reference::default();
        for row in TABLE {
            let labels = |more: Option<&str>| {
                let own = row
                    .labels
                    .iter()
                    .map(|label: &Label| (label.name().to_owned(), label.words()));
                own.chain(more.map(|label| (label.to_owned(), None)))
                    .collect::<BTreeMap<_, _>>()
            };
            let name = row.full_name();
            if let Type::Histogram(_) = row.kind {
                reference
                    .series
                    .insert(format!("{name}_bucket"), labels(Some("le")));
                reference.series.insert(format!("{name}_sum"), labels(None));
                reference
                    .series
                    .insert(format!("{name}_count"), labels(None));
            } else {
                reference.series.insert(name, labels(None));
            }
        }
        reference.series.insert("up".to_owned(), BTreeMap::new());
        for rule in all_rules().iter().filter(|rule| !rule.alert) {
            // The first part of a recorded name lists its labels.
            let labels = rule.name.split(':').next().unwrap().split('_');
            let labels = labels.map(|label| (label.to_owned(), None)).collect();
            reference.series.insert(rule.name.clone(), labels);
        }
        reference
    }

    /// Checks an expression in which every variable has a word.
    pub fn check(&mut self, expr: &str) -> Vec<String> {
        let parsed = parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
        walk_expr(self, &parsed).unwrap();
        let seen = std::mem::take(&mut self.seen);
        let known: BTreeSet<&str> = seen
            .iter()
            .filter_map(|name| self.series.get(name))
            .flat_map(|labels| labels.keys().map(String::as_str))
            .chain(ATTACHED)
            .collect();
        let grouped = std::mem::take(&mut self.grouped);
        for label in grouped
            .iter()
            .filter(|label| !known.contains(label.as_str()))
        {
            self.complaints
                .push(format!("groups by {label}, a label of none of {seen:?}"));
        }
        std::mem::take(&mut self.complaints)
    }

    fn selector(&mut self, selector: &VectorSelector) {
        let Some(name) = selector.name.clone() else {
            self.complaints
                .push(format!("no metric is named: {selector}"));
            return;
        };
        match self.series.get(&name) {
            None => self.complaints.push(format!("no such metric: {name}")),
            Some(labels) => {
                let matchers = &selector.matchers;
                for matcher in matchers
                    .matchers
                    .iter()
                    .chain(matchers.or_matchers.iter().flatten())
                {
                    self.complaints.extend(mismatch(&name, labels, matcher));
                }
            }
        }
        self.used.insert(name.clone());
        self.seen.insert(name);
    }
}

/// What is wrong with a matcher, if anything.
fn mismatch(
    name: &str,
    labels: &BTreeMap<String, Option<Vec<&'static str>>>,
    matcher: &Matcher,
) -> Option<String> {
    if ATTACHED.contains(&matcher.name.as_str()) {
        return None;
    }
    let Some(words) = labels.get(&matcher.name) else {
        return Some(format!("{name} has no label {}", matcher.name));
    };
    let pattern = matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_));
    let mut asked = matcher.value.split(|c| pattern && c == '|');
    let words = words.as_ref()?;
    let unknown = asked.find(|word| !(words.contains(word) || pattern && *word == ".*"))?;
    Some(format!("{name} has no {unknown:?} as {}", matcher.name))
}

impl ExprVisitor for Reference {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let modifier = match expr {
            Expr::VectorSelector(selector) => {
                self.selector(selector);
                None
            }
            Expr::MatrixSelector(selector) => {
                self.selector(&selector.vs);
                None
            }
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary.modifier.as_ref().and_then(|of| of.matching.as_ref()),
            _ => None,
        };
        if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = modifier {
            self.grouped.extend(labels.labels.iter().cloned());
        }
        Ok(true)
    }
}
