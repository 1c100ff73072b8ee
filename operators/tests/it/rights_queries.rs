//! The queries that rights and retention need: the stored records of an identifier, the identifiers
//! of one person, and persons without recent records. Each answer is exact as of its epoch, with 1,
//! 2, 3 and 8 workers.

use std::collections::BTreeSet;

use crate::support::story::{ACME, DAY, Story, identifier, key};
use crate::support::{Answers, ask};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::record::{Body, IdKind, Pseudonym, RecordKey, Right};
use tributary_operators::retention_query::{Horizons, RetentionQuery};

/// The numbers of workers of each run.
const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// The pseudonym of a named identifier.
fn pseudonym(name: &str) -> Pseudonym {
    identifier(name).pseudonym
}

/// Asks the questions one after the other.
fn answers(story: &Story, workers: usize, questions: &[Question]) -> Vec<Vec<Reply>> {
    let questions = questions.to_vec();
    let next = move |seen: &Answers| questions.get(seen.answers.len()).cloned();
    ask(&story.settings, &story.batches, workers, next).answers
}

/// The question for the records of some identifiers.
fn records(names: &[&str]) -> Question {
    Question::Records {
        brand: ACME,
        naming: names.iter().map(|name| pseudonym(name)).collect(),
    }
}

/// The question for all identifiers of a person.
fn whole(names: &[&str]) -> Question {
    Question::Members {
        brand: ACME,
        naming: names.iter().map(|name| pseudonym(name)).collect(),
        persons: [].into(),
    }
}

/// The keys in some replies.
fn keys(replies: &[Reply]) -> BTreeSet<RecordKey> {
    let key = |reply: &Reply| match reply {
        Reply::NamedRecord(key, _, _) => *key,
        other => panic!("{other:?}"),
    };
    replies.iter().map(key).collect()
}

/// Identifiers with their kinds.
type Members = BTreeSet<(Pseudonym, IdKind)>;

/// Named identifiers.
fn members(names: &[&str]) -> Members {
    let ids = names.iter().map(|name| identifier(name));
    ids.map(|id| (id.pseudonym, id.kind)).collect()
}

/// The identifiers in an answer, independent of person labels.
fn reported_members(replies: &[Reply]) -> Members {
    let member = |reply: &Reply| match reply {
        Reply::Member(pseudonym, kind, _) => (*pseudonym, *kind),
        other => panic!("{other:?}"),
    };
    replies.iter().map(member).collect()
}

/// Access includes records that consent or a right excludes from all numbers.
#[test]
fn records_are_returned_whether_they_count_or_not() {
    let mut story = Story::new();
    story.click("1", 0, "cookie:c", "google");
    story.order("o", 10, "cookie:c email:ann", 100);
    story.transaction("t", 20, "email:ann", 7);
    story.transaction("u", 20, "email:bob", 7);
    story.click("corrected", 0, "cookie:c", "google");
    story.click("dropped", 0, "cookie:c", "google");
    story.then();
    story.consent("no", 30, "cookie:c", AllowedUses::NONE);
    let right = Right::Restriction;
    let body = Body::Right {
        right,
        stands: true,
    };
    story.put("rights", "r", 30, "email:ann", body);
    story.click("corrected", 0, "cookie:d", "google");
    story.forget("web", "dropped");
    let questions = [
        records(&["cookie:c"]),
        records(&["email:ann", "cookie:c"]),
        records(&["email:nobody"]),
    ];
    let of_cookie = [("web", "1"), ("web", "o"), ("consent", "no")];
    let of_both = [&of_cookie[..], &[("till", "t"), ("rights", "r")]].concat();
    let expected =
        |held: &[(&str, &str)]| -> BTreeSet<_> { held.iter().map(|(s, id)| key(s, id)).collect() };
    for workers in WORKERS {
        let published = answers(&story, workers, &questions);
        assert_eq!(keys(&published[0]), expected(&of_cookie));
        assert_eq!(keys(&published[1]), expected(&of_both));
        assert!(published[2].is_empty());
    }
}

