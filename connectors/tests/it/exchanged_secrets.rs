//! A brand's secret was exchanged: records carry what the newest gives, the sink sees for a moment what their identifiers
//! were under each one before, and the same statement is the same record whatever was exchanged.

use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::subject_identifiers;
use tributary_operators::event::Event;
use tributary_operators::record::{IdKind, IdSet, Pseudonym, RecordKey};

/// The sets of every event that has one, of the oldest level first, with its key.
#[derive(Default)]
struct Seen(Vec<(RecordKey, Vec<IdSet>)>);

impl Sink for Seen {
    fn event(&mut self, event: Event) {
        self.rekeyed_event(event, &[]);
    }

    fn rekeyed_event(&mut self, event: Event, earlier: &[IdSet]) {
        let (key, newest) = match event {
            Event::Put { key, record, .. } => (key, record.ids),
            Event::Evidence { key, ids, .. } => (key, ids),
            _ => return,
        };
        self.0.push((key, [earlier, &[newest]].concat()));
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        panic!("{}", dead.detail);
    }

    fn ignore(&mut self, _: Ignored) {}
}

/// A brand whose secrets end in these letters, the oldest first.
fn brand(letters: &str) -> tributary_config::model::Brand {
    let mut brand = crate::common::brand("acme");
    let secrets = letters.chars();
    let mut secrets: Vec<_> = secrets
        .map(|letter| format!("224ff3c627f30dd0f8e3fdb63bf28aa{letter}").into())
        .collect();
    brand.secret = secrets.pop().unwrap();
    brand.previous_secrets = secrets;
    brand
}

fn seen(letters: &str) -> Vec<(RecordKey, Vec<IdSet>)> {
    let mut decoder = Decoder::new(&crate::common::config(vec![brand(letters)]));
    let mut seen = Seen::default();
    for (kind, data) in [
        (
            "web",
            r#"{"id":"1","ts":31536000001,"type":"order","amount":1,"cookie":"c-1","email":"Jane@example.org","phone":"06 12 34 56 78"}"#,
        ),
        // The number is remembered from the line before.
        (
            "transaction",
            r#"{"id":"2","ts":31536000001,"store":"lyon","amount":1,"phone":"06 12 34 56 78"}"#,
        ),
        (
            "consent",
            r#"{"id":"3","ts":31536000001,"email":"jane@example.org","purposes":{"7":true}}"#,
        ),
        (
            "transaction",
            r#"{"id":"4","ts":31536000001,"store":"lyon","amount":1}"#,
        ),
    ] {
        decoder.decode(
            &Message {
                subject: &format!("tributary.in.acme.{kind}"),
                at: 31_536_000_002,
                number: 1,
                headers: &[],
                data: data.as_bytes(),
            },
            &mut seen,
        );
    }
    seen.0
}

#[test]
fn every_level_is_what_a_process_of_its_time_had_made() {
    let (one, two, three) = (seen("x"), seen("xy"), seen("xyz"));
    assert_eq!((one.len(), two.len(), three.len()), (5, 5, 5));
    for ((one, two), three) in one.iter().zip(&two).zip(&three) {
        assert!(one.0 == two.0 && two.0 == three.0, "the same record");
        // A record that names nobody has nothing that could be on a list.
        let empty = one.1[0].is_empty();
        let levels = if empty { [1, 1, 1] } else { [1, 2, 3] };
        assert_eq!([one.1.len(), two.1.len(), three.1.len()], levels);
        if !empty {
            assert!(one.1[0] == two.1[0] && one.1[0] == three.1[0]);
            assert!(two.1[1] == three.1[1]);
            assert_ne!(three.1[1], three.1[2]);
        }
    }
}

#[test]
fn whom_a_request_names_is_what_the_newest_secret_gives() {
    for letters in ["x", "xyz"] {
        let brand = brand(letters);
        let key = BrandKey::new(&brand);
        let email =
            subject_identifiers::identifiers(&brand, &key, IdKind::Email, "jane@example.org");
        let order = seen(letters).swap_remove(0).1.pop().unwrap();
        let ids: Vec<Pseudonym> = order.ids().iter().map(|id| id.pseudonym).collect();
        assert!(ids.contains(&email[0].pseudonym));
        assert_eq!(email, key.identify(IdKind::Email, "jane@example.org"));
    }
}
