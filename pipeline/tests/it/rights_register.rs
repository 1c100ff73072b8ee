//! The register of requests is read from the broker, with or without a worker: what nobody has read yet is open, what is
//! answered has ended, and nothing in it names a data subject. The answer to a request for access is also a page.

use crate::page_browser::Browser;
use crate::support::story::{last, play, ready};
use crate::support::{Worker, World, succeed, tributary};
use serde_json::Value;
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_register_says_what_is_open_and_what_has_ended() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(500, Some(&broker), "");
    let client = ready(&broker).await;
    nats::ensure_rights_stream(&client, &broker).await.unwrap();
    let lines: Vec<_> = world.trace().collect();
    let line = lines.iter().find_map(|line| {
        let record: Value = serde_json::from_slice(&line.data).ok()?;
        Some(record.get("email")?.as_str()?.trim().to_lowercase())
            .filter(|email| email.contains('@'))
    });
    let email = line.expect("a record with an address");
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;

    let file = world.path("tributary.toml");
    let page = world.path("answer.html");
    let run = |args: &[&str]| {
        let mut command = tributary();
        let command = command.arg("rights").args(args).arg("--config").arg(&file);
        let output = succeed(command);
        String::from_utf8(output.stdout).unwrap()
    };
    let subject = format!("email={email}");
    let (access, erase, list) = tokio::task::block_in_place(|| {
        // Without a worker a request waits.
        run(&[
            "erase",
            &subject,
            "--proof",
            "ticket 1",
            "--id",
            "=r-2",
            "--no-wait",
        ]);
        let waiting = run(&["list", "--json", "--open"]);
        let waiting: Value = serde_json::from_str(&waiting).expect("one request");
        assert_eq!(
            (&waiting["id"], &waiting["status"]),
            (&"=r-2".into(), &"sent".into())
        );
        assert!(waiting["days_left"].as_i64().unwrap() >= 28 && waiting["ended"].is_null());

        let worker = Worker::start(&file, &[]);
        worker.wait_until_read(end);
        // The erasure was first, so that another person asks for access.
        let another = lines.iter().filter_map(|line| {
            let record: Value = serde_json::from_slice(&line.data).ok()?;
            Some(record.get("customer")?.as_str()?.to_owned())
                .filter(|customer| customer.starts_with("C00"))
        });
        let page = page.to_str().unwrap();
        for (number, customer) in another.enumerate() {
            let (subject, id) = (format!("customer={customer}"), format!("a-{number}"));
            let args = [
                "access", &subject, "--proof", "ticket 2", "--id", &id, "--out", page,
            ];
            let mut command = tributary();
            let command = command.arg("rights").args(args).arg("--config").arg(&file);
            if command.output().unwrap().status.success() {
                over_http(&worker, &run(&["list", "--json"]));
                return (id, "=r-2", run(&["list"]));
            }
        }
        panic!("nobody has records");
    });
    assert!(
        list.contains("completed") && list.contains(" 0 open, 0 late"),
        "{list}"
    );
    assert!(!list.contains(&email));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<h1>Your data at orchard</h1>") && page.contains(&access));
    tokio::task::block_in_place(|| {
        assert!(!run(&["list", "--late"]).contains(erase));
        let shown = run(&["show", erase]);
        assert!(
            shown.contains("erase") && shown.contains("completed"),
            "{shown}"
        );
        let csv = run(&["export"]);
        let row = csv
            .lines()
            .find(|row| row.contains("'=r-2,erase,completed"));
        assert!(row.is_some_and(|row| row.contains(",false,")), "{csv}");
        let mut command = tributary();
        let command = command
            .args(["rights", "show", "r-3", "--config"])
            .arg(&file);
        let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(error.contains("no request"), "{error}");
        let mut command = tributary();
        let words = succeed(command.args(["audit", "show", "--config"]).arg(&file));
        let words = String::from_utf8(words.stdout).unwrap();
        assert!(words.contains("  Request received: erase"), "{words}");
        assert!(words.contains("  Completed: erase, "), "{words}");
        assert!(!words.contains(&email) && !words.contains("r-2"), "{words}");
    });
}

/// The register and the audit log over HTTP and on the page are those of the command line.
fn over_http(worker: &Worker, list: &str) {
    let get = |path: &str| {
        let (status, body) = worker.get(path).expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let listed: Vec<Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(get("/v1/rights")["requests"], Value::Array(listed.clone()));
    let audit = get("/v1/audit?brand=orchard");
    let entries = audit["entries"].as_array().unwrap();
    let is_completed = |entry: &Value| {
        entry["words"]
            .as_str()
            .unwrap()
            .starts_with("Completed: erase")
    };
    assert!(
        audit["here"] == true && entries.iter().any(is_completed),
        "{audit}"
    );
    let completed = entries.iter().find(|entry| is_completed(entry)).unwrap();
    assert_eq!(
        (&completed["code"], &completed["right"]),
        (&"completed".into(), &"erase".into())
    );
    assert!(
        completed["counts"]["records"].as_u64() > Some(0),
        "{completed}"
    );
    // The chain was verified at the start of this process.
    assert_eq!(worker.metric("tributary_audit_chain_verified"), Some(1.0));
    assert!(worker.metric("tributary_audit_chain_entries") >= Some(0.0));

    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    browser.look(1280, 900, "light");
    browser.open(&format!("http://{}/#tab=privacy", worker.address));
    for request in &listed {
        let [id, status] = ["id", "status"].map(|of| request[of].as_str().unwrap());
        let of = format!("[data-key=\"request:{id}\"]");
        browser.until(&format!(
            "document.querySelector('{of}')?.dataset.raw === '{status}'"
        ));
    }
    assert_eq!(browser.raw("requests:open"), Some(0));
    assert_eq!(browser.raw("requests:answered"), Some(listed.len() as i128));
    browser.until("document.querySelector('#audit').innerText.includes('Completed: Erasure')");
    assert_eq!(browser.axe(), serde_json::json!([]));
    // In the language of the reader.
    browser.open(&format!("http://{}/#tab=privacy&lang=fr", worker.address));
    browser.until("/Terminé\\s: Effacement/.test(document.querySelector('#audit').innerText)");
}
