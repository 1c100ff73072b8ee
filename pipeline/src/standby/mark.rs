//! What a process with a standby remembers of its copy of the ledger, in a file
//! beside it: which copy it is, and of whose ledger.
//!
//! The file is replaced as a whole. A copy whose files are being replaced is
//! marked as incomplete first, so that nobody takes it for a ledger after a
//! crash in between. It has codes of the brands ([`codes`]): whoever could write it
//! could have an older copy take over.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Holder};

use crate::durability::codes::{self, Codes, Verdict};
use crate::durability::location::ledger_options;

/// Context of the keys of codes.
const CODE: &str = "tributary 2026-11 code of the standby of one brand";

/// The tenure of a leader: which copy of the ledger leads, since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The ID of the copy.
    pub copy: String,
    /// When its process took the lease, RFC 3339.
    pub since: String,
}

impl From<&Holder> for Tenure {
    fn from(holder: &Holder) -> Tenure {
        Tenure {
            copy: holder.copy.clone(),
            since: holder.since.clone(),
        }
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The ID of this copy of the ledger, 32 random hexadecimal digits.
    pub copy: String,
    /// Whose ledger it is a copy of; `None` for one that has led or may begin.
    pub follows: Option<Tenure>,
    /// The number that the leader has given to the copied state.
    pub state: u64,
    /// Whether the files are a ledger.
    pub complete: bool,
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    mark: Mark,
    codes: Codes,
}

impl Mark {
    /// What codes are computed over: the name of the file, and the mark.
    fn content(&self, path: &Path) -> anyhow::Result<Vec<u8>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut content = name.into_owned().into_bytes();
        content.push(0);
        content.extend(serde_json::to_vec(self)?);
        Ok(content)
    }
}

/// The file.
pub struct MarkFile {
    config: Config,
    path: PathBuf,
    mark: Mark,
}

/// The path of the mark of a process.
fn path_of(config: &Config) -> PathBuf {
    let name = format!("standby-{}.json", config.workers.name());
    config.ledger.directory.join(name)
}

/// Verifies the mark of a process, if it has one, and changes nothing.
///
/// # Errors
///
/// A file that cannot be read, or was not written with the secrets of the brands.
pub fn check(config: &Config) -> anyhow::Result<()> {
    read(config, &path_of(config)).map(drop)
}

/// Reads a mark; `None` if there is none.
///
/// # Errors
///
/// A file that cannot be read, or that was not written with the secrets of the
/// brands: those of the configuration that have a code must all fit, and one must
/// have one.
fn read(config: &Config, path: &Path) -> anyhow::Result<Option<Mark>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let stored = serde_json::from_slice::<Stored>(&bytes);
    let Stored { mark, codes } = stored.with_context(|| {
        let path = path.display();
        format!(
            "{path} is damaged, or of another version; the copy of a standby, and no other ledger, may be removed together \
             with it: it is copied anew"
        )
    })?;
    let content = mark.content(path)?;
    let brands = config.brands.iter();
    let verdicts: Vec<Verdict> = brands
        .map(|brand| codes::verify(&codes, brand, CODE, &content))
        .collect();
    if verdicts.contains(&Verdict::Wrong) || !verdicts.contains(&Verdict::Right) {
        bail!(
            "{} is not what was written with the secrets of these brands: it was changed, is that of another process, or was \
             written under a secret that is no longer in the configuration, and which previous_secret_files has to name for one \
             start. The copy of a standby, and no other ledger, may be removed together with it: it is copied anew",
            path.display()
        );
    }
    Ok(Some(mark))
}

/// Refuses a ledger that is a copy whose files were being replaced: a process
/// without `workers.standby` would take it for a ledger.
///
/// # Errors
///
/// Such a copy, or a mark that cannot be read.
pub fn refuse_incomplete(config: &Config) -> anyhow::Result<()> {
    let path = path_of(config);
    if read(config, &path)?.is_some_and(|mark| !mark.complete) {
        bail!(
            "the ledger in {} is a standby's copy that was being replaced when its process ended ({}): start it with \
             workers.standby = true, and it is completed",
            config.ledger.directory.display(),
            path.display()
        );
    }
    Ok(())
}

