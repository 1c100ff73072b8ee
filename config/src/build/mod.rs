//! From the document to the model: the sections one by one, then what only several of them together
//! can tell.

mod consent;
mod source;
mod tables;
mod tenant;

pub use tenant::brand_number;

use crate::context::{Context, Given, Node, Place};
use crate::model::{Config, Http, Ingest, Ledger, Nats, Release, Workers};
use crate::read::{Reading, section, unknown_keys};
use crate::settings::{Fields, ROOT};
use crate::syntax;

/// Below this number of contributors a released cell may show individuals.
const FEW: u64 = 10;

/// Reads the whole text. What is wrong stands in the context; nothing is given where the text is no TOML.
pub(crate) fn config(text: &str, cx: &mut Context<'_>) -> Option<Config> {
    let (document, mistakes) = syntax::parse(text);
    for mistake in mistakes {
        cx.incomplete = true;
        cx.problem(Place::Offset(mistake.offset), "", mistake.message, "");
    }
    let document = document?;
    let root = Given {
        path: String::new(),
        place: Place::Nowhere,
        node: Node::Table(document.as_table()),
    };
    unknown_keys(&root, &ROOT, cx);
    let nats = top::<Nats>(&root, cx);
    check_streams(&nats, cx);
    let workers = top::<Workers>(&root, cx);
    check_workers(&workers, cx);
    let ledger = top::<Ledger>(&root, cx);
    let http = top::<Http>(&root, cx);
    check_http(&http, cx);
    let ingest = top::<Ingest>(&root, cx);
    let release = top::<Release>(&root, cx);
    check_release(&release, cx);
    let brands = tenant::brands(root.child("brand").as_ref(), &workers, cx);
    Some(Config {
        nats: nats.model,
        workers: workers.model,
        ledger: ledger.model,
        http: http.model,
        ingest: ingest.model,
        release: release.model,
        brands,
    })
}

/// Reads a section of the file.
fn top<T: Fields>(root: &Given<'_>, cx: &mut Context<'_>) -> Reading<T> {
    let path = T::SECTION.path;
    section(root.child(path).as_ref(), path, Place::Nowhere, cx)
}

/// The three streams are three.
fn check_streams(nats: &Reading<Nats>, cx: &mut Context<'_>) {
    let model = &nats.model;
    let streams = [
        ("input_stream", &model.input_stream),
        ("output_stream", &model.output_stream),
        ("dead_letter_stream", &model.dead_letter_stream),
    ];
    for (i, (key, name)) in streams.iter().enumerate() {
        let earlier = streams.iter().take(i).find(|(_, other)| other == name);
        if let Some((other, _)) = earlier
            && nats.right(&[key, other])
        {
            let culprit = if nats.has(key) { key } else { other };
            let (place, path) = nats.at(culprit);
            let message = format!("{key} and {other} have the same name");
            cx.problem(place, &path, message, "give each stream its own");
        }
    }
}

/// The process is one of the cluster's.
fn check_workers(workers: &Reading<Workers>, cx: &mut Context<'_>) {
    let processes = workers.model.hosts.len().max(1);
    if workers.right(&["process", "hosts"]) && workers.model.process >= processes {
        let (place, path) = workers.at("process");
        let message = format!(
            "{} is not an index among {processes} process{}",
            workers.model.process,
            if processes == 1 { "" } else { "es" }
        );
        let fix = match workers.model.hosts.is_empty() {
            true => "name every process in hosts".to_owned(),
            false => format!("positions count from 0 to {}", processes - 1),
        };
        cx.problem(place, &path, message, fix);
    }
}

/// Whoever reaches the server can read it.
fn check_http(http: &Reading<Http>, cx: &mut Context<'_>) {
    let listen = http.model.listen;
    if http.right(&["listen"]) && !listen.ip().is_loopback() {
        let (place, path) = http.at("listen");
        let message = format!("{listen} is open to everybody who reaches it, without a password");
        let fix = match http.model.opendsr_domain {
            None => "let only those reach it who may read every number, or listen on 127.0.0.1",
            Some(_) => {
                "let only those reach it who may read every number and erase every person, or listen on 127.0.0.1"
            }
        };
        cx.warn(place, &path, message, fix);
    }
}

/// Few contributors are a choice that should be made knowingly.
fn check_release(release: &Reading<Release>, cx: &mut Context<'_>) {
    if release.right(&["k"]) && release.model.k < FEW {
        let (place, path) = release.at("k");
        let message = format!("cells of fewer than {FEW} contributors may show individuals");
        cx.warn(
            place,
            &path,
            message,
            "use 50 where people other than testers read the numbers",
        );
    }
}
