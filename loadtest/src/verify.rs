//! Verification of a replay: the batch oracle, computing from the same trace, must produce the same
//! bytes.
//!
//! The oracle and the dataflow share the decoder and the format of a cell, and nothing between.
//! Both receive the same events; they must agree on every line of the output.

use std::collections::BTreeMap;
use std::fmt;

use tributary_config::model::{Brand, Config};
use tributary_connectors::clock::BrandClock;
use tributary_connectors::decode::{DeadLetter, Decoder, Ignored, Message, Sink};
use tributary_connectors::{out, settings};
use tributary_operators::cell::Cell;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, Day};
use tributary_operators::settings::Settings;
use tributary_oracle::retention::{RetentionModel, RetentionPeriods};
use tributary_oracle::{StoredState, ladder};

use tributary_connectors::inputs::{Inputs, InputsError};

/// The result of the oracle for some inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The lines of the output, sorted bytewise, without line breaks.
    pub lines: Vec<String>,
    /// Messages that were read.
    pub messages: u64,
    /// Lines of traces that were not messages.
    pub skipped: u64,
    /// Accepted records and pings, including corrections and duplicates.
    pub accepted: u64,
    /// Lines that were ignored deliberately, such as pings of stationary devices.
    pub ignored: u64,
    /// Rejected lines, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Records dropped because they expired by the clock of the inputs.
    pub past: u64,
    /// Records that are stored at the end, including statements attached to web records.
    pub held: u64,
}

/// Decodes all inputs, and computes every cell that a replay writes.
///
/// # Errors
///
/// The first input that cannot be read.
pub fn expected(config: &Config, inputs: &mut Inputs) -> Result<Expected, InputsError> {
    let mut decoder = Decoder::new(config);
    let settings = settings::settings(config, settings::NoiseDraw::default());
    let brands = config.brands.iter();
    let periods = brands.map(|brand| (BrandId::of(&brand.name), periods(brand)));
    let periods: BTreeMap<BrandId, RetentionPeriods> = periods.collect();
    let mut sink = OracleSink {
        retention: RetentionModel::new(&settings, &periods)
            .settling(|brand, now| first_unsettled(config, brand, now)),
        at: 0,
        expected: Expected::default(),
    };
    let (mut before, mut last) = (0, i64::MIN);
    while let Some(line) = inputs.next() {
        let line = line?;
        // Behind the last line of the message before.
        let place = Arrival {
            message: before,
            line: u32::MAX,
        };
        sink.retention.advance_clock(line.at, place);
        sink.at = line.at;
        last = last.max(line.at);
        before = inputs.messages();
        let message = Message {
            subject: &line.subject,
            at: line.at,
            number: inputs.messages(),
            headers: &line.headers,
            data: &line.data,
        };
        decoder.decode(&message, &mut sink);
    }
    let held = tributary_oracle::fold_events(sink.retention.events());
    let mut expected = sink.expected;
    expected.held = held.records.len() as u64;
    expected.past = sink.retention.dropped();
    expected.messages = inputs.messages();
    expected.skipped = inputs.skipped();
    expected.lines = published(&settings, &held, last)
        .iter()
        .filter(|cell| cell.family.in_replay())
        .map(out::cell_line)
        .collect();
    expected.lines.sort_unstable();
    Ok(expected)
}

/// The cells of a first release at a time, Unix milliseconds: that of the last message.
fn published(settings: &Settings, held: &StoredState, at: i64) -> Vec<Cell> {
    let by_ladder = |cell: &Cell| {
        let mut brands = settings.brands.values();
        brands.any(|of| *of.name == *cell.text("brand") && of.has_ladder())
    };
    let mut cells = tributary_oracle::cells(settings, held);
    cells.retain(|cell| !by_ladder(cell));
    let brands = settings.brands.iter().filter(|(_, of)| of.has_ladder());
    let ladders = Settings {
        brands: brands.map(|(id, of)| (*id, of.clone())).collect(),
    };
    for (id, of) in &ladders.brands {
        let today = of.utc_offsets.day(at);
        let rule = ladder::Rule {
            dominance: of.dominance,
            ..ladder::Rule::default()
        };
        let one = Settings {
            brands: [(*id, of.clone())].into(),
        };
        cells.extend(ladder::cells(&one, held, &rule, |_, day| day < today));
    }
    cells
}