/// Keeps every standby of a process that is stopped from taking over until the process
/// has led again, because its ledger is about to be changed by somebody else.
///
/// # Errors
///
/// A ledger that is itself the copy of a standby, or whose standby has led since; a
/// broker that does not answer.
pub async fn hold_off(client: &Client, config: &Config) -> anyhow::Result<()> {
    let Some(mark) = read(config, &path_of(config))? else {
        return Ok(());
    };
    let ledger = ledger_options(config).directory;
    if mark.follows.is_some() || !mark.complete {
        bail!(
            "{} is the copy of a standby: stop the process that leads as well, and use its ledger",
            ledger.display()
        );
    }
    nats::ensure_leases(client, &config.nats).await?;
    let held_off = nats::hold_off(client, &config.nats, &config.workers.name(), &mark.copy).await;
    held_off.with_context(|| ledger.display().to_string())
}

impl MarkFile {
    /// Reads the mark of this process, or draws a new one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn open(config: &Config) -> anyhow::Result<MarkFile> {
        let path = path_of(config);
        let config = config.clone();
        if let Some(mark) = read(&config, &path)? {
            let mut file = MarkFile {
                config,
                path,
                mark: mark.clone(),
            };
            // Under the newest secrets, so that older ones may be retired.
            file.write(mark)?;
            return Ok(file);
        }
        let mark = Mark {
            copy: data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>()),
            follows: None,
            state: 0,
            complete: true,
        };
        let mut file = MarkFile {
            config,
            path,
            mark: mark.clone(),
        };
        file.write(mark)?;
        Ok(file)
    }

    /// The mark.
    pub fn get(&self) -> &Mark {
        &self.mark
    }

    /// Replaces the mark, unless it is the same; durable when this returns.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn set(&mut self, mark: Mark) -> anyhow::Result<()> {
        match mark == self.mark {
            true => Ok(()),
            false => self.write(mark),
        }
    }

    /// Notes the number of the state that the copy has, in memory only.
    pub fn remember(&mut self, state: u64) {
        self.mark.state = state;
    }

    fn write(&mut self, mark: Mark) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let text = serde_json::to_vec(&Stored {
            codes: codes::of(&self.config, CODE, &mark.content(&self.path)?),
            mark: mark.clone(),
        })?;
        let directory = self.path.parent().context("no directory of the ledger")?;
        std::fs::create_dir_all(directory).with_context(failed)?;
        let draft = self.path.with_extension("new");
        let replace = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&draft, &self.path)?;
            File::open(directory)?.sync_all()
        };
        replace().with_context(failed)?;
        self.mark = mark;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    fn config(directory: &Path, secret: &str) -> Config {
        let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n";
        // Settings are looked for in the environment as well.
        let environment =
            |name: &str| (name == "A").then(|| format!("{secret} {}", tributary_testkit::SECRET));
        let loaded = tributary_config::parse_in(text, Path::new("tributary.toml"), &environment);
        let mut config = loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config;
        config.ledger.directory = directory.to_owned();
        config
    }

    #[test]
    fn a_mark_that_somebody_without_the_secrets_has_written_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let own = config(directory.path(), "own");
        let mut file = MarkFile::open(&own).unwrap();
        let mark = Mark {
            state: 7,
            ..file.get().clone()
        };
        file.set(mark.clone()).unwrap();
        assert_eq!(*MarkFile::open(&own).unwrap().get(), mark);
        let path = directory.path().join("standby-0.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let refused = |config: &Config, text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = MarkFile::open(config).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("standby-0.json"), "{error}");
            assert!(refuse_incomplete(config).is_err());
        };
        refused(&own, &text.replace("\"state\":7", "\"state\":1000000"));
        refused(&config(directory.path(), "other"), &text);
        let without: serde_json::Value = serde_json::from_str(&text).unwrap();
        let without = serde_json::json!({"mark": without["mark"], "codes": {}});
        refused(&own, &without.to_string());
        refused(&own, &without["mark"].to_string());
        // After an exchange of the secret, that of before counts as well.
        std::fs::write(&path, &text).unwrap();
        let mut exchanged = config(directory.path(), "other");
        exchanged.brands[0].previous_secrets = vec![own.brands[0].secret.clone()];
        assert_eq!(*MarkFile::open(&exchanged).unwrap().get(), mark);
        // From then on the one of before is not needed any more.
        let retired = config(directory.path(), "other");
        assert_eq!(*MarkFile::open(&retired).unwrap().get(), mark);
    }
}
