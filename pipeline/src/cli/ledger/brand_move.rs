//! `tributary ledger move`: takes a brand from the ledger of one process to that of another,
//! while both are stopped.
//!
//! The order of the steps makes a kill harmless. Nothing of the source is removed before
//! everything is in the target, and from the first step on the source does not start, so that
//! the brand is never served twice. The command is repeated until it ends well:
//!
//! 1. The moves of the source say that the brand is leaving ([`Moves`]).
//! 2. The target gets the objections, the tombstones and the audit log of the brand.
//! 3. The target's ledger gets the records and salts, and the lower one of both positions, all
//!    in one step ([`Ledger::import`]). What is read again changes nothing.
//! 4. A checkpoint in the brand's log binds it to the target; the moves of the target say where
//!    the brand came from, so that the broker lets it serve the brand.
//! 5. The source is rewritten without the brand, its salts are destroyed, and the replaced files
//!    are overwritten. The key of the source's backup is destroyed, which holds the brand.
//! 6. The moves of the source say that it is complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Serialize;
use tributary_config::model::{Brand, Config};
use tributary_connectors::nats::Client;
use tributary_ledger::{Import, Ledger, inspect};
use tributary_operators::record::BrandId;
use tributary_rights::audit::{AuditLog, Checkpoint};

use super::owner::{refuse_other_owner, refuse_others};
use super::place::{MISSED, Place, broker, common_position};
use super::progress::Bar;
use crate::backup::keys;
use crate::cli::args::LedgerMove;
use crate::cli::keys::note_not_overwritten;
use crate::durability::moves::{Arrived, Left, Moves};
use crate::privacy::rights::files;
use crate::standby;

/// What was moved.
#[derive(Debug, Serialize)]
pub(super) struct Moved {
    brand: String,
    from: PathBuf,
    to: PathBuf,
    /// Entries that the target has taken over; `None` if an attempt before had.
    entries: Option<u64>,
    /// Objections that were entered.
    objections: usize,
    /// Replaced files that could not be overwritten before they were removed.
    not_overwritten: usize,
    /// The position of the target.
    sequence: u64,
    seconds: f64,
}

impl Moved {
    /// The text for people.
    pub(super) fn text(&self) -> String {
        let entries = match self.entries {
            Some(entries) => format!("{entries} entries"),
            None => "the entries of an attempt before".to_owned(),
        };
        let Moved {
            brand,
            from,
            to,
            objections,
            sequence,
            seconds,
            ..
        } = self;
        format!(
            "moved {brand} from {} to {} in {seconds:.1} s: {entries}, {objections} objections; {} is read from sequence {} on\n\
             next: start the process of {}, with the shard of {brand} set to its own; until it is ready, no backup holds {brand}\n",
            from.display(),
            to.display(),
            to.display(),
            sequence + 1,
            to.display(),
        )
    }
}

