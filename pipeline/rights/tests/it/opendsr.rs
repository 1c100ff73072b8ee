//! A controller speaks OpenDSR 2.0: it discovers, posts, asks for the status, and receives it.

use crate::common::*;
use serde_json::{Value, json};
use tributary_operators::record::IdKind;
use tributary_rights::opendsr::{
    Cancellation, Created, Discovery, ErrorBody, Regulation, StatusBody, Submission,
};
use tributary_rights::request::{Identifier, RequestBody};
use tributary_rights::sealed::KeyPair;
use tributary_rights::status::Status;
use tributary_rights::{Counts, Reason, Refusal, Request, Right};

const DOMAIN: &str = "rights.example.com";
const ID: &str = "a7551968-d5d6-44b2-9831-815ac9017798";

/// The example of the specification, with the field that 2.0 added.
fn submission() -> Value {
    json!({
        "regulation": "gdpr",
        "subject_request_id": ID,
        "subject_request_type": "erasure",
        "submitted_time": "2025-11-20T09:00:00Z",
        "subject_identities": [
            {"identity_type": "email", "identity_value": "jane.doe@example.org", "identity_format": "raw"},
        ],
        "api_version": "2.0",
        "status_callback_urls": ["https://examplecontroller.com/opendsr_callbacks"],
        "extensions": {"example-other-processor.com": {"foo-other-processor-custom-id": 654_321}},
    })
}

fn post(body: &Value) -> Result<Submission, Refusal> {
    Submission::parse(body.to_string().as_bytes(), "acme", DOMAIN)
}

#[test]
fn an_erasure_from_its_submission_to_the_callback() {
    let discovery =
        serde_json::to_value(Discovery::new("https://rights.example.com/cert.pem")).unwrap();
    assert_eq!(discovery["api_version"], "2.0");
    assert_eq!(
        discovery["supported_subject_request_types"],
        json!(["access", "portability", "erasure"])
    );
    let identities = discovery["supported_identities"].as_array().unwrap();
    for (name, format) in [("email", "raw"), ("email", "sha256"), ("android_id", "raw")] {
        let identity = json!({"identity_type": name, "identity_format": format});
        assert!(identities.contains(&identity), "{identity}");
    }
    assert_eq!(
        discovery["processor_certificate"],
        "https://rights.example.com/cert.pem"
    );

    let body = submission().to_string();
    let posted = post(&submission()).unwrap();
    let request = &posted.request;
    assert_eq!(posted.regulation, Regulation::Gdpr);
    assert_eq!(
        posted.callbacks,
        ["https://examplecontroller.com/opendsr_callbacks"]
    );
    assert_eq!((request.asked.right(), request.ts), (Right::Erase, AT));
    assert_eq!(request.brand, "acme");
    assert_eq!(request.proof.expose(), format!("opendsr:{ID}"));
    assert!(!request.whole_person);
    assert!(matches!(&request.identifiers[..],
        [Identifier::One { kind: IdKind::Email, value }] if value.expose() == "jane.doe@example.org"));
    assert_nothing_personal(&format!("{posted:?}"));

    let created = Created::new("acme", &request.id, body.as_bytes(), AT, AT + 86_400_000);
    assert_nothing_personal(&format!("{created:?}"));
    let created = serde_json::to_value(created).unwrap();
    assert_eq!(created["controller_id"], "acme");
    assert_eq!(created["received_time"], "2025-11-20T09:00:00.000Z");
    assert_eq!(
        created["expected_completion_time"],
        "2025-11-21T09:00:00.000Z"
    );
    assert_eq!(created["subject_request_id"], ID);
    let encoded = created["encoded_request"].as_str().unwrap();
    use base64::Engine;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .unwrap();
    assert_eq!(decoded, body.as_bytes());

    let status = |status| StatusBody::new("acme", &request.id, DOMAIN, status, AT);
    let done = status(Status::Completed(Counts::default())).callback(&posted.callbacks[0]);
    assert_eq!(
        serde_json::to_value(done).unwrap(),
        json!({
            "controller_id": "acme",
            "expected_completion_time": "2025-11-20T09:00:00.000Z",
            "status_callback_url": "https://examplecontroller.com/opendsr_callbacks",
            "subject_request_id": ID,
            "request_status": "completed",
            "api_version": "2.0",
            "results_url": null,
        })
    );
    let rejected = serde_json::to_value(status(Status::Rejected(Reason::NotFound))).unwrap();
    assert_eq!(rejected["request_status"], "cancelled");
    assert_eq!(
        rejected["extensions"],
        json!({DOMAIN: {"reason": "not_found"}})
    );
    assert_eq!(rejected.get("status_callback_url"), None);
    let cancelled = serde_json::to_value(Cancellation::new("acme", &request.id, AT)).unwrap();
    assert_eq!(cancelled["received_time"], "2025-11-20T09:00:00.000Z");
    assert_eq!(cancelled["subject_request_id"], ID);
}

#[test]
fn opengdpr_names_no_regulation() {
    for version in ["0.1", "1.0"] {
        let mut body = submission();
        body["api_version"] = json!(version);
        body.as_object_mut().unwrap().remove("regulation");
        assert_eq!(post(&body).unwrap().regulation, Regulation::Gdpr);
        body["regulation"] = json!("ccpa");
        assert_eq!(post(&body).unwrap().regulation, Regulation::Ccpa);
    }
}

