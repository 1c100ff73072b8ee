//! `tributary demo --story`: one person from the click to the till, and back.
//!
//! A small crowd gives the numbers something to start from. Then one fictional
//! person clicks, visits, buys, gets a refund, and is erased. After each step the
//! story prints what was sent, and which released numbers changed. Refund and
//! erasure are retractions: they take back the credit of the channels, live, and
//! after the erasure every number is where it was before the first step.
//!
//! The brand of the story has `release.k = 1`, and the story says so: a gate of
//! several people would hide the effect of a single one, which is its purpose.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tributary_config::model::{Brand, Config};
use tributary_connectors::terminal;
use tributary_connectors::trace::TraceLine;
use tributary_operators::record::{Day, IdKind};
use tributary_simulate::{Line, Options, STORY_PERSON, Story, StoryStep, lines};

use super::configuration::configuration;
use super::figures::{FIGURES, Figure, Unit, figures};
use crate::cli::args as cli;
use crate::epochs::clock;
use crate::report::published_cells::PublishedCells;
use crate::report::table::{decimals, thousands};
use crate::worker::in_process::InProcess;

/// Number of people in the crowd.
const CROWD: u32 = 3_000;

/// Number of days of the crowd; the last is a Saturday.
const DAYS: u32 = 6;

/// Number of messages per epoch of the crowd.
const BATCH: usize = 2_000;

/// Time to read a step on a terminal.
const PACE: Duration = Duration::from_secs(4);

/// The values of the figures.
type Values = [Option<i128>; FIGURES.len()];

/// What a step did.
pub struct Outcome {
    /// The step.
    pub step: StoryStep,
    /// The messages that it sent.
    pub sent: Vec<Line>,
    /// Number of retracted records; only an erasure retracts.
    pub retracted: u64,
    /// The figures before it.
    pub before: Values,
    /// The figures after it.
    pub after: Values,
}

/// Executes the command.
///
/// # Errors
///
/// A closed output, or numbers that did not return.
pub fn command(args: &cli::Demo) -> anyhow::Result<()> {
    let story = story(args.seed)?;
    let config = configuration(&[story.options()], args)?;
    let brand = config.brands.first().context("the story has a brand")?;
    if !args.json {
        terminal::print(introduction(brand))?;
    }
    let mut outcomes: Vec<Outcome> = Vec::new();
    tell(&story, &config, |outcome| {
        if !args.json {
            terminal::print(text(&outcome, outcomes.len() + 1, brand))?;
            wait(args.pause, outcome.step)?;
        }
        outcomes.push(outcome);
        Ok(())
    })?;
    let returned = has_returned(&outcomes);
    if args.json {
        terminal::print_line(format_args!("{:#}", document(&story, &outcomes, returned)))?;
    } else if returned {
        terminal::print(END.to_owned())?;
    }
    ensure!(returned, "the numbers did not return to where they were");
    Ok(())
}

/// The story of a seed.
///
/// # Errors
///
/// None in practice: the options are valid.
pub fn story(seed: u64) -> anyhow::Result<Story> {
    let crowd = Options {
        seed,
        events: None,
        persons: Some(CROWD),
        days: Some(DAYS),
        k: 1,
        ..Options::demo()
    };
    Ok(Story::new(crowd)?)
}

/// The story in a few lines, for the first screen of the demo.
///
/// # Errors
///
/// A dataflow that cannot be started.
pub(super) fn brief(args: &cli::Demo) -> anyhow::Result<String> {
    let story = story(args.seed)?;
    let config = configuration(&[story.options()], args)?;
    let brand = config.brands.first().context("the story has a brand")?;
    let mut text = "\nFrom the click to the till: one more person, and what changes in the released numbers\n\n".to_owned();
    tell(&story, &config, |outcome| {
        let mut title = title(outcome.step);
        if outcome.step == StoryStep::Erasure {
            text.push_str(&format!(
                "{title:<24} all {} numbers are back where they were\n",
                outcome.changes().count()
            ));
            return Ok(());
        }
        for (figure, from, to) in outcome.changes() {
            let (from, to) = (amount(figure, from, brand), amount(figure, to, brand));
            let name = figure.title;
            text.push_str(&format!("{title:<24} {name:<43} {from:>14} → {to}\n"));
            title = "";
        }
        Ok(())
    })?;
    text.push_str("\n(release.k = 1, so that one person shows.) tributary demo --story goes through it step by step.\n");
    Ok(text)
}