/// Moves a brand.
///
/// # Errors
///
/// A brand or a ledger that does not permit it, what is lost in either, or any error of the
/// disk. The command may be repeated.
pub(super) async fn move_brand(args: &LedgerMove) -> anyhow::Result<Moved> {
    let config = crate::load(&args.config)?;
    refuse_others(&config)?;
    let brand = config.brands.iter().find(|one| one.name == args.brand);
    let Some(brand) = brand else {
        let known: Vec<&str> = config.brands.iter().map(|one| one.name.as_str()).collect();
        bail!(
            "{} is no brand of {}: the brands are {}",
            args.brand,
            args.config.display(),
            known.join(", ")
        );
    };
    let to = match &args.to {
        Some(to) => to.clone(),
        None => of_shard(&config, brand.shard.as_deref()),
    };
    let from = match &args.from {
        Some(from) => from.clone(),
        None => search(&config, brand, &to)?,
    };
    let (from, to) = (Place::of(&config, &from)?, Place::of(&config, &to)?);
    if from.ledger == to.ledger {
        bail!(
            "{} has the brand already; --to names the ledger that it goes to",
            from.ledger.display()
        );
    }
    if !Ledger::exists_in(&from.ledger) {
        bail!("{} holds no ledger", from.ledger.display());
    }
    for place in [&from, &to] {
        for directory in [
            &place.config.ledger.directory,
            &place.ledger,
            &place.rights(),
        ] {
            refuse_other_owner(directory)?;
        }
        refuse_cluster(place)?;
    }
    let mut source = from.open((0, 1))?;
    let mut target = to.open((0, 1))?;
    let mut leaving = Moves::read(&from.ledger)?;
    leaving.verify(&config, &from.ledger)?;
    Moves::read(&to.ledger)?.verify(&config, &to.ledger)?;
    let is_begun = match leaving.left.get(&brand.name) {
        Some(left) if left.is_complete => bail!("{}", was_moved(brand, &from.ledger, left)),
        Some(left) if left.ledger != hex(&target) => bail!(
            "a move of {} to {} was interrupted: finish that first",
            brand.name,
            left.to.display()
        ),
        Some(_) => true,
        None => false,
    };
    if !is_begun {
        if !source.has_brand(&brand.name) {
            bail!(
                "{} holds nothing of {}; to serve it from now on, no move is needed",
                from.ledger.display(),
                brand.name
            );
        }
        if target.has_brand(&brand.name) {
            bail!(
                "{} holds records of {} already, which are not those of {}",
                to.ledger.display(),
                brand.name,
                from.ledger.display()
            );
        }
    }
    let client = broker(&config, MISSED).await?;
    // At each attempt: the process of the target may have run since the one before, and a standby
    // may have taken its place.
    for place in [&from, &to] {
        standby::hold_off(&client, &place.config).await?;
    }
    if !is_begun {
        to.refuse_little_room(std::iter::once(&from))?;
    }
    // What was imported before an interruption is read no more.
    if !target.has_brand(&brand.name) {
        from.refuse_losses(&client, &source).await?;
        // Once begun, it has the brand's log and not yet its records.
        if !is_begun {
            to.refuse_losses(&client, &target).await?;
        }
    }
    run(
        brand,
        (&from, &mut source),
        (&to, &mut target),
        &mut leaving,
        &client,
    )
    .await
}

