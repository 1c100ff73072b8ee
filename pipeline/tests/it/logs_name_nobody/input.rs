//! Every kind of record and of rights request of a person.

use serde_json::{Value, json};
use tributary_connectors::trace::TraceLine;

use super::person::{Somebody, sha256};

/// Records of every kind about some persons, and lines that are refused.
pub fn records(people: &[Somebody], now: i64) -> Vec<TraceLine> {
    let mut lines = Vec::new();
    let mut add = |kind: &str, data: String| {
        lines.push(TraceLine {
            subject: format!("tributary.in.orchard.{kind}"),
            at: now,
            headers: Vec::new(),
            data: data.into_bytes(),
        });
    };
    for (n, of) in people.iter().enumerate() {
        let ts = now - 60_000;
        let id = |what: &str| format!("{what}{n}");
        let mut web = |what: &str, more: Value| {
            let mut record = json!({
                "id": id(what), "ts": ts, "type": what, "cookie": of.cookie, "customer": of.customer,
                "email": of.email, "phone": of.phone, "ip": "203.0.113.77", "user_agent": "Mozilla/5.0 (X11; Linux)",
                "url": format!("https://shop.example/?email={}&utm_source=x", of.email.replace('@', "%40")),
                "referrer": format!("https://mail.example/{}", of.email),
            });
            record
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            add("web", record.to_string());
        };
        for contact in ["click", "impression", "view", "identify"] {
            web(
                contact,
                json!({"first_name": of.first, "last_name": of.last, "postcode": of.postcode}),
            );
        }
        web("order", json!({"order_id": id("o"), "amount": "10.00"}));
        web("refund", json!({"order_id": id("o"), "amount": "1.00"}));
        web(
            "view",
            json!({"id": id("robot"), "user_agent": "Googlebot/2.1"}),
        );
        let sale = json!({
            "id": id("sale"), "ts": ts, "store": "Lyon 2", "amount": "20.00", "email": of.email, "phone": of.phone,
            "wallet": of.wallet, "customer": of.customer, "first_name": of.first, "last_name": of.last,
            "postcode": of.postcode,
        });
        add("transaction", sale.to_string());
        let back = json!({"id": id("back"), "ts": ts, "store": "Lyon 2", "amount": "-5.00", "refund_of": id("sale"), "email": of.email});
        add("transaction", back.to_string());
        add(
            "ping",
            json!({"ts": ts, "store": "Lyon 2", "sensor": "door", "mac": of.mac, "rssi": -50})
                .to_string(),
        );
        add("ping", json!({"ts": ts, "store": "Lyon 2", "sensor": "door", "device": of.device, "rssi": -50}).to_string());
        for (what, signal) in [
            ("boxes", json!({"7": true})),
            ("opt", json!({"do_not_sell": true})),
        ] {
            let statement = json!({
                "id": id(what), "ts": ts, "purposes": signal, "cookie": of.cookie, "email": of.email,
                "phone": of.phone, "customer": of.customer, "wallet": of.wallet, "device": of.device,
                "evidence": {"shown": format!("Dear {}", of.first)},
            });
            add("consent", statement.to_string());
        }
        let spend = json!({"date": "2026-11-01", "platform": "search", "cost": "3.00", "campaign": "autumn"});
        add("spend", spend.to_string());
        // What is refused holds as much.
        add(
            "web",
            format!("{{\"id\": \"x\", \"email\": \"{}\", ", of.email),
        );
        add(
            "web",
            json!({"id": id("bad"), "ts": "yesterday", "type": "click", "cookie": of.cookie})
                .to_string(),
        );
        add(
            "web",
            json!({"id": id("of"), "ts": ts, "type": of.email}).to_string(),
        );
        add(
            "transaction",
            json!({"id": of.email, "ts": ts, "store": of.phone, "amount": of.email}).to_string(),
        );
        add(
            "ping",
            json!({"ts": ts, "store": "Lyon 2", "sensor": "door", "rssi": -50, "mac": of.email})
                .to_string(),
        );
        add(
            "consent",
            json!({"id": id("no"), "ts": ts, "email": of.email, "tc_string": of.cookie})
                .to_string(),
        );
        add("nothing", json!({"email": of.email}).to_string());
        add(
            &format!("web.{}", of.cookie),
            json!({"email": of.email}).to_string(),
        );
    }
    lines
}

/// Requests of every type, with identifiers of every kind, in clear and hashed, and some that are refused.
pub fn requests(people: &[Somebody], key: &str) -> Vec<Value> {
    let mut requests = Vec::new();
    let rights = [
        "access",
        "portability",
        "rectify",
        "restrict",
        "unrestrict",
        "do_not_sell",
        "directive",
        "object",
        "erase",
    ];
    for (n, of) in people.iter().enumerate() {
        for right in rights {
            let mut request = json!({
                "id": format!("r-{right}-{n}"), "ts": "2026-11-20T09:00:00Z", "type": right, "proof": format!("ticket of {}", of.last),
                "whole_person": n % 2 == 0,
                "identifiers": [
                    {"kind": "email", "value": of.email}, {"kind": "phone", "value": of.phone},
                    {"kind": "cookie", "value": of.cookie}, {"kind": "customer", "value": of.customer},
                    {"kind": "wallet", "value": of.wallet}, {"kind": "device", "value": of.mac},
                    {"kind": "email", "value": sha256(&of.email.to_lowercase())},
                    {"kind": "name_postcode", "first_name": of.first, "last_name": of.last, "postcode": of.postcode},
                ],
            });
            let more = match right {
                "access" | "portability" => json!({"reply_key": key}),
                "rectify" => {
                    json!({"record": {"kind": "transaction", "source": "transaction", "data": {
                        "id": format!("sale{n}"), "ts": "2026-11-20T09:00:00Z", "store": "Lyon 2", "amount": "21.00", "email": of.email,
                    }}})
                }
                "directive" => json!({"directive": {"action": "keep"}}),
                _ => json!({}),
            };
            request
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            requests.push(request);
        }
        requests.push(json!({"id": format!("r-none-{n}"), "ts": "2026-11-20T09:00:00Z", "type": of.email, "proof": "t"}));
        requests.push(json!({"id": format!("r-who-{n}"), "ts": "2026-11-20T09:00:00Z", "type": "erase", "proof": "t",
            "identifiers": [{"kind": of.cookie, "value": of.email}]}));
        requests.push(json!({"id": format!("r-more-{n}"), "ts": "2026-11-20T09:00:00Z", "type": "erase", "proof": "t",
            of.email.clone(): of.phone}));
    }
    requests
}