/// The identifiers of a person are those that records may link.
#[test]
fn whole_is_the_person_as_far_as_records_may_link() {
    let mut story = Story::new();
    story.click("1", 0, "cookie:c email:ann", "google");
    story.click("2", 0, "cookie:d email:ann", "google");
    story.click("3", 0, "cookie:e", "google");
    let questions = [
        whole(&["cookie:c"]),
        whole(&["cookie:e", "cookie:d"]),
        whole(&["cookie:nobody"]),
    ];
    let ann = ["cookie:c", "cookie:d", "email:ann"];
    let all = [&ann[..], &["cookie:e"]].concat();
    for workers in WORKERS {
        let published = answers(&story, workers, &questions);
        assert_eq!(reported_members(&published[0]), members(&ann));
        assert_eq!(reported_members(&published[1]), members(&all));
        assert!(published[2].is_empty());
    }
    story.then();
    story.consent("s", 9, "cookie:c", AllowedUses::ALL.without(Use::Link));
    for workers in WORKERS {
        let published = answers(&story, workers, &questions);
        assert_eq!(reported_members(&published[0]), members(&["cookie:c"]));
        assert_eq!(
            reported_members(&published[1]),
            members(&["cookie:d", "email:ann", "cookie:e"]),
            "the others are still linked"
        );
    }
}

/// The keys that a retention pass finds.
fn past(story: &Story, workers: usize, horizons: Horizons) -> BTreeSet<RecordKey> {
    let asked = move |answers: &[Vec<Reply>]| {
        let (mut query, first) = RetentionQuery::new(ACME, horizons);
        let mut next = Some(first);
        for replies in answers {
            next = query.advance(replies.clone());
        }
        (query, next)
    };
    let seen = ask(&story.settings, &story.batches, workers, move |seen| {
        asked(&seen.answers).1
    });
    let (query, _) = asked(&seen.answers);
    query.into_expired().records.into_keys().collect()
}

/// A person without a recent record of any identifier is inactive.
#[test]
fn identifiers_without_recent_records_are_idle() {
    let mut story = Story::new();
    story.click("1", DAY, "cookie:old email:old", "google");
    story.order("o", 2 * DAY, "email:old", 1);
    story.click("2", DAY, "cookie:edge", "google");
    story.transaction("t", 5 * DAY, "wallet:edge", 1);
    // Whoever only ever identifies is somebody, too, and identifying is an interaction.
    let both = "cookie:edge wallet:edge";
    story.put("web", "3", 6 * DAY, both, Body::Identify);
    story.put("web", "5", 3 * DAY, "cookie:known", Body::Identify);
    story.click("4", 9 * DAY, "cookie:new", "google");
    for workers in WORKERS {
        let past = |identification| {
            let horizons = Horizons {
                cookies: i64::MIN,
                transactions: i64::MIN,
                consent: i64::MIN,
                identification,
                visits: i64::MIN,
                exposures: i64::MIN,
            };
            past(&story, workers, horizons)
        };
        let web =
            |ids: &[&str]| -> BTreeSet<RecordKey> { ids.iter().map(|id| key("web", id)).collect() };
        assert_eq!(past(2 * DAY), web(&[]));
        assert_eq!(past(2 * DAY + 1), web(&["1", "o"]));
        assert_eq!(past(3 * DAY + 1), web(&["1", "5", "o"]));
        // To the millisecond: what happened at the very time is not before it.
        assert_eq!(past(6 * DAY), web(&["1", "5", "o"]));
        let mut all = web(&["1", "2", "3", "5", "o"]);
        all.insert(key("till", "t"));
        assert_eq!(past(6 * DAY + 1), all);
    }
}

/// The days of a device are found in every store.
#[test]
fn the_days_of_a_device_are_returned_for_every_store() {
    let mut story = Story::new();
    for second in [10, 10, 70] {
        story.ping("lyon", 1, second);
    }
    story.ping("lyon", 2, 10);
    story.ping("metz", 1, 10);
    for workers in WORKERS {
        let seen = ask(&story.settings, &story.batches, workers, |seen| {
            seen.answers.is_empty().then(|| Question::DeviceDays {
                brand: ACME,
                devices: [1].into(),
            })
        });
        let mut stores: Vec<_> = seen.answers[0]
            .iter()
            .map(|reply| match reply {
                Reply::DeviceSeen(device) => device.store,
                other => panic!("{other:?}"),
            })
            .collect();
        stores.sort_unstable();
        let mut both = ["lyon", "metz"].map(tributary_operators::label::Label::of);
        both.sort_unstable();
        assert_eq!(stores, both, "{workers} workers");
    }
}