#[test]
fn what_opendsr_lacks_is_in_our_extension() {
    let pair = KeyPair::generate();
    let mut body = submission();
    body["subject_request_type"] = json!("access");
    assert_eq!(post(&body).unwrap_err().reason, Reason::NoReplyKey);
    body["extensions"] = json!({DOMAIN: {
        "proof": "ticket 117",
        "whole_person": true,
        "reply_key": pair.public().to_string(),
        "identifiers": [{"kind": "phone", "value": "+33 1 23 45 67 89"}],
    }});
    body["subject_identities"] = json!([
        {"identity_type": "controller_customer_id", "identity_value": "a".repeat(64), "identity_format": "sha256"},
        {"identity_type": "ios_advertising_id", "identity_value": "AB-12", "identity_format": "raw"},
    ]);
    let request = post(&body).unwrap().request;
    assert_eq!(request.asked, RequestBody::Access(pair.public()));
    assert!(request.whole_person);
    assert_eq!(request.proof.expose(), "ticket 117");
    let kinds: Vec<IdKind> = request.identifiers.iter().map(Identifier::kind).collect();
    assert_eq!(kinds, [IdKind::Phone, IdKind::Customer, IdKind::Device]);
    // Nobody else's identities are needed then.
    body["subject_identities"] = Value::Null;
    assert_eq!(post(&body).unwrap().request.identifiers.len(), 1);
}

#[test]
fn what_was_posted_is_the_request_of_every_other_door() {
    let pair = KeyPair::generate();
    let mut body = submission();
    let rewritten = |body: &Value| {
        let posted = post(body).unwrap();
        let text = posted.to_request();
        assert_eq!(
            Request::parse(&text, Some("acme"), &|_| true).unwrap(),
            posted.request
        );
    };
    rewritten(&body);
    body["subject_request_type"] = json!("portability");
    body["extensions"] = json!({DOMAIN: {
        "proof": "a \"ticket\"\n117",
        "whole_person": true,
        "reply_key": pair.public().to_string(),
        "identifiers": [
            {"kind": "name_postcode", "first_name": "Jane", "last_name": "D\\oe", "postcode": 75011},
        ],
    }});
    rewritten(&body);
}

#[test]
fn what_is_wrong_is_told_without_telling_who() {
    let identity = |name: &str, value: &str, format: &str| json!([{"identity_type": name, "identity_value": value, "identity_format": format}]);
    let digest = "0".repeat(64);
    for (field, value, reason) in [
        ("regulation", Value::Null, Reason::Malformed),
        ("regulation", json!("jane"), Reason::Malformed),
        ("subject_request_id", json!("r-117"), Reason::Malformed),
        (
            "subject_request_id",
            json!(ID.to_uppercase()),
            Reason::Malformed,
        ),
        (
            "subject_request_id",
            json!("a7551968-d5d6-14b2-9831-815ac9017798"),
            Reason::Malformed,
        ),
        (
            "subject_request_type",
            json!("rectification"),
            Reason::UnknownType,
        ),
        ("submitted_time", json!(AT), Reason::Malformed),
        ("submitted_time", json!("2025-11-20"), Reason::Malformed),
        ("subject_identities", Value::Null, Reason::NoIdentifier),
        ("subject_identities", json!([]), Reason::NoIdentifier),
        ("subject_identities", json!("jane"), Reason::BadIdentifier),
        (
            "subject_identities",
            json!([{"jane": 1}]),
            Reason::BadIdentifier,
        ),
        (
            "subject_identities",
            identity("mparticle_id", "jane", "raw"),
            Reason::Unsupported,
        ),
        (
            "subject_identities",
            identity("email", "jane", "md5"),
            Reason::Unsupported,
        ),
        (
            "subject_identities",
            identity("email", "jane", "sha256"),
            Reason::BadIdentifier,
        ),
        (
            "subject_identities",
            identity("email", &digest, "raw"),
            Reason::Unsupported,
        ),
        (
            "subject_identities",
            identity("android_id", &digest, "sha256"),
            Reason::Unsupported,
        ),
        (
            "subject_identities",
            identity("email", "", "raw"),
            Reason::BadIdentifier,
        ),
        ("api_version", json!("3.0"), Reason::Unsupported),
        (
            "status_callback_urls",
            json!(vec!["https://jane.example"; 9]),
            Reason::Malformed,
        ),
        (
            "status_callback_urls",
            json!(["http://jane.example"]),
            Reason::Malformed,
        ),
        (
            "status_callback_urls",
            json!("https://jane.example"),
            Reason::Malformed,
        ),
        ("extensions", json!([]), Reason::Malformed),
        (
            "extensions",
            json!({DOMAIN: {"whole": true}}),
            Reason::Malformed,
        ),
        ("property_id", json!("jane"), Reason::Malformed),
    ] {
        let mut body = submission();
        body[field] = value.clone();
        let refusal = post(&body).expect_err(field);
        assert_eq!(refusal.reason, reason, "{field} {value}: {refusal}");
        let error = serde_json::to_value(ErrorBody::new(400, &refusal)).unwrap();
        assert_eq!(error["error"]["code"], 400);
        assert_eq!(error["error"]["errors"][0]["reason"], reason.name());
        assert_nothing_personal(&error.to_string());
    }
    let many = vec![identity("email", "jane@example.org", "raw")[0].clone(); 65];
    let mut body = submission();
    body["subject_identities"] = json!(many);
    assert_eq!(post(&body).unwrap_err().reason, Reason::BadIdentifier);
}
