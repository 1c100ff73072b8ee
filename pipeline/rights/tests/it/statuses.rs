//! A status tells how a request stands, and goes one way only.

use crate::common::*;
use tributary_rights::status::{PublishedStatus, Status, StatusMessage};
use tributary_rights::{Counts, Reason};

#[test]
fn a_status_tells_how_it_stands_in_one_line() {
    let erase = parse(&request("erase")).unwrap();
    let message = |status| {
        let message = StatusMessage {
            brand: "acme",
            id: &erase.id,
            right: Some(erase.asked.right()),
            status,
            at: AT,
            detail: Some("`record.data.id` names no stored record"),
        };
        let json = message.to_json();
        let read = PublishedStatus::read(json.as_bytes()).unwrap();
        assert_eq!(
            (read.id, read.status, read.at),
            (erase.id.clone(), status, AT)
        );
        json
    };
    let start = r#"{"at":1763629200000,"brand":"acme","#;
    assert_eq!(
        message(Status::Pending),
        format!(r#"{start}"id":"r-117","status":"pending","type":"erase"}}"#)
    );
    assert_eq!(
        message(Status::Rejected(Reason::NotTheirs)),
        format!(
            r#"{start}"detail":"`record.data.id` names no stored record","id":"r-117","reason":"not_theirs","status":"rejected","type":"erase"}}"#
        )
    );
    assert_eq!(
        message(Status::Completed(Counts::default())),
        format!(r#"{start}"id":"r-117","status":"completed","type":"erase"}}"#)
    );
}

#[test]
fn a_status_does_not_tell_whether_anybody_was_found() {
    let erase = parse(&request("erase")).unwrap();
    let message = |records| {
        let counts = Counts {
            records,
            ..Counts::default()
        };
        let message = StatusMessage {
            brand: "acme",
            id: &erase.id,
            right: Some(erase.asked.right()),
            status: Status::Completed(counts),
            at: AT,
            detail: Some("`record.data.id` names no stored record"),
        };
        message.to_json()
    };
    assert_eq!(message(0), message(7));
}

#[test]
fn a_status_never_goes_back_and_never_ends_twice() {
    let all = [
        Status::Pending,
        Status::InProgress,
        Status::Completed(Counts::default()),
        Status::Rejected(Reason::NotFound),
    ];
    let allowed = [(0, 1), (0, 3), (1, 2), (1, 3)];
    for (from, before) in all.into_iter().enumerate() {
        for (to, after) in all.into_iter().enumerate() {
            let next = before.next(after);
            match allowed.contains(&(from, to)) {
                true => assert_eq!(next, Ok(after)),
                false => {
                    let words = format!("{} cannot become {}", before.name(), after.name());
                    assert!(next.unwrap_err().to_string().contains(&words));
                }
            }
        }
        assert_eq!(before.is_final(), from >= 2);
    } // Who sent it may withdraw it until it begins.
    let cancelled = Status::Rejected(Reason::Cancelled);
    assert_eq!(Status::Pending.next(cancelled), Ok(cancelled));
    Status::InProgress.next(cancelled).unwrap_err();
}