/// The first salt day of a brand whose sightings are not settled at `now`, Unix milliseconds: that of the last moment before
/// `settle_after`. `None` for a brand without partners.
fn first_unsettled(config: &Config, id: BrandId, now: i64) -> Option<Day> {
    let mut brands = config.brands.iter();
    let brand = brands.find(|brand| BrandId::of(&brand.name) == id)?;
    let mut clock = BrandClock::new(&brand.timezone, brand.sensors.day_start_s);
    let (day, _) = clock.salt_day((now - brand.partners.settle_after_ms - 1).div_euclid(1000));
    brand.has_partners().then_some(day)
}

/// The retention periods of a brand.
fn periods(brand: &Brand) -> RetentionPeriods {
    let months = |months: u32| i32::try_from(months).unwrap_or(i32::MAX);
    let of = &brand.retention;
    RetentionPeriods {
        cookies: months(of.cookies_months),
        transactions: months(of.transactions_months),
        consent: months(of.consent_months),
        identification: months(of.identification_months),
        visits: months(of.visits_months),
        exposures: months(of.exposures_months),
        zone: brand.timezone.clone(),
    }
}

/// Receives the events of the decoder.
struct OracleSink<'a> {
    /// The events, without those that have expired.
    retention: RetentionModel<'a>,
    /// The time of arrival of the current message, Unix milliseconds.
    at: i64,
    /// The counts so far.
    expected: Expected,
}

impl Sink for OracleSink<'_> {
    fn event(&mut self, event: Event) {
        // A web record brings its consent along: a record without an id of its own, which counts with it.
        let own = match &event {
            Event::Put { record, .. } => !record.is_attached(),
            Event::Ping { .. } => true,
            _ => false,
        };
        match self.retention.receive(event, self.at) {
            true => self.expected.accepted += u64::from(own),
            false => self.expected.ignored += u64::from(own),
        }
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        *self.expected.refused.entry(dead.reason.name()).or_default() += 1;
    }

    fn ignore(&mut self, _: Ignored) {
        self.expected.ignored += 1;
    }
}

/// A cell on which the oracle and the output disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the oracle, or `None` if it has no such cell.
    pub oracle: Option<String>,
    /// The line of the output, or `None` if it has no such cell.
    pub output: Option<String>,
}

/// The comparison of an output with the oracle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The number of cells of the oracle and of the output, by family.
    pub families: BTreeMap<String, (u64, u64)>,
    /// The cells on which they disagree, sorted bytewise.
    pub differences: Vec<Difference>,
    /// What is wrong with the output as a file, even if its cells are correct: order, repetition,
    /// line breaks or encoding.
    pub form: Option<String>,
}

impl Comparison {
    /// Whether the output equals that of the oracle, byte for byte.
    pub fn same(&self) -> bool {
        self.differences.is_empty() && self.form.is_none()
    }
}

/// Compares the bytes of an output with the lines of the oracle, which are sorted.
///
/// ```
/// use tributary_loadtest::verify::compare;
///
/// let line = r#"{"cell":{"day":"2025-01-01"},"family":"orders_day","value":{"orders":5}}"#;
/// let comparison = compare(&[line.to_owned()], format!("{line}\n").as_bytes());
/// assert!(comparison.same());
/// assert_eq!(comparison.families["orders_day"], (1, 1));
/// ```
pub fn compare(oracle: &[String], output: &[u8]) -> Comparison {
    let mut comparison = Comparison::default();
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<&str> = text.split('\n').collect();
    let ended = lines.pop_if(|last| last.is_empty()).is_some() || output.is_empty();
    for line in oracle {
        comparison.families.entry(family(line)).or_default().0 += 1;
    }
    for line in &lines {
        comparison.families.entry(family(line)).or_default().1 += 1;
    }
    // The same bytes are the usual case, and need no index.
    if ended && lines.iter().copied().eq(oracle.iter().map(String::as_str)) {
        return comparison;
    }
    let mut cells: BTreeMap<&str, Difference> = BTreeMap::new();
    for line in oracle {
        let (oracle, output) = (Some(line.clone()), None);
        cells.insert(cell(line), Difference { oracle, output });
    }
    let mut repeated = 0;
    for line in &lines {
        let entry = cells.entry(cell(line)).or_insert(Difference {
            oracle: None,
            output: None,
        });
        repeated += u64::from(entry.output.replace((*line).to_owned()).is_some());
    }
    comparison.differences = cells
        .into_values()
        .filter(|pair| pair.oracle != pair.output)
        .collect();
    comparison.form = if repeated > 0 {
        Some(format!(
            "{repeated} cells occur more than once in the output"
        ))
    } else if !lines.is_sorted() {
        Some("the output is not sorted by the bytes of its lines".to_owned())
    } else if !ended {
        Some("the output's last line has no line break".to_owned())
    } else if std::str::from_utf8(output).is_err() {
        Some("the output is not UTF-8".to_owned())
    } else {
        None
    };
    comparison
}

