//! Moves: which brands were moved into the ledger of a process, and out of it.
//!
//! A shard is a process with its brands, and a brand that is moved to another one
//! takes along what is kept of it: its records and the salts of its open days, its
//! objections, tombstones and audit log, and the position up to which it was read
//! ([`crate::cli`] has the command). Beside the ledgers of both, a file says so:
//!
//! - In that of the source, from before anything is copied: a process that still has
//!   the brand in its configuration would otherwise find nothing of it and take back
//!   its cells. While the move is not complete, the process does not start at all.
//! - In that of the target, once everything is there: the broker names the ledger that
//!   has a brand ([`tributary_connectors::nats::Claims`]), and the target may take the
//!   brand over from the ledgers that it came from. Its noise is drawn as before,
//!   because the difference of two draws would reveal both.
//!
//! The same file says that the number of processes is being changed. It is
//! authenticated under the keys of the brands ([`codes`]).

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tributary_config::model::{Brand, Config};
use tributary_connectors::settings::NoiseDraw;

mod codes;

/// Version of the file. A higher one is refused.
const VERSION: u32 = 1;

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moves {
    version: u32,
    /// The brands that came, by name.
    #[serde(default)]
    pub arrived: BTreeMap<String, Arrived>,
    /// The brands that went, by name.
    #[serde(default)]
    pub left: BTreeMap<String, Left>,
    /// The number of processes to which the ledgers are being changed, from how many.
    #[serde(default)]
    pub reshard: Option<Reshard>,
    /// The codes of the brands of the configuration with which the file was written, 64
    /// hexadecimal digits each ([`Moves::signed`]).
    #[serde(default)]
    codes: BTreeMap<String, String>,
}

/// Where a brand came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrived {
    /// The IDs of the ledgers that had it before, the oldest first.
    pub from: Vec<String>,
}

/// Where a brand went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The directory of the ledger that has it now.
    pub to: PathBuf,
    /// The ID of that ledger.
    pub ledger: String,
    /// When the move began, RFC 3339.
    pub at: String,
    /// Whether nothing of the brand is left here.
    pub is_complete: bool,
}

/// A number of processes in words.
pub fn processes_in_words(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        _ => format!("{count} processes"),
    }
}

/// A change of the number of processes that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshard {
    /// The number of processes before.
    pub from: usize,
    /// The number of processes after.
    pub to: usize,
}

impl Default for Moves {
    fn default() -> Moves {
        Moves {
            version: VERSION,
            arrived: BTreeMap::new(),
            left: BTreeMap::new(),
            reshard: None,
            codes: BTreeMap::new(),
        }
    }
}

/// The path of the file of a process, beside its ledger `process-<name>`.
pub fn path(ledger: &Path) -> PathBuf {
    let name = ledger.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("process-").unwrap_or(&name);
    ledger.with_file_name(format!("moves-{name}.json"))
}

/// The text of the file beside a ledger, empty if there is none.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read_text(ledger: &Path) -> anyhow::Result<String> {
    let path = path(ledger);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| path.display().to_string()),
    }
}

/// Makes a text the file beside the copy of a ledger; an empty one removes it.
///
/// # Errors
///
/// A text that is none, or an error of the disk.
pub fn install(ledger: &Path, text: &str) -> anyhow::Result<()> {
    if read_text(ledger)? == text {
        return Ok(());
    }
    let path = path(ledger);
    match text.is_empty() {
        true => std::fs::remove_file(&path).with_context(|| path.display().to_string()),
        false => {
            serde_json::from_str::<Moves>(text).context("a list of moves that is none")?;
            write(ledger, text)
        }
    }
}

/// Replaces the file beside a ledger, durably.
fn write(ledger: &Path, text: &str) -> anyhow::Result<()> {
    let path = path(ledger);
    let directory = path.parent().unwrap_or(Path::new("."));
    let draft = path.with_extension("json.new");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
        std::fs::File::open(directory)?.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

impl Moves {
    /// Reads the file beside a ledger; nothing was moved if there is none.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is of a newer version.
    pub fn read(ledger: &Path) -> anyhow::Result<Moves> {
        let path = path(ledger);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Moves::default());
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let moves: Moves = serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is no list of moves of this version; restore it from a copy",
                path.display()
            )
        })?;
        if moves.version > VERSION {
            bail!("{} was written by a newer version", path.display());
        }
        Ok(moves)
    }

    /// Replaces the file, durably.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn save(&self, ledger: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write(ledger, &format!("{text}\n"))
    }

    /// Refuses to start a process whose ledger was given away in part, or is changing, and one beside whose ledger the file
    /// was changed.
    ///
    /// # Errors
    ///
    /// The brand, where it went, and what to do.
    pub fn refuse_start(&self, config: &Config, ledger: &Path) -> anyhow::Result<()> {
        self.verify(config, ledger)?;
        if let Some(Reshard { from, to }) = self.reshard {
            bail!(
                "the ledgers in {} are being changed from {from} to {}, which was interrupted: finish it with \
                 `tributary ledger reshard --to {to}`",
                config.ledger.directory.display(),
                processes_in_words(to)
            );
        }
        for (brand, left) in &self.left {
            let Left { to, at, .. } = left;
            let from = ledger.display();
            let to = to.display();
            if !left.is_complete {
                bail!(
                    "the move of the brand {brand} from {from} to {to}, begun at {at}, was interrupted: finish it with \
                     `tributary ledger move --brand {brand} --from {from} --to {to}`"
                );
            }
            if config.brands.iter().any(|own| own.name == *brand) {
                bail!(
                    "the brand {brand} was moved from this ledger to {to} at {at}: set its shard to that of the process \
                     there, or move it back with `tributary ledger move --brand {brand} --from {to} --to {from}`"
                );
            }
        }
        Ok(())
    }

    /// The IDs of the ledgers that had a brand before.
    pub fn origins(&self, brand: &str) -> &[String] {
        self.arrived.get(brand).map_or(&[], |came| &came.from)
    }

    /// By what the noise of a brand is drawn: the first ledger that had it, or `own`.
    pub fn draw(&self, brand: &Brand, own: NoiseDraw) -> NoiseDraw {
        let first = self.origins(&brand.name).first();
        let id = first.and_then(|id| u128::from_str_radix(id, 16).ok());
        id.map_or(own, |id| NoiseDraw(id.to_be_bytes()))
    }
}