/// Executes the steps, from the first or from wherever a kill has left them.
async fn run(
    brand: &Brand,
    (from, source): (&Place, &mut Ledger),
    (to, target): (&Place, &mut Ledger),
    leaving: &mut Moves,
    client: &Client,
) -> anyhow::Result<Moved> {
    let begun = Instant::now();
    let positions = [
        (from.ledger.as_path(), source.position()),
        (to.ledger.as_path(), target.position()),
    ];
    // A ledger that is new here begins where the other one is.
    let positions = positions
        .into_iter()
        .filter(|(path, position)| position.is_some() || *path == from.ledger);
    let position = common_position(positions)?;
    if !leaving.left.contains_key(&brand.name) {
        let left = Left {
            to: to.ledger.clone(),
            ledger: hex(target),
            at: jiff::Timestamp::now().to_string(),
            is_complete: false,
        };
        leaving.left.insert(brand.name.clone(), left);
        leaving
            .signed(&from.config, &from.ledger)?
            .save(&from.ledger)?;
    }
    let objections = to.take_objections(from, &[brand], target.watermark().ledger)?;
    to.take_tombstones(from, &[brand])?;
    let id = BrandId::of(&brand.name);
    let entries = match target.has_brand(&brand.name) {
        // The log came before the records. What the source still has of it may be overwritten by
        // now, if the removal was interrupted.
        true => None,
        false => {
            copy_log(&from.log(brand), &to.log(brand))?;
            let bar = Bar::new("copying")?;
            let import = Import {
                sources: &[&*source],
                brand: Some(id),
                take: Arc::new(|_, _| true),
                salts: true,
                position,
                share: (0, 1),
            };
            let taken = target.import(&import, &mut |read, total| bar.at(read, total))?;
            Some(taken.total())
        }
    };
    let (mark, objection_head) = to.record_watermark(target)?;
    if to.log(brand).exists() {
        let directory = to.rights().join("audit");
        let mut log = AuditLog::open(&directory, &files::keys(brand))?.log;
        let checkpoint = Checkpoint {
            ledger: mark,
            objections: objection_head,
            accepted: None,
        };
        log.checkpoint(jiff::Timestamp::now().as_millisecond(), checkpoint)?;
    }
    let mut arriving = Moves::read(&to.ledger)?;
    let mut origins = leaving.origins(&brand.name).to_vec();
    origins.push(hex(source));
    arriving
        .arrived
        .insert(brand.name.clone(), Arrived { from: origins });
    arriving.left.remove(&brand.name);
    arriving.signed(&to.config, &to.ledger)?.save(&to.ledger)?;

    let bar = Bar::new("rewriting")?;
    let rewrite = source.rewrite(Arc::new(|_, _| true))?;
    let rewrite = rewrite.without(&brand.name);
    let written = rewrite.run(&mut |read, total| bar.at(read, total))?;
    let removed = source.install_and_remove(written)?;
    source.forget_brand(id)?;
    let not_overwritten =
        removed.not_overwritten + source.take_not_overwritten() + target.take_not_overwritten();
    note_not_overwritten(not_overwritten);
    from.remove_tombstones(brand)?;
    let log = from.log(brand);
    if log.exists() {
        tributary_rights::disk::remove(&log)?;
    }
    // The next start of the source begins its backup anew.
    keys::destroy_all(client, &from.config).await?;
    leaving.arrived.remove(&brand.name);
    if let Some(left) = leaving.left.get_mut(&brand.name) {
        left.is_complete = true;
    }
    leaving
        .signed(&from.config, &from.ledger)?
        .save(&from.ledger)?;
    Ok(Moved {
        brand: brand.name.clone(),
        from: from.ledger.clone(),
        to: to.ledger.clone(),
        entries,
        objections,
        not_overwritten,
        sequence: target.position().map_or(0, |position| position.sequence),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// The ledger of a shard, by the configuration.
fn of_shard(config: &Config, shard: Option<&str>) -> PathBuf {
    let name = match shard {
        Some(shard) => format!("process-{shard}-0"),
        None => "process-0".to_owned(),
    };
    config.ledger.directory.join(name)
}

/// Says that a move is complete.
fn was_moved(brand: &Brand, from: &Path, left: &Left) -> String {
    format!(
        "{} was moved from {} to {} at {}",
        brand.name,
        from.display(),
        left.to.display(),
        left.at
    )
}

/// The one ledger of `ledger.directory` that has a brand, other than the target.
///
/// # Errors
///
/// None, or several.
fn search(config: &Config, brand: &Brand, to: &Path) -> anyhow::Result<PathBuf> {
    let directory = &config.ledger.directory;
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let (mut found, mut done) = (Vec::new(), None);
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("process-") || path == to || !Ledger::exists_in(&path) {
            continue;
        }
        let left = Moves::read(&path)?.left;
        let left = left.get(&brand.name);
        // A move that was interrupted after the records had gone is finished from there.
        let is_leaving = left.is_some_and(|left| !left.is_complete);
        if let Some(left) = left.filter(|left| left.is_complete && left.to == to) {
            done = Some(was_moved(brand, &path, left));
        }
        let mut brands = inspect(&path, None)?.brands.into_iter();
        if is_leaving || brands.any(|one| one.brand == brand.name) {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] if done.is_some() => bail!("{}", done.unwrap_or_default()),
        [] => bail!(
            "no other ledger in {} holds {}; --from names it",
            directory.display(),
            brand.name
        ),
        several => bail!(
            "several ledgers hold {}: {several:?}; --from names one",
            brand.name
        ),
    }
}

/// Refuses the ledger of a cluster: its processes have a part of each brand.
///
/// # Errors
///
/// The number of processes, and what to do.
fn refuse_cluster(place: &Place) -> anyhow::Result<()> {
    if !Ledger::is_begun_in(&place.ledger) {
        return Ok(());
    }
    let found = inspect(&place.ledger, None)?;
    if found.processes > 1 {
        bail!(
            "{} is that of process {} of {}, and a brand is moved between single processes: `tributary ledger reshard --to 1` \
             makes the cluster one",
            place.ledger.display(),
            found.process,
            found.processes
        );
    }
    Ok(())
}

/// Copies an audit log, durably; nothing happens if there is none.
///
/// # Errors
///
/// Any error of the disk.
fn copy_log(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let directory = to.parent().unwrap_or(Path::new("."));
    let draft = to.with_extension("jsonl.new");
    let copy = || {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
        // The mode comes along.
        std::fs::copy(from, &draft)?;
        std::fs::File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, to)?;
        std::fs::File::open(directory)?.sync_all()
    };
    copy().with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// The ID of a ledger.
fn hex(ledger: &Ledger) -> String {
    data_encoding::HEXLOWER.encode(&ledger.watermark().ledger)
}
