//! `tributary ledger reshard`: changes the number of processes that a set of ledgers is for,
//! while all of them are stopped.
//!
//! A process stores what it decoded, and related records meet in the dataflow. So any entry may
//! be in any ledger, and only the process numbers in the manifests, the positions and the disks
//! depend on the number of processes. The entries are shared out by the hash of their keys, so
//! that everything about one record is in one ledger; what belongs to no record stays with
//! process 0, and every ledger has the names of labels. All ledgers get one position, the lowest
//! of all: what some had read beyond it is read again and changes nothing.
//!
//! A kill at any point is followed by the same command:
//!
//! 1. The moves of process 0 say what is being done ([`Moves`]); it does not start meanwhile.
//! 2. Each process to be, one after the other, gets the objections and tombstones that any
//!    process has.
//! 3. Its ledger takes over its entries of all others, and becomes that of its process among so
//!    many, in one step ([`Ledger::import`]).
//! 4. Once all are there, each is rewritten without what others have now, the keys of all backups
//!    are destroyed, and ledgers of processes that are no more are overwritten and removed.
//!
//! Ledgers keep their IDs, so that everything that names them still does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use async_nats::jetstream;
use serde::Serialize;
use tributary_config::model::{Brand, Config};
use tributary_connectors::nats::Client;
use tributary_ledger::{Import, KeepFilter, Ledger, inspect};
use tributary_operators::event::Event;

use super::owner::refuse_others;
use super::place::{MISSED, Place, broker, common_position};
use super::progress::Bar;
use crate::backup::keys;
use crate::cli::args::LedgerReshard;
use crate::cli::keys::note_not_overwritten;
use crate::durability::moves::{self, Moves, Reshard, processes_in_words};
use crate::privacy::rights::files;
use crate::privacy::rights::published_heads::subject;
use crate::standby;

/// What was changed.
#[derive(Debug, Serialize)]
pub(super) struct Resharded {
    directory: PathBuf,
    from: usize,
    to: usize,
    /// Entries that went to another ledger.
    entries: u64,
    /// Replaced files that could not be overwritten before they were removed.
    not_overwritten: usize,
    /// The position of all ledgers.
    sequence: u64,
    seconds: f64,
}

impl Resharded {
    /// The text for people.
    pub(super) fn text(&self) -> String {
        format!(
            "changed {} from {} to {} in {:.1} s: {} entries went to another ledger; all are read from sequence {} on\n\
             next: {}\n",
            self.directory.display(),
            self.from,
            processes_in_words(self.to),
            self.seconds,
            self.entries,
            self.sequence + 1,
            match self.to {
                1 => "remove workers.hosts, and start the process".to_owned(),
                to => format!("set workers.hosts to {to} processes, and start all of them"),
            }
        )
    }
}

/// The place of a process.
fn place(config: &Config, process: usize) -> anyhow::Result<Place> {
    let name = config.workers.name_of(process);
    let ledger = config.ledger.directory.join(format!("process-{name}"));
    Place::of(config, &ledger)
}

/// The process that has an entry; `None` if all have it.
fn home(event: &Event, processes: usize) -> Option<usize> {
    let by = |key: u128| (key % processes as u128) as usize;
    match event {
        Event::Put { key, .. } | Event::Drop { key, .. } | Event::Evidence { key, .. } => {
            Some(by(key.0))
        }
        Event::TokenizedPing { ping } => Some(by(ping.token.0)),
        Event::LabelName { .. } => None,
        // What process 0 has settled, and marks that process 0 makes.
        Event::SettledHour { .. }
        | Event::SettledDevices { .. }
        | Event::ClosedVisits { .. }
        | Event::UnmatchedStays { .. }
        | Event::SightingsSettled { .. }
        | Event::SaltDaysClosed { .. }
        | Event::LinkTime { .. }
        | Event::Ping { .. }
        | Event::DropDevice { .. } => Some(0),
    }
}

