//! A data-protection officer asks what a consent string allows: on the command line, in words, and as JSON.

use std::io::Write;
use std::process::Stdio;

use crate::support::{succeed, tributary};

/// A TC string of the standard's test suites: purposes 2 and 10 consented to, no vendor.
const TC: &str = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";

fn answer(string: &str, more: &[&str]) -> serde_json::Value {
    let mut command = tributary();
    command.args(["consent", "--json", string]).args(more);
    serde_json::from_slice(&succeed(&mut command).stdout).unwrap()
}

fn allowed(answer: &serde_json::Value) -> Vec<u64> {
    let purposes = answer["purposes"].as_array().unwrap().iter();
    let allowed = purposes.filter(|purpose| purpose["allowed"] == true);
    allowed.map(|p| p["purpose"].as_u64().unwrap()).collect()
}

#[test]
fn boxes_opt_outs_and_vendors_are_told_apart() {
    let boxes = answer(r#"{"7": true, "9": true, "do_not_sell": true}"#, &[]);
    assert_eq!(allowed(&boxes), [7, 9]);
    assert_eq!(boxes["opted_out"], serde_json::json!(["sale"]));
    // Nobody consented to vendor 2, although the string consents to purposes.
    let vendor = answer(TC, &["--vendor", "2"]);
    assert!(allowed(&vendor).is_empty());
    assert_eq!(
        vendor["purposes"][1]["name"],
        "use limited data to select advertising"
    );
    assert!(!vendor["purposes"][1]["reason"].as_str().unwrap().is_empty());
    let california = answer("DBABTA~1YNN", &[]);
    assert!(allowed(&california).is_empty(), "an opt-out grants nothing");
}

#[test]
fn a_string_may_come_where_no_process_list_shows_it() {
    let mut command = tributary();
    command
        .args(["consent", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(TC.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("measure advertising performance"),
        "{text}"
    );
}

#[test]
fn what_is_no_string_is_refused_without_repeating_it() {
    for bad in [
        "BOtybn4PA_zT4KjACBENAPCIAEBAAECAAIA",
        "C!",
        "DB",
        "{\"seven\": true}",
        "{",
    ] {
        let output = tributary().args(["consent", bad]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{bad}");
        assert!(!text.is_empty() && !text.contains(bad), "{text}");
    }
}

#[test]
fn opt_outs_in_a_state_and_sections_that_are_not_read_are_said() {
    // Virginia: sale opted out, precise position refused; and section 24, which is not known.
    let both = "DBACRkY~BFYggaE~BAAA";
    let said = answer(both, &[]);
    assert_eq!(
        said["opted_out"],
        serde_json::json!(["sale", "precise position"])
    );
    assert_eq!(said["states"], serde_json::json!(["VA"]));
    assert_eq!(said["unread_sections"], serde_json::json!([24]));
    let output = succeed(tributary().args(["consent", both]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("opted out of: sale, precise position"),
        "{text}"
    );
    assert!(text.contains("section 24 is not supported"), "{text}");
    // Nothing is said of sections where all were read.
    let known = answer("DBABRg~BFYggaE", &[]);
    assert_eq!(known["unread_sections"], serde_json::json!([]));
}

#[test]
fn a_string_of_tcf_2_3_without_disclosed_vendors_says_why_it_allows_nothing() {
    let new = "CQh-8AAQh-8AAEsABBFRBkFgAP_gAAAAAAqIF5wAQF5gAAAA";
    let said = answer(new, &["--vendor", "755"]);
    assert!(allowed(&said).is_empty());
    assert_eq!(said["purposes"][0]["reason"], "no_disclosed_vendors");
    let said = answer(&format!("{new}.IF5wAQF5g"), &["--vendor", "755"]);
    assert_eq!(allowed(&said).len(), 11);
}
