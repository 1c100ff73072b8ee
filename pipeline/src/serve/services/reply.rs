//! Answers: parts from all workers combined, as NDJSON.
//!
//! Cells are the lines of a replay's output. A chain of links contains kinds,
//! names of sources and days, never a value. Only paths that at least
//! `release.k` persons took are listed; the others are counted together (I6).
//!
//! Parts arrive in any order, and each worker answers for the data that it
//! owns. Cells are owned by one worker each and are sorted as lines; the
//! persons behind a path are distributed over workers and are added before they
//! are compared with `release.k`, because a path that is rare on every worker
//! may be frequent in total.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tributary_config::model::{Brand, Kind};
use tributary_connectors::calendar;
use tributary_connectors::out::cell_line;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::label::Label;
use tributary_operators::record::{Day, IdKind};

use super::request::Refusal;

/// A channel: source, medium, campaign.
pub type Words = [Option<Arc<str>>; 3];

/// Answer to `explain person`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// A shortest chain; `None` if the two are not one person.
    pub hops: Option<Vec<Hop>>,
    /// Whether either side is a hub, which identifies nobody.
    pub hub: [bool; 2],
    /// Whether a stored record contains either side.
    pub known: [bool; 2],
}

/// One link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Day of the record that supports it, in ISO 8601.
    #[schemars(extend("format" = "date"))]
    pub day: String,
    /// Kind of the nearer identifier.
    #[schemars(extend("enum" = IdKind::ALL.map(IdKind::name)))]
    pub from: String,
    /// Source of that record; `None` if it is no longer configured.
    pub source: Option<String>,
    /// Kind of the farther identifier.
    #[schemars(extend("enum" = IdKind::ALL.map(IdKind::name)))]
    pub to: String,
}

/// Answer to `explain cell`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paths {
    /// Number of paths that are not listed.
    pub hidden: Hidden,
    /// Paths that enough persons took, those of most persons first.
    pub paths: Vec<Path>,
}

/// Counts of what the release gate hides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hidden {
    /// Number of paths that fewer than `release.k` persons took.
    pub paths: u64,
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// Number of conversions at its end.
    pub conversions: u64,
    /// Its channels, oldest first; repetitions in a row appear once.
    pub path: Vec<Words>,
    /// Number of distinct persons who took it.
    pub persons: u64,
}

/// Names of a brand's sources, by label.
#[derive(Clone, Debug)]
pub struct Names(BTreeMap<Label, String>);

impl Names {
    /// The configured sources, and the default source of each kind.
    pub fn of(brand: &Brand) -> Names {
        let configured = brand.sources.iter().map(|source| source.name.as_str());
        let names = configured.chain(Kind::ALL.into_iter().map(|kind| kind.name()));
        Names(
            names
                .map(|name| (Label::of(name), name.to_owned()))
                .collect(),
        )
    }

    /// Name of a source.
    fn get(&self, label: Label) -> Option<String> {
        self.0.get(&label).cloned()
    }
}

/// The answer to a question from its parts, in any order: lines, each with its
/// line break.
///
/// # Errors
///
/// 503 if a part is missing that always exists, because a worker is stopping.
pub fn answer(
    question: &Question,
    replies: Vec<Reply>,
    names: &Names,
    k: u64,
) -> Result<Vec<u8>, Refusal> {
    let lines = match question {
        Question::Cells { .. } => cells(replies),
        Question::Link { .. } => {
            let link = replies.into_iter().find_map(|reply| link(reply, names));
            vec![json(&link.ok_or_else(Refusal::stopping)?)?]
        }
        Question::Paths { .. } => vec![json(&paths(replies, k))?],
        // What is held of persons is no service's to tell.
        Question::Records { .. }
        | Question::Members { .. }
        | Question::DeviceDays { .. }
        | Question::Expired { .. }
        | Question::Settle { .. }
        | Question::AcceptedSightings { .. }
        | Question::ActiveSince { .. } => Vec::new(),
    };
    let mut out = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    Ok(out)
}

/// An answer as its only line, with its line break.
///
/// # Errors
///
/// 500 for an answer that cannot be written.
pub fn line(answer: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    Ok((json(answer)? + "\n").into_bytes())
}

/// Serializes an answer.
fn json(answer: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(answer).map_err(|_| Refusal {
        code: 500,
        sentence: "the answer cannot be written as JSON".to_owned(),
    })
}