/// The part of a line that names the cell: `{"cell":{…},"family":…`.
fn cell(line: &str) -> &str {
    line.rsplit_once(",\"value\":")
        .map_or(line, |(cell, _)| cell)
}

/// The family of the cell of a line.
fn family(line: &str) -> String {
    cell(line)
        .rsplit_once("\"family\":\"")
        .and_then(|(_, name)| name.strip_suffix('"'))
        .unwrap_or("(no cell)")
        .to_owned()
}

/// One line of counts, then the rejected lines by reason.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages, {} records accepted, {} rejected, {} ignored, {} past their retention, {} lines skipped",
            self.messages,
            self.accepted,
            self.refused.values().sum::<u64>(),
            self.ignored,
            self.past,
            self.skipped
        )?;
        for (reason, count) in &self.refused {
            write!(f, "\n  refused {reason}: {count}")?;
        }
        Ok(())
    }
}

/// A table of the families, then the first differences with both sides.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        writeln!(f, "{:<16} {:>10} {:>10}", "family", "oracle", "output")?;
        for (family, (oracle, output)) in &self.families {
            writeln!(f, "{family:<16} {oracle:>10} {output:>10}")?;
        }
        if self.same() {
            return write!(f, "the same, byte for byte");
        }
        let absent = || "no such cell".to_owned();
        for difference in self.differences.iter().take(SHOWN) {
            writeln!(
                f,
                "oracle: {}",
                difference.oracle.clone().unwrap_or_else(absent)
            )?;
            writeln!(
                f,
                "output: {}",
                difference.output.clone().unwrap_or_else(absent)
            )?;
        }
        if self.differences.len() > SHOWN {
            writeln!(f, "and {} more", self.differences.len() - SHOWN)?;
        }
        if let Some(form) = &self.form {
            writeln!(f, "{form}")?;
        }
        write!(f, "different: {} cells", self.differences.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(day: u32, orders: u32) -> String {
        format!(
            r#"{{"cell":{{"brand":"a","day":"{day}"}},"family":"orders_day","value":{{"orders":{orders}}}}}"#
        )
    }

    fn file(lines: &[String]) -> Vec<u8> {
        lines
            .iter()
            .flat_map(|line| format!("{line}\n").into_bytes())
            .collect()
    }

    #[test]
    fn equal_bytes_are_the_same() {
        let oracle = [line(1, 5), line(2, 6)];
        let comparison = compare(&oracle, &file(&oracle));
        assert!(comparison.same());
        assert_eq!(comparison.families["orders_day"], (2, 2));
        assert!(compare(&[], b"").same());
    }

    #[test]
    fn each_difference_shows_both_sides() {
        let oracle = [line(1, 5), line(2, 6), line(3, 7)];
        let output = [line(1, 5), line(2, 9), line(4, 1)];
        let comparison = compare(&oracle, &file(&output));
        assert!(!comparison.same());
        let sides: Vec<(Option<&str>, Option<&str>)> = comparison
            .differences
            .iter()
            .map(|d| (d.oracle.as_deref(), d.output.as_deref()))
            .collect();
        let expected = [
            (Some(oracle[1].as_str()), Some(output[1].as_str())),
            (Some(oracle[2].as_str()), None),
            (None, Some(output[2].as_str())),
        ];
        assert_eq!(sides, expected);
    }

    #[test]
    fn the_right_cells_in_the_wrong_form_are_different() {
        let oracle = [line(1, 5), line(2, 6)];
        let swapped = [line(2, 6), line(1, 5)];
        let twice = [line(1, 5), line(1, 5), line(2, 6)];
        for output in [file(&swapped), file(&twice), file(&oracle)[1..].to_vec()] {
            assert!(!compare(&oracle, &output).same());
        }
        let mut cut = file(&oracle);
        cut.pop();
        let comparison = compare(&oracle, &cut);
        assert!(comparison.differences.is_empty());
        assert!(!comparison.same());
    }
}
