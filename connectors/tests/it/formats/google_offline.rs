//! Offline conversions for Google Ads.

use serde_json::{Value, json};
use tributary_config::model::EventMeaning;

use super::{AT, acme, decode, decode_with};

fn gives(document: &str) -> Value {
    json!(decode("google", AT, document).gives)
}

fn transaction(id: &str, amount: &str, ts: &str) -> Value {
    json!({"kind": "transaction", "data": {"id": id, "ts": ts, "amount": amount, "store": "Lyon 2"}})
}

#[test]
fn headers_are_read_in_any_case_and_a_zone_in_the_row_wins() {
    let document = "\u{feff}parameters:timezone=Asia/Tokyo,,\r\nORDER ID,conversion_name,Conversion time,conversion VALUE\r\n1,In store,2025-10-09 08:00:00,7\r\n2,In store,2025-10-09 08:00:00+0400,8.50\r\n\r\n";
    assert_eq!(
        gives(document),
        json!([
            transaction("1", "7", "2025-10-09T08:00:00+09:00"),
            transaction("2", "8.50", "2025-10-09T08:00:00+04:00")
        ])
    );
}

#[test]
fn a_conversion_without_an_order_id_is_its_click_its_name_and_its_time() {
    let document = "Google Click ID,Conversion Name,Conversion Time,Conversion Value\ng1,In store,2025-10-09 08:00:00Z,7\n,In store,2025-10-09 08:00:00Z,7";
    let given = gives(document);
    assert_eq!(given[0]["data"]["id"], "g1|In store|2025-10-09 08:00:00Z");
    assert_eq!(given[0]["data"]["click_id"], "g1");
    assert_eq!(given[1], json!({"refused": "missing_field"}));
}

#[test]
fn without_any_zone_a_time_is_refused_and_grouped_thousands_are() {
    let document = "Order ID,Conversion Name,Conversion Time,Conversion Value\n1,In store,2025-10-09 08:00:00,7\n2,In store,2025-10-09 08:00:00Z,\"1,250.00\"\n3,In store\n";
    assert_eq!(
        gives(document),
        json!([{"refused": "time_without_zone"}, {"refused": "invalid_amount"}, {"refused": "malformed_row"}])
    );
}

#[test]
fn orders_are_retracted_and_restated_as_orders() {
    let mut brand = acme();
    brand.sources[3].mapping.conversions = [("Web".to_owned(), EventMeaning::Order)].into();
    let document = "Order ID,Conversion Name,Adjustment Time,Adjustment Type,Adjusted Value,Adjusted Value Currency\no,Web,2025-10-09 08:00:00Z,retraction,,\no,Web,2025-10-09 08:00:00Z,RESTATEMENT,5,EUR\no,In store,2025-10-09 08:00:00Z,RETRACT,,\no,Web,2025-10-09 08:00:00Z,UNDO,,";
    let given = decode_with(brand, "google", AT, &[], document.as_bytes()).gives;
    let ts = "2025-10-09T08:00:00+00:00";
    assert_eq!(
        json!(given),
        json!([
            {"kind": "web", "data": {"id": "o#retract", "ts": ts, "type": "refund", "order_id": "o"}},
            {"kind": "web", "data": {"id": "o#restate#1759996800000", "ts": ts, "type": "order", "restates": "o", "amount": "5", "currency": "EUR"}},
            {"ignored": "not_mapped"},
            {"refused": "unknown_type"},
        ])
    );
}

#[test]
fn events_of_the_data_manager_are_read_in_both_spellings() {
    let event = r#"{"transactionId":"t","eventTimestamp":"2025-10-09T08:00:00Z","conversionValue":12.345,"currency":"EUR","eventSource":"IN_STORE","userData":{"userIdentifiers":[{"emailAddress":"a"},{"phoneNumber":"+33612345678"},{"emailAddress":"b"}]},"adIdentifiers":{"gclid":"g"},"consent":{"adUserData":"CONSENT_DENIED","adPersonalization":"CONSENT_GRANTED"}}"#;
    let ts = "2025-10-09T08:00:00Z";
    let ids = json!({"email": ["a", "b"], "phone": "+33612345678", "click_id": "g"});
    let mut sale =
        json!({"id": "t", "ts": ts, "store": "Lyon 2", "amount": "12.35", "currency": "EUR"});
    let mut consent = json!({"id": "t#consent", "ts": ts, "purposes": {"do_not_share": true}});
    for record in [&mut sale, &mut consent] {
        record
            .as_object_mut()
            .unwrap()
            .extend(ids.as_object().unwrap().clone());
    }
    assert_eq!(
        gives(event),
        json!([{"kind": "transaction", "data": sale}, {"kind": "consent", "data": consent}])
    );
}