/// Feeds the crowd, then executes each step and reports its outcome.
///
/// # Errors
///
/// A worker that stopped, a rejected message, or an error of `report`.
pub fn tell(
    story: &Story,
    config: &Config,
    mut report: impl FnMut(Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let brand = config.brands.first().context("the story has a brand")?;
    let mut dataflow = InProcess::start(config)?;
    let mut cells = PublishedCells::default();
    let mut batch = Vec::new();
    for line in lines(story.options().clone())? {
        batch.push(trace_line(line));
        if batch.len() == BATCH {
            dataflow.feed(std::mem::take(&mut batch))?;
        }
    }
    dataflow.feed(batch)?;
    let day = day(story, brand)?;
    let rejected_of_crowd = {
        let released = dataflow.release()?;
        released.iter().for_each(|cell| cells.apply(cell));
        dataflow.rejected()
    };
    let mut before = figures(&cells, &brand.name, day);
    for step in StoryStep::ALL {
        let sent = story.lines(step);
        dataflow.feed(sent.iter().cloned().map(trace_line).collect())?;
        let retracted = match step {
            StoryStep::Erasure => {
                let email = (IdKind::Email, STORY_PERSON.email);
                dataflow.erase(brand, email, STORY_PERSON.device)?
            }
            _ => 0,
        };
        let released = dataflow.release()?;
        released.iter().for_each(|cell| cells.apply(cell));
        let after = figures(&cells, &brand.name, day);
        report(Outcome {
            step,
            sent,
            retracted,
            before,
            after,
        })?;
        before = after;
    }
    let rejected = dataflow.rejected();
    ensure!(
        rejected == rejected_of_crowd,
        "a message of the story was rejected"
    );
    dataflow.finish()
}

/// The day of the story in the zone of the brand.
///
/// # Errors
///
/// A time beyond the calendar.
pub fn day(story: &Story, brand: &Brand) -> anyhow::Result<Day> {
    let begin = jiff::Timestamp::from_millisecond(story.begin())?;
    Ok(clock::day(begin, &brand.timezone))
}

/// Whether the figures after the last step are those before the first.
fn has_returned(outcomes: &[Outcome]) -> bool {
    match (outcomes.first(), outcomes.last()) {
        (Some(first), Some(last)) => first.before == last.after,
        _ => false,
    }
}

impl Outcome {
    /// The figures that changed, with their values before and after.
    pub fn changes(&self) -> impl Iterator<Item = (&'static Figure, Option<i128>, Option<i128>)> {
        let values = self.before.into_iter().zip(self.after);
        let all = FIGURES.iter().zip(values);
        all.filter(|(_, (from, to))| from != to)
            .map(|(figure, (from, to))| (figure, from, to))
    }
}

/// A message of a trace.
fn trace_line(line: Line) -> TraceLine {
    TraceLine {
        subject: line.subject,
        at: line.at,
        headers: Vec::new(),
        data: line.data.into_bytes(),
    }
}

/// The text before the first step.
fn introduction(brand: &Brand) -> String {
    format!(
        "One person from the click to the till\n\
         \n\
         The brand {} is simulated, and so is Ada, who acts below. Six numbers of the day are watched; a number\n\
         that a step does not mention has not changed. Every number is released here (release.k = 1). For a real\n\
         brand, the release gate holds back a change until enough people have made one: nobody could read from\n\
         its numbers what Ada did.\n\n",
        brand.name
    )
}

/// The text after the last step.
const END: &str = "\
Every number is where it was before the first step. Tributary stores no totals that could not be taken back:\n\
a refund, a correction, a withdrawn consent and an erasure are all a retraction, and each number that depended\n\
on the retracted record follows.\n\n\
tributary demo        two brands, four weeks, and the live page\n";

/// A step in a few words.
fn title(step: StoryStep) -> &'static str {
    match step {
        StoryStep::Click => "Ada clicks an ad",
        StoryStep::Newsletter => "opens the newsletter",
        StoryStep::Visit => "visits a store",
        StoryStep::Sale => "pays 80.00 at the till",
        StoryStep::Refund => "gets 30.00 back",
        StoryStep::Erasure => "is erased",
    }
}

