//! A person of a simulated world: who she is, what names her, and what an officer asks about her.

use std::collections::BTreeMap;
use std::path::Path;

use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::trace::TraceLine;
use tributary_operators::event::Event;
use tributary_operators::record::{IdKind, Pseudonym};
use tributary_rights::receipt::read_unverified;

use super::story::contents;
use super::{World, succeed, tributary};

/// The content of a receipt, as it was signed.
pub fn receipt_of(text: &str) -> serde_json::Value {
    let receipt = read_unverified(text.as_bytes()).expect("a receipt");
    serde_json::from_str(&receipt.to_json()).expect("JSON")
}

/// Of the e-mail addresses that identify somebody the one that most lines name, in lower case.
pub fn somebody(world: &World, lines: &[TraceLine]) -> String {
    named_most(world, lines, &[])
}

/// The same of somebody whom nothing but the address identifies, so that the lines that name it are all that there are of them,
/// however many lines there are.
pub fn somebody_with_an_address_alone(world: &World, lines: &[TraceLine]) -> String {
    let others = [
        "cookie",
        "phone",
        "customer",
        "wallet",
        "device",
        "click_id",
        "first_name",
    ];
    named_most(world, lines, &others)
}

/// Of the e-mail addresses that identify somebody, and that no line names with one of these fields, the one that most lines
/// name.
fn named_most(world: &World, lines: &[TraceLine], without: &[&str]) -> String {
    let config = world.config();
    let key = BrandKey::new(&config.brands[0]);
    let mut counts: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for line in lines {
        let Ok(data) = serde_json::from_slice::<serde_json::Value>(&line.data) else {
            continue;
        };
        if let Some(email) = data["email"].as_str().filter(|email| email.contains('@')) {
            let (count, has_others) = counts.entry(email.trim().to_lowercase()).or_default();
            *count += 1;
            *has_others |= without.iter().any(|field| !data[*field].is_null());
        }
    }
    let identifies = |email: &String| !key.identify(IdKind::Email, email).is_empty();
    let candidates = counts
        .into_iter()
        .filter(|(email, (_, has_others))| !has_others && identifies(email));
    let most = candidates.max_by_key(|(_, (count, _))| *count);
    most.expect("somebody has an address").0
}

/// The messages that name her, in whatever spelling, and the others.
pub fn apart(world: &World, lines: &[TraceLine], email: &str) -> (Vec<TraceLine>, Vec<TraceLine>) {
    let config = world.config();
    let key = BrandKey::new(&config.brands[0]);
    let ids = key.identify(IdKind::Email, email);
    let mut decoder = Decoder::new(&config);
    let mut is_hers = |line: &TraceLine| {
        let mut named = Named {
            ids: ids.iter().map(|id| id.pseudonym).collect(),
            found: false,
        };
        let message = Message {
            subject: &line.subject,
            at: line.at,
            number: 1,
            headers: &line.headers,
            data: &line.data,
        };
        decoder.decode(&message, &mut named);
        let text = String::from_utf8_lossy(&line.data).to_lowercase();
        named.found || text.contains(email)
    };
    lines.iter().cloned().partition(|line| is_hers(line))
}

/// Whether any of some identifiers is named.
struct Named {
    ids: Vec<Pseudonym>,
    found: bool,
}

impl Sink for Named {
    fn event(&mut self, event: Event) {
        if let Event::Put { record, .. } = event {
            let mut ids = record.ids.ids().iter();
            self.found |= ids.any(|id| self.ids.contains(&id.pseudonym));
        }
    }

    fn dead_letter(&mut self, _: DeadLetter) {}

    fn ignore(&mut self, _: Ignored) {}
}

/// Writes the trace of a world anew.
pub fn rewrite(world: &World, lines: &[TraceLine]) {
    let mut text = String::new();
    for line in lines {
        let data = String::from_utf8(line.data.clone()).unwrap();
        let line = serde_json::json!({"subject": line.subject, "at": line.at, "data": data});
        text.push_str(&format!("{line}\n"));
    }
    std::fs::write(world.path("trace.ndjson"), text).unwrap();
}

/// Where any of some bytes still stands below a directory.
pub fn found(directory: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in contents(directory) {
        let bytes = bytes.to_ascii_lowercase();
        for (place, needle) in needles.iter().enumerate() {
            if memchr::memmem::find(&bytes, needle).is_some() {
                found.push(format!("{} holds needle {place}", path.display()));
            }
        }
    }
    found
}

/// Queries for a right as an officer would, and returns what is printed.
pub fn ask(world: &World, right: &str, more: &[&str]) -> String {
    let mut command = tributary();
    command
        .args(["rights", right, "--proof", "ticket 117", "--config"])
        .arg(world.path("tributary.toml"))
        .args(more);
    let output = succeed(&mut command);
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