#[test]
fn a_row_that_does_not_fit_is_refused_alone_wherever_it_stands_in_a_message() {
    let row = |id: &str| {
        format!(
            r#"{{"Order ID":"{id}","Conversion Name":"In store","Conversion Time":"2025-10-09 08:00:00Z","Conversion Value":"7"}}"#
        )
    };
    let bad = r#"["","In store","2025-10-09 08:00:00Z","5","EUR","O9","extra"]"#;
    let sale = |id| transaction(id, "7", "2025-10-09T08:00:00+00:00");
    let refused = json!({"refused": "malformed_row"});
    assert_eq!(gives(bad), json!([refused]));
    assert_eq!(
        gives(&format!("{bad}\n{}\n{}", row("1"), row("2"))),
        json!([refused, sale("1"), sale("2")])
    );
    assert_eq!(
        gives(&format!("{}\n{bad}\n{}", row("1"), row("2"))),
        json!([sale("1"), refused, sale("2")])
    );
    assert_eq!(
        gives(&format!("nonsense\n{}", row("1"))),
        json!([refused, sale("1")])
    );
    // A list of events is one line and no event.
    let not_an_object = json!([{"refused": "not_an_object"}]);
    assert_eq!(
        gives(&format!("[{},{}]", row("1"), row("2"))),
        not_an_object
    );
    assert_eq!(gives("[]"), not_an_object);
}

#[test]
fn a_document_with_another_header_is_refused_once_and_whole() {
    for document in [
        "Click,Name,When\nG,In,2026-05-22\nH,In,2026-05-23",
        "Order ID;Conversion\n1;2",
    ] {
        let given = decode("google", AT, document);
        assert_eq!(json!(given.gives), json!([{"refused": "malformed_row"}]));
        assert_eq!(given.dead[0].payload, document.as_bytes());
        assert!(given.dead[0].detail.contains("`Conversion Name`"));
    }
}

#[test]
fn rows_are_recognized_by_their_headers_and_not_by_their_values() {
    let document = "Order ID,Conversion Name,Conversion Time,Adjustment Time,Adjustment Type,Adjusted Value\nO1,x,2026-05-22 14:30:00+02:00,2026-05-23 14:30:00+02:00,,5\n";
    let given = decode("google", AT, document);
    assert_eq!(
        given.dead[0].detail,
        "`Adjustment Type` is required and absent, null or empty"
    );
    let document =
        "Google Click ID,Conversion Name,Conversion Time,Order ID\nG1,,2026-05-22 14:30:00 UTC,\n";
    let mut brand = acme();
    brand.sources[3].mapping.conversions.clear();
    let given = decode_with(brand, "google", AT, &[], document.as_bytes());
    assert!(
        given.dead[0]
            .detail
            .starts_with("`Order ID` is required, or a click ID")
    );
}

#[test]
fn a_stray_quotation_mark_costs_its_row() {
    let document = "Order ID,Conversion Name,Conversion Time,Conversion Value\n1,\"In store,2025-10-09 08:00:00Z,7\n2,In store,2025-10-09 08:00:00Z,7\n3,In store,2025-10-09 08:00:00Z,7\n";
    let given = decode("google", AT, document);
    let sale = |id| transaction(id, "7", "2025-10-09T08:00:00+00:00");
    assert_eq!(
        json!(given.gives),
        json!([{"refused": "malformed_row"}, sale("2"), sale("3")])
    );
    assert!(given.dead[0].detail.starts_with("line 2 "));
}

#[test]
fn a_request_to_the_data_manager_is_its_events_with_its_consent() {
    let sale = |id: &str| json!({"transactionId": id, "eventTimestamp": "2025-10-09T08:00:00Z", "conversionValue": 7, "currency": "EUR", "eventSource": "IN_STORE"});
    let own = json!({"transactionId": "b", "eventTimestamp": "2025-10-09T08:00:00Z", "conversionValue": 7, "currency": "EUR", "eventSource": "IN_STORE", "userData": {"userIdentifiers": [{"emailAddress": "a@b.example"}]}, "consent": {"adUserData": "CONSENT_GRANTED"}});
    let mut first = sale("a");
    first["userData"] = own["userData"].clone();
    let request = json!({"destinations": [{"productDestinationId": "1"}], "events": [first, own, 7], "consent": {"adUserData": "CONSENT_DENIED"}});
    let given = decode("google", AT, &request.to_string());
    let kinds: Vec<_> = given.gives.iter().map(|of| &of["kind"]).collect();
    assert_eq!(
        json!(kinds),
        json!(["transaction", "consent", "transaction", null]),
        "{:?}",
        given.gives
    );
    assert_eq!(given.gives[3], json!({"refused": "not_an_object"}));
    assert_eq!(
        gives(&json!({"events": []}).to_string()),
        json!([{"ignored": "not_mapped"}])
    );
}

#[test]
fn cells_are_trimmed_and_addresses_may_repeat() {
    let document = "Email, Email ,Phone Number,Conversion Name, Conversion Time,Conversion Value,Conversion Currency,Order ID\na@b.example, c@d.example ,, In store , 2025-10-09 08:00:00Z , 7 , EUR , o \n";
    let given = gives(document);
    assert_eq!(given[0]["kind"], "transaction", "{given}");
    assert_eq!(
        given[0]["data"]["email"],
        json!(["a@b.example", "c@d.example"])
    );
    assert_eq!(
        [&given[0]["data"]["id"], &given[0]["data"]["currency"]],
        ["o", "EUR"]
    );
}