/// What happens in a step, and what it means.
fn sentences(step: StoryStep) -> (&'static str, &'static str) {
    match step {
        StoryStep::Click => (
            "Ada clicks a search advertisement.",
            "The website sends a click with a cookie. Nobody knows yet whose cookie it is.",
        ),
        StoryStep::Newsletter => (
            "She follows a link in the newsletter.",
            "The link contains the address to which it was sent. Cookie and address are now one person.",
        ),
        StoryStep::Visit => (
            "She walks into store s01.",
            "A sensor detects her telephone for ten minutes. The visit counts, but nothing links it to her:\n   \
             the salt that hashes the device is destroyed when the day is over.",
        ),
        StoryStep::Sale => (
            "She pays 80.00 and gives her address for the receipt.",
            "The address is the one of the newsletter, so that both channels share the sale: the linear model\n   \
             gives each one half.",
        ),
        StoryStep::Refund => (
            "She returns a part of the purchase for 30.00.",
            "The store loses 30.00 of revenue, and each channel the 15.00 that it had been credited.",
        ),
        StoryStep::Erasure => (
            "She requests the erasure of her data.",
            "Her records are retracted, and each number that depended on one follows. The refund names nobody,\n   \
             only its sale: without the sale it counts for nothing.",
        ),
    }
}

/// A step as text.
fn text(outcome: &Outcome, number: usize, brand: &Brand) -> String {
    let (happens, means) = sentences(outcome.step);
    let mut text = format!("{number}. {happens}\n");
    let more = outcome.sent.len().saturating_sub(1);
    if let Some(line) = outcome.sent.first() {
        let others = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.push_str(&format!(
            "   sent     {}{others}\n            {}\n",
            line.subject, line.data
        ));
    } else {
        text.push_str(&format!(
            "   sent     a rights request: erase email {} and device {}\n   removed  {} records and the pings of the device\n",
            STORY_PERSON.email, STORY_PERSON.device, outcome.retracted
        ));
    }
    for (figure, from, to) in outcome.changes() {
        let (from, to) = (amount(figure, from, brand), amount(figure, to, brand));
        text.push_str(&format!(
            "   changed  {:<43} {from:>14} → {to}\n",
            figure.title
        ));
    }
    text.push_str(&format!("   {means}\n\n"));
    text
}

/// A value with its unit; an absent one has no released cell.
fn amount(figure: &Figure, value: Option<i128>, brand: &Brand) -> String {
    let Some(value) = value else {
        return "none".to_owned();
    };
    match figure.unit {
        Unit::Count => thousands(value),
        Unit::Minor => {
            let places = decimals(&brand.currency);
            let unit = 10i128.pow(places);
            let sign = if value < 0 { "-" } else { "" };
            let (whole, rest) = (value.abs() / unit, value.abs() % unit);
            let width = places as usize;
            format!(
                "{sign}{}.{rest:0width$} {}",
                thousands(whole),
                brand.currency
            )
        }
    }
}

/// Waits after a step: for the Enter key, or on a terminal for a few seconds.
///
/// # Errors
///
/// An input that cannot be read.
fn wait(pauses: bool, step: StoryStep) -> anyhow::Result<()> {
    if step == StoryStep::Erasure {
        return Ok(());
    }
    if pauses {
        terminal::note("Press Enter to continue.");
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .context("cannot read the Enter key")?;
    } else if std::io::stdout().is_terminal() {
        std::thread::sleep(PACE);
    }
    Ok(())
}

/// The story as JSON.
fn document(story: &Story, outcomes: &[Outcome], returned: bool) -> Value {
    let steps = outcomes.iter().map(|outcome| {
        let (happens, means) = sentences(outcome.step);
        let sent = outcome.sent.iter().map(|line| {
            let data = serde_json::from_str::<Value>(&line.data).unwrap_or_default();
            json!({"subject": line.subject, "at": line.at, "data": data})
        });
        let moved = outcome.changes().map(|(figure, from, to)| {
            let unit = match figure.unit {
                Unit::Count => "count",
                Unit::Minor => "minor",
            };
            let number = |value: Option<i128>| value.map(|value| value as i64);
            json!({"figure": figure.name, "unit": unit, "from": number(from), "to": number(to)})
        });
        let mut step = json!({
            "step": outcome.step.name(), "happens": happens, "means": means.replace("\n   ", " "),
            "sent": sent.collect::<Vec<_>>(), "changed": moved.collect::<Vec<_>>(),
        });
        if outcome.step == StoryStep::Erasure {
            step["request"] = json!({"type": "erase", "email": STORY_PERSON.email, "device": STORY_PERSON.device});
            step["retracted_records"] = outcome.retracted.into();
        }
        step
    });
    json!({
        "brand": story.options().brand, "k": story.options().k, "steps": steps.collect::<Vec<_>>(),
        "returned": returned,
    })
}
