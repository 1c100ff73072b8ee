//! Builds the model from the document: first each section on its own, then the
//! checks that span several sections.
//!
//! A check runs only on values that are valid by themselves, and reports at the
//! setting that the operator gave, so that no mistake has two reports.

mod access;
mod brand;
mod consent;
mod few;
mod network;
mod partner;
mod source;
mod tables;

pub(crate) use access::client;
pub use brand::brand_number;
pub use network::beyond_this_machine;

use crate::context::{Context, Input, Location, Node, quote};
use crate::model::{
    Brand, Config, Http, HttpIngest, Ingest, Ledger, Log, Nats, Release, Telemetry, Workers,
};
use crate::read::{SectionReading, unknown_keys};
use crate::settings::ROOT;
use crate::syntax;
use few::check_few;
use tables::top;

/// Builds the configuration from a text. Problems are noted in the context;
/// `None` if the text is not TOML even without the lines that contain errors.
/// The order of sections matters only for brands, whose regions are compared
/// with that of the process.
pub(crate) fn config(text: &str, cx: &mut Context<'_>) -> Option<Config> {
    let (document, mistakes) = syntax::parse(text);
    for mistake in mistakes {
        cx.incomplete = true;
        cx.report(Location::Offset(mistake.offset), "", mistake.message, "");
    }
    let document = document?;
    let root = Input {
        path: String::new(),
        place: Location::Nowhere,
        node: Node::Table(document.as_table()),
    };
    unknown_keys(&root, &ROOT, cx);
    let nats = top::<Nats>(&root, cx);
    check_streams(&nats, cx);
    network::check_broker(&nats, cx);
    let workers = top::<Workers>(&root, cx);
    check_workers(&workers, cx);
    network::check_peers(&workers, cx);
    let log = top::<Log>(&root, cx);
    let telemetry = top::<Telemetry>(&root, cx);
    network::check_collector(&telemetry, cx);
    let ledger = top::<Ledger>(&root, cx);
    check_backup(&ledger, cx);
    let mut http = top::<Http>(&root, cx);
    let mut http_ingest = top::<HttpIngest>(&root, cx);
    let ingest = top::<Ingest>(&root, cx);
    let release = top::<Release>(&root, cx);
    check_few(Some(release.model.k), &release, cx);
    let brands = brand::brands(root.child("brand").as_ref(), &workers, &release, cx);
    check_shard(&workers, &brands, cx);
    http.model.tokens = access::tokens(&root, &brands, cx);
    access::check_http(&http, cx);
    access::check_opendsr(&http, cx);
    http_ingest.model.tokens = access::ingest_tokens(&root, &brands, cx);
    access::check_http_ingest(&http_ingest, &http, cx);
    Some(Config {
        nats: nats.model,
        workers: workers.model,
        log: log.model,
        telemetry: telemetry.model,
        ledger: ledger.model,
        http: http.model,
        http_ingest: http_ingest.model,
        ingest: ingest.model,
        release: release.model,
        brands,
        others: Vec::new(),
    })
}

/// Reports two of the streams of records and cells with one name.
fn check_streams(nats: &SectionReading<Nats>, cx: &mut Context<'_>) {
    let model = &nats.model;
    let named = [
        ("input_stream", Some(&model.input_stream)),
        ("pings_stream", model.pings_stream.as_ref()),
        ("output_stream", Some(&model.output_stream)),
        ("dead_letter_stream", Some(&model.dead_letter_stream)),
    ];
    let named = named.into_iter();
    let streams: Vec<(&str, &String)> =
        named.filter_map(|(key, name)| Some((key, name?))).collect();
    for (i, (key, name)) in streams.iter().enumerate() {
        let earlier = streams.iter().take(i).find(|(_, other)| other == name);
        if let Some((other, _)) = earlier
            && nats.are_valid(&[key, other])
        {
            let culprit = if nats.is_given(key) { key } else { other };
            let (place, path) = nats.location_of(culprit);
            let message = format!("{key} and {other} have the same name");
            cx.report(place, &path, message, "give each stream its own");
        }
    }
}

/// Reports a process index beyond the hosts.
fn check_workers(workers: &SectionReading<Workers>, cx: &mut Context<'_>) {
    let processes = workers.model.hosts.len().max(1);
    if workers.are_valid(&["process", "hosts"]) && workers.model.process >= processes {
        let (place, path) = workers.location_of("process");
        let message = format!(
            "{} is not an index among {processes} process{}",
            workers.model.process,
            if processes == 1 { "" } else { "es" }
        );
        let fix = match workers.model.hosts.is_empty() {
            true => "name every process in hosts".to_owned(),
            false => format!("positions count from 0 to {}", processes - 1),
        };
        cx.report(place, &path, message, fix);
    }
}

/// Reports a backup that lies within the data directory, or around it.
fn check_backup(ledger: &SectionReading<Ledger>, cx: &mut Context<'_>) {
    let Ledger {
        directory, backup, ..
    } = &ledger.model;
    let Some(backup) = backup else { return };
    if backup.starts_with(directory) || directory.starts_with(backup) {
        let (place, path) = ledger.location_of("backup");
        let message = format!(
            "{} and the data directory {} are one within the other",
            backup.display(),
            directory.display()
        );
        cx.report(place, &path, message, "name a directory on another disk");
    }
}

/// Reports a process whose shard no brand has.
fn check_shard(workers: &SectionReading<Workers>, brands: &[Brand], cx: &mut Context<'_>) {
    let Some(shard) = &workers.model.shard else {
        return;
    };
    let is_served = brands
        .iter()
        .any(|brand| brand.shard.as_ref() == Some(shard));
    if is_served || brands.is_empty() || !workers.are_valid(&["shard"]) {
        return;
    }
    let (place, path) = workers.location_of("shard");
    let message = format!("no brand has the shard {}", quote(shard));
    let mut shards: Vec<String> = brands
        .iter()
        .filter_map(|brand| Some(quote(brand.shard.as_ref()?)))
        .collect();
    shards.sort();
    shards.dedup();
    let fix = match shards.is_empty() {
        true => format!("set shard = {} in the brands that it serves", quote(shard)),
        false => format!("the shards of the brands are {}", shards.join(", ")),
    };
    cx.report(place, &path, message, fix);
}
