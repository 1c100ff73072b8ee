//! The story of one fictional customer, from an advertisement to the till and back.
//!
//! A crowd gives the numbers something to start from. After it, one person acts step by step on the
//! last day: each step is what a website, a sensor or a till would send, and its effect on released
//! numbers is what a reader watches. The last step is not a message but a request: the erasure of
//! the person, which must return every number to where it was.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use tributary_config::model::Kind;

use crate::json::Object;
use crate::line::Line;
use crate::options::{Options, OptionsError};
use crate::world::{HOUR, MINUTE, SECOND};

/// The person of the story, who exists nowhere.
#[derive(Clone, Copy, Debug)]
pub struct StoryPerson {
    /// The e-mail address, which the newsletter, the till and the request know.
    pub email: &'static str,
    /// The MAC address of the telephone, which the sensor detects and the request names.
    pub device: &'static str,
    /// The cookie of the browser.
    pub cookie: &'static str,
    /// The store.
    pub store: &'static str,
}

/// The person of the story.
pub const STORY_PERSON: StoryPerson = StoryPerson {
    email: "ada.story@example.org",
    device: "00:1b:44:11:3a:b7",
    cookie: "story-browser",
    store: "s01",
};

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryStep {
    /// A click on a search advertisement.
    Click,
    /// A click in the newsletter, which identifies the browser.
    Newsletter,
    /// A visit in a store, as a sensor detects it.
    Visit,
    /// A purchase at the till.
    Sale,
    /// A part of the purchase is refunded.
    Refund,
    /// The person is erased.
    Erasure,
}

impl StoryStep {
    /// All steps in their order.
    pub const ALL: [StoryStep; 6] = [
        StoryStep::Click,
        StoryStep::Newsletter,
        StoryStep::Visit,
        StoryStep::Sale,
        StoryStep::Refund,
        StoryStep::Erasure,
    ];

    /// The name of the step in output for programs.
    pub fn name(self) -> &'static str {
        match self {
            StoryStep::Click => "click",
            StoryStep::Newsletter => "newsletter",
            StoryStep::Visit => "visit",
            StoryStep::Sale => "sale",
            StoryStep::Refund => "refund",
            StoryStep::Erasure => "erasure",
        }
    }
}

/// A crowd and the story of one person after it.
#[derive(Clone, Debug)]
pub struct Story {
    /// The options of the crowd. Its trace ends before the story begins.
    options: Options,
    /// When the story begins, Unix milliseconds.
    begin: i64,
}

impl Story {
    /// The crowd of a story that begins at 14:00 of the last day of `options`, in the zone of the
    /// brand. Nobody of the crowd is asked for consent, and the person is not either: a brand with
    /// consent strings would count the person only with the permission to do so.
    ///
    /// # Errors
    ///
    /// Options without days, or that do not define a world.
    pub fn new(options: Options) -> Result<Story, OptionsError> {
        options.check()?;
        let wrong = |error: jiff::Error| OptionsError(error.to_string());
        let days = options
            .days
            .ok_or_else(|| OptionsError("a story needs days".to_owned()))?;
        let zone = TimeZone::get(&options.timezone).map_err(wrong)?;
        let last = options
            .start
            .checked_add((i64::from(days) - 1).days())
            .map_err(wrong)?;
        let midnight = last
            .to_zoned(zone)
            .map_err(wrong)?
            .timestamp()
            .as_millisecond();
        Ok(Story::at(options, midnight + 14 * HOUR))
    }

    /// A story that begins at a time, Unix milliseconds, within the days of the crowd.
    pub fn at(options: Options, begin: i64) -> Story {
        let options = Options {
            consent: false,
            until: begin - 1,
            ..options
        };
        Story { options, begin }
    }

    /// The options of the crowd.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// When the story begins, Unix milliseconds.
    pub fn begin(&self) -> i64 {
        self.begin
    }

    /// The lines that a step sends, in order of arrival; none for the erasure.
    pub fn lines(&self, step: StoryStep) -> Vec<Line> {
        let person = STORY_PERSON;
        let begin = self.begin;
        let web = |kind: &str, id: &str, ts: i64| {
            let object = Object::new().text("id", id).raw("ts", ts);
            object.text("type", kind).text("cookie", person.cookie)
        };
        let till = |id: &str, ts: i64| {
            let object = Object::new().text("id", id).raw("ts", ts);
            object.text("store", person.store)
        };
        match step {
            StoryStep::Click => {
                let object = web("click", "story-1", begin);
                let object = object.text("source", "google").text("medium", "cpc");
                vec![self.line(Kind::Web, begin, object.text("campaign", "brand"))]
            }
            StoryStep::Newsletter => {
                let at = begin + 20 * MINUTE;
                let object = web("click", "story-2", at);
                let object = object.text("source", "newsletter").text("medium", "email");
                let object = object
                    .text("campaign", "weekly")
                    .text("email", person.email);
                vec![self.line(Kind::Web, at, object)]
            }
            StoryStep::Visit => (0..6)
                .map(|minute| {
                    let at = begin + HOUR + 2 * minute * MINUTE;
                    let object = Object::new().raw("ts", at).text("store", person.store);
                    let object = object.text("sensor", "s01-1").text("mac", person.device);
                    self.line(Kind::Ping, at, object.raw("rssi", -55))
                })
                .collect(),
            StoryStep::Sale => {
                let at = begin + HOUR + 11 * MINUTE;
                let object = till("story-sale", at).text("amount", "80.00");
                vec![self.line(Kind::Transaction, at, object.text("email", person.email))]
            }
            StoryStep::Refund => {
                let at = begin + 2 * HOUR;
                let object = till("story-refund", at).text("refund_of", "story-sale");
                vec![self.line(Kind::Transaction, at, object.text("amount", "-30.00"))]
            }
            StoryStep::Erasure => Vec::new(),
        }
    }

    /// A line that arrives a second after it was sent.
    fn line(&self, kind: Kind, ts: i64, object: Object) -> Line {
        Line {
            subject: format!("tributary.in.{}.{}", self.options.brand, kind.name()),
            at: ts + SECOND,
            data: object.end(),
            object: true,
        }
    }
}
