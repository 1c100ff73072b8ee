//! The form of the loyalty program: what members read and tick when they ask for their wallet pass.
//!
//! There are two versions of the form, in two languages. Until the seventh day of the world its boxes came ticked for one member in
//! six, which is no consent; the second version corrects that. One member in twenty is said to have agreed by reading on. Of all
//! others, most tick everything, and some leave a box empty. One in 25 takes back a tick in the settings of the account, five days
//! or more later.
//!
//! Like the choices of browsers, those of members draw no random numbers: a world with forms has the same other events as one
//! without.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::Person;
use crate::random::mixed;
use crate::world::{HOUR, SECOND, World};

/// The day from which on the second version of the form is shown.
const CORRECTED: u32 = 7;

/// What stands beside the boxes for purposes 7 and 9, in French and in English.
const WORDINGS: [(&str, [&str; 2]); 2] = [
    (
        "fr",
        [
            "J'accepte que l'enseigne mesure si ses publicités me conduisent à un achat.",
            "J'accepte que mes achats en ligne et en magasin soient comptés ensemble dans des statistiques.",
        ],
    ),
    (
        "en",
        [
            "I agree that the brand measures whether its advertising leads to my purchases.",
            "I agree that my purchases online and in stores are counted together in statistics.",
        ],
    ),
];

/// What a member does with the form.
struct Answer {
    /// The boxes that are ticked: those for purposes 7 and 9.
    ticks: [bool; 2],
    /// Whether they came ticked.
    preticked: bool,
    /// How the member agreed.
    method: &'static str,
    /// The place in [`WORDINGS`] of the language.
    language: usize,
    /// How many days later a tick is taken back; `None` if none is.
    taken_back: Option<u32>,
}

impl Answer {
    /// The answer of a member who gets a form on a day.
    fn of(number: u64, day: u32, seed: u64) -> Answer {
        let bits = mixed(&[seed, 1 << 43, number]);
        let preticked = day < CORRECTED && bits.is_multiple_of(6);
        Answer {
            ticks: match (preticked, (bits >> 8) % 100) {
                (true, _) => [true, true],
                (false, 0..6) => [false, true],
                (false, 6..16) => [true, false],
                (false, 16..20) => [false, false],
                (false, _) => [true, true],
            },
            preticked,
            method: match (bits >> 16) % 20 {
                0 => "scroll",
                _ => "checkbox",
            },
            language: usize::from((bits >> 24) % 10 >= 7),
            taken_back: (bits >> 32)
                .is_multiple_of(25)
                .then_some(5 + ((bits >> 40) % 10) as u32),
        }
    }
}

impl World {
    /// Sends the form of a member who gets a pass, if the world asks for consent. `ts` is the time of the pass, Unix milliseconds.
    pub(crate) fn send_form(&mut self, person: &Person, ts: i64) {
        if !self.options.consent {
            return;
        }
        let answer = Answer::of(u64::from(person.number), self.day, self.options.seed);
        let Some((language, wordings)) = WORDINGS.get(answer.language) else {
            return;
        };
        let beside = |wording: &str| {
            let beside = Object::new().text("wording", wording);
            match answer.preticked {
                true => beside.raw("preticked", true).end(),
                false => beside.end(),
            }
        };
        let [of_7, of_9] = wordings.map(beside);
        let evidence = Object::new()
            .text("notice", "loyalty form")
            .text(
                "notice_version",
                if self.day < CORRECTED { "1" } else { "2" },
            )
            .text("language", language)
            .text("method", answer.method)
            .raw("boxes", Object::new().raw("7", of_7).raw("9", of_9).end());
        let ts = ts - 30 * SECOND;
        self.send_statement(person, "form", ts, answer.ticks, evidence);
    }

    /// Sends what a member takes back on this day, who got the pass on the day `since`.
    pub(crate) fn send_taken_back(&mut self, person: &Person, since: u32) {
        let answer = Answer::of(u64::from(person.number), since, self.options.seed);
        let is_today = answer.taken_back.map(|days| since + days) == Some(self.day);
        if self.options.consent && is_today {
            let evidence = Object::new().text("notice", "account settings");
            let ts = self.midnight + 20 * HOUR + i64::from(person.number) % HOUR;
            self.send_statement(person, "settings", ts, [answer.ticks[0], false], evidence);
        }
    }

    /// Sends a statement about purposes 1, 7 and 9.
    fn send_statement(
        &mut self,
        person: &Person,
        what: &str,
        ts: i64,
        [ticks_7, ticks_9]: [bool; 2],
        evidence: Object,
    ) {
        let purposes = Object::new()
            .raw("1", true)
            .raw("7", ticks_7)
            .raw("9", ticks_9);
        let object = Object::new()
            .text("id", &format!("{what}-{}", person.number))
            .raw("ts", ts)
            .text("email", &person.identity(self.options.seed).email())
            .raw("purposes", purposes.end())
            .raw("evidence", evidence.end());
        self.enqueue(Kind::Consent, ts + SECOND, true, object.end());
    }
}