/// Lines of the cells, sorted. Closed cells are omitted.
fn cells(replies: Vec<Reply>) -> Vec<String> {
    let mut lines: Vec<String> = replies
        .into_iter()
        .filter_map(|reply| match reply {
            Reply::Cell(cell) if !cell.values.is_empty() => Some(cell_line(&cell)),
            _ => None,
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// The answer to `explain person`.
fn link(reply: Reply, names: &Names) -> Option<Link> {
    let Reply::Link { known, hub, hops } = reply else {
        return None;
    };
    let hops = hops.map(|hops| {
        let hop = |hop: tributary_operators::ask::Hop| Hop {
            day: day_text(hop.day),
            from: hop.from.name().to_owned(),
            source: names.get(hop.source),
            to: hop.to.name().to_owned(),
        };
        hops.into_iter().map(hop).collect()
    });
    Some(Link { hops, hub, known })
}

/// A day in ISO 8601.
fn day_text(day: Day) -> String {
    let (year, month, of_month) = calendar::civil(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

/// The answer to `explain cell`. A person belongs to one worker, so that the
/// persons of several workers can be added.
fn paths(replies: Vec<Reply>, k: u64) -> Paths {
    let mut sums: BTreeMap<Vec<Words>, (u64, u64)> = BTreeMap::new();
    for reply in replies {
        let Reply::NamedPath {
            path,
            persons,
            conversions,
        } = reply
        else {
            continue;
        };
        let sum = sums.entry(path).or_default();
        sum.0 += persons;
        sum.1 += conversions;
    }
    let all = sums.len();
    let mut paths: Vec<Path> = sums
        .into_iter()
        .filter(|(_, (persons, _))| *persons >= k)
        .map(|(path, (persons, conversions))| Path {
            conversions,
            path,
            persons,
        })
        .collect();
    // The sort is stable: equal ones stay in the order of their words.
    paths.sort_by_key(|path| std::cmp::Reverse((path.persons, path.conversions)));
    let hidden = Hidden {
        paths: (all - paths.len()) as u64,
    };
    Paths { hidden, paths }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_operators::ask::ConversionGroup;
    use tributary_operators::cell::{Cell, Dim, Family};
    use tributary_operators::label::Channel;
    use tributary_operators::record::{BrandId, Currency, IdKind, SaleKind};

    fn words(source: &str, medium: Option<&str>) -> Words {
        [Some(source.into()), medium.map(Into::into), None]
    }

    fn took(path: &[Words], persons: u64, conversions: u64) -> Reply {
        Reply::NamedPath {
            path: path.to_vec(),
            persons,
            conversions,
        }
    }

    fn text(question: &Question, replies: Vec<Reply>, k: u64) -> String {
        let names = Names(BTreeMap::from([(Label::of("tills"), "tills".to_owned())]));
        String::from_utf8(answer(question, replies, &names, k).unwrap()).unwrap()
    }

    #[test]
    fn paths_of_several_workers_add_up_before_the_gate() {
        let question = Question::Paths {
            brand: BrandId(0),
            of: ConversionGroup {
                kind: SaleKind::Order,
                store: Label::ABSENT,
                day: 0,
                currency: Currency(*b"EUR"),
            },
            channel: Channel::direct(),
        };
        let (ad, direct) = (words("google", Some("cpc")), words("direct", None));
        let replies = vec![
            took(std::slice::from_ref(&direct), 1, 1),
            took(&[ad.clone(), direct.clone()], 2, 2),
            took(&[direct.clone(), ad.clone()], 4, 4),
            took(&[ad, direct], 1, 3),
        ];
        assert_eq!(
            text(&question, replies, 3),
            concat!(
                r#"{"hidden":{"paths":1},"paths":["#,
                r#"{"conversions":4,"path":[["direct",null,null],["google","cpc",null]],"persons":4},"#,
                r#"{"conversions":5,"path":[["google","cpc",null],["direct",null,null]],"persons":3}]}"#,
                "\n"
            )
        );
        assert_eq!(
            text(&question, vec![], 3),
            "{\"hidden\":{\"paths\":0},\"paths\":[]}\n"
        );
    }

    #[test]
    fn chains_name_kinds_sources_and_days() {
        let question = Question::Link {
            brand: BrandId(0),
            from: vec![1],
            to: vec![2],
        };
        let hop = |source| tributary_operators::ask::Hop {
            from: IdKind::Cookie,
            to: IdKind::NamePostcode,
            source: Label::of(source),
            day: 20_387,
        };
        let replies = Reply::Link {
            known: [true, true],
            hub: [false, false],
            hops: Some(vec![hop("tills"), hop("removed")]),
        };
        assert_eq!(
            text(&question, vec![replies], 50),
            concat!(
                r#"{"hops":[{"day":"2025-10-26","from":"cookie","source":"tills","to":"name_postcode"},"#,
                r#"{"day":"2025-10-26","from":"cookie","source":null,"to":"name_postcode"}],"#,
                r#""hub":[false,false],"known":[true,true]}"#,
                "\n"
            )
        );
        let nobody = answer(&question, vec![], &Names(BTreeMap::new()), 1);
        assert_eq!(nobody, Err(Refusal::stopping()));
    }

    #[test]
    fn cells_are_sorted_lines_and_closed_ones_are_none() {
        let question = Question::Cells {
            brand: BrandId(0),
            family: None,
        };
        let cell = |store: &str, values: Vec<i128>| {
            Reply::Cell(Cell {
                family: Family::StoreDay,
                dims: vec![
                    Dim::Text("acme".into()),
                    Dim::Text(store.into()),
                    Dim::Day(0),
                    Dim::Text("EUR".into()),
                ],
                values,
            })
        };
        let replies = vec![
            cell("b", vec![1, 2, 3]),
            cell("c", vec![]),
            cell("a", vec![4, 5, 6]),
        ];
        let text = text(&question, replies, 1);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(r#""store":"a""#) && lines[1].contains(r#""store":"b""#));
    }
}