/// Changes the number of processes.
///
/// # Errors
///
/// Ledgers that do not permit it, what is lost in any, or any error of the disk. The command
/// may be repeated.
pub(super) async fn reshard(args: &LedgerReshard) -> anyhow::Result<Resharded> {
    let begun = Instant::now();
    let mut config = crate::load(&args.config)?;
    if let Some(shard) = &args.shard {
        config.workers.shard = Some(shard.clone());
    }
    refuse_others(&config)?;
    let first = place(&config, 0)?;
    if !Ledger::exists_in(&first.ledger) {
        bail!(
            "{} holds no ledger: this command needs those of all processes, in one directory",
            first.ledger.display()
        );
    }
    let mut moving = Moves::read(&first.ledger)?;
    moving.verify(&config, &first.ledger)?;
    if let Some((brand, left)) = moving.left.iter().find(|(_, left)| !left.is_complete) {
        bail!(
            "a move of {brand} to {} was interrupted: finish that first",
            left.to.display()
        );
    }
    let to = usize::from(args.to);
    let is_begun = moving.reshard.is_some();
    let of = match &moving.reshard {
        Some(begun) if begun.to != to => bail!(
            "a change from {} to {} was interrupted: finish that first, with --to {}",
            begun.from,
            processes_in_words(begun.to),
            begun.to
        ),
        Some(begun) => begun.clone(),
        None => Reshard {
            from: inspect(&first.ledger, None)?.processes,
            to,
        },
    };
    if of.from == of.to {
        bail!(
            "the ledgers in {} are those of {} already",
            config.ledger.directory.display(),
            processes_in_words(of.to)
        );
    }
    let client = broker(&config, MISSED).await?;
    let places: Vec<Place> = (0..of.from.max(of.to))
        .map(|process| place(&config, process))
        .collect::<anyhow::Result<_>>()?;
    let is_copied = is_begun && all_are_of(&places, of.to)?;
    // Those that go are read no more once everything was copied.
    let sources = match is_copied {
        true => of.from.min(of.to),
        false => of.from,
    };
    let mut ledgers: Vec<Option<Ledger>> = Vec::new();
    for (process, place) in places.iter().enumerate() {
        if process >= sources {
            ledgers.push(None);
            continue;
        }
        if !Ledger::exists_in(&place.ledger) {
            bail!(
                "{} holds no ledger: this command needs those of {}, in one directory",
                place.ledger.display(),
                processes_in_words(of.from)
            );
        }
        let ledger = place.open((process, of.from))?;
        let share = ledger.share();
        if share != (process, of.from) && !(is_begun && share == (process, of.to)) {
            bail!(
                "{} is that of process {} of {}, and not of {}",
                place.ledger.display(),
                share.0,
                share.1,
                of.from
            );
        }
        // At each attempt: no standby takes the place of the process, with a ledger that is not changed.
        standby::hold_off(&client, &place.config).await?;
        // Once everything was copied, what is left to be done reads none of them.
        if !is_copied {
            place.refuse_losses(&client, &ledger).await?;
        }
        ledgers.push(Some(ledger));
    }
    let open = places.iter().zip(&ledgers);
    let open = open
        .filter_map(|(place, ledger)| Some((place.ledger.as_path(), ledger.as_ref()?.position())));
    let position = common_position(open)?;
    if !is_begun {
        first.refuse_little_room(places.iter().take(of.from))?;
        moving.reshard = Some(of.clone());
        moving.signed(&config, &first.ledger)?.save(&first.ledger)?;
    }
    let brands: Vec<&Brand> = config.brands.iter().collect();
    let mut entries = 0;
    for (process, place) in places.iter().enumerate().take(of.to) {
        let mut ledger = match ledgers.get_mut(process).and_then(Option::take) {
            Some(ledger) => ledger,
            // Begun under a number that no process has, so that it is not taken for a whole one.
            None => place.open((process, of.from))?,
        };
        // Before the ledger counts as done, after which those that go are read no more.
        for other in places.iter().take(sources) {
            place.take_objections(other, &brands, ledger.watermark().ledger)?;
            place.take_tombstones(other, &brands)?;
        }
        if ledger.share() != (process, of.to) {
            let share = (process, of.to);
            if ledger.share() != (process, of.from) {
                bail!(
                    "{} is that of process {} of {}: move it away",
                    place.ledger.display(),
                    ledger.share().0,
                    ledger.share().1
                );
            }
            let bar = Bar::new(&format!("copying to process {process}"))?;
            let others: Vec<&Ledger> = ledgers.iter().flatten().collect();
            let import = Import {
                sources: &others,
                brand: None,
                take: keep(process, of.to),
                salts: process == 0,
                position,
                share,
            };
            let taken = ledger.import(&import, &mut |read, total| bar.at(read, total))?;
            // The names of labels are everywhere.
            entries += taken.total() - taken.label_names;
        }
        place.record_watermark(&ledger)?;
        if process > 0 {
            let mut arrived = Moves::default();
            arrived.arrived.clone_from(&moving.arrived);
            arrived
                .signed(&config, &place.ledger)?
                .save(&place.ledger)?;
        }
        if let Some(slot) = ledgers.get_mut(process) {
            *slot = Some(ledger);
        }
    }
    let mut not_overwritten = 0;
    for (process, ledger) in ledgers.iter_mut().enumerate().take(of.to) {
        let Some(ledger) = ledger else { continue };
        let bar = Bar::new(&format!("rewriting process {process}"))?;
        let rewrite = ledger.rewrite(keep(process, of.to))?;
        let written = rewrite.run(&mut |read, total| bar.at(read, total))?;
        not_overwritten += ledger.install_and_remove(written)?.not_overwritten;
    }
    drop(ledgers);
    // The backups hold what others have now; the next start of each process begins its own anew.
    for place in &places {
        keys::destroy_all(&client, &place.config).await?;
    }
    for place in places.iter().skip(of.to) {
        not_overwritten += remove(place, &client).await?;
    }
    note_not_overwritten(not_overwritten);
    moving.reshard = None;
    moving.signed(&config, &first.ledger)?.save(&first.ledger)?;
    Ok(Resharded {
        directory: config.ledger.directory.clone(),
        from: of.from,
        to: of.to,
        entries,
        not_overwritten,
        sequence: position.sequence,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// What the ledger of a process has.
fn keep(process: usize, processes: usize) -> KeepFilter {
    Arc::new(move |event, _| home(event, processes).is_none_or(|home| home == process))
}

/// Whether every ledger to be is that of its process among so many.
fn all_are_of(places: &[Place], processes: usize) -> anyhow::Result<bool> {
    for (process, place) in places.iter().enumerate().take(processes) {
        if !Ledger::is_begun_in(&place.ledger) {
            return Ok(false);
        }
        let found = inspect(&place.ledger, None)?;
        if (found.process, found.processes) != (process, processes) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what is left of a process that is no more: its ledger, the files beside it, and what
/// it has published about them. Returns the number of files that could not be overwritten.
///
/// # Errors
///
/// Any error of the disk, or a broker that does not answer.
async fn remove(place: &Place, client: &Client) -> anyhow::Result<usize> {
    let removed = Ledger::destroy(&place.ledger)?;
    let rights = files::directory(&place.config);
    tributary_rights::disk::remove_directory(&rights)?;
    let moves = moves::path(&place.ledger);
    if moves.exists() {
        std::fs::remove_file(&moves).with_context(|| moves.display().to_string())?;
    }
    let stream = jetstream::new(client.clone())
        .get_stream_no_info(&place.config.nats.rights_stream)
        .await;
    if let Ok(stream) = stream {
        let heads = subject(&place.config.workers.name());
        let purged = stream.purge().filter(heads).await;
        purged.context("cannot delete what the process had published about its files")?;
    }
    Ok(removed.not_overwritten)
}
