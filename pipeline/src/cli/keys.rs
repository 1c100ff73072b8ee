//! `tributary keys`: generates a brand's secret or an access token, and rotates
//! ledgers to the newest secret.
//!
//! A secret is generated in a file of its own that only its owner can read, and
//! is not printed unless requested. A rotation loses nothing: pseudonyms are
//! rekeyed through the previous secrets, so that all secrets of a brand stay in
//! the configuration, in their order. If workers run, each of them is asked
//! ([`crate::serve::services::key_rotation`]).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use base64::Engine;
use futures::future::try_join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tributary_connectors::nats::{self, Client};
use tributary_connectors::output_files::write_new;
use tributary_connectors::terminal;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_rights::PublicKey;

use crate::cli::args::KeysCommand;
use crate::durability::command::Progress;
use crate::privacy::rights::files;
use crate::serve::services::Topic;
use crate::serve::services::client::{Asker, ask};
use crate::serve::services::key_rotation::{Request, RotationStatus};

/// Length of a generated secret in bytes: twice the required minimum in base64,
/// and without padding.
const BYTES: usize = 48;

/// Length of an access token in bytes, too long to guess.
const TOKEN_BYTES: usize = 32;

/// Result of the rotation of a ledger.
#[derive(Debug, Serialize)]
struct Rotated {
    /// Directory of the ledger.
    directory: String,
    /// Entries that were sealed under an older secret.
    moved: u64,
    /// Files that were overwritten and removed.
    files: usize,
    /// How many of them, or of those that a crash had left, could not be overwritten.
    not_overwritten: usize,
}

/// Result of the rotation of the ledger of a running process.
#[derive(Debug, Serialize)]
struct Exchanged {
    /// Index of the process.
    process: usize,
    /// Entries that were sealed under an older secret.
    moved: u64,
    /// Files that were overwritten and removed.
    files: usize,
}

/// Executes the command.
///
/// # Errors
///
/// A file or ledger that refuses, or a worker that refuses or does not answer.
pub async fn command(command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New { file, print } => new(file, *print),
        KeysCommand::Token { file } => token(file),
        KeysCommand::Public {
            config,
            brand,
            all,
            json,
        } => public(config, brand.as_deref(), *all, *json),
        KeysCommand::Rotate {
            directory: Some(directory),
            config,
            json,
        } => {
            let rotated = rotate(directory, config)?;
            match json {
                true => terminal::print_line(serde_json::to_string_pretty(&rotated)?)?,
                false => terminal::print_line(rotated.text())?,
            }
            Ok(())
        }
        KeysCommand::Rotate {
            directory: None,
            config,
            json,
        } => {
            let exchanged = rotate_live(config).await?;
            match json {
                true => {
                    let report = serde_json::json!({ "processes": exchanged });
                    terminal::print_line(serde_json::to_string_pretty(&report)?)?;
                }
                false => {
                    for exchanged in &exchanged {
                        terminal::print_line(exchanged.text())?;
                    }
                }
            }
            Ok(())
        }
    }
}

/// Prints the public keys of a brand's receipts, newest first.
///
/// # Errors
///
/// An invalid configuration, or several brands to choose from.
fn public(config: &Path, brand: Option<&str>, all: bool, as_json: bool) -> anyhow::Result<()> {
    let asker = Asker::load(config, brand)?;
    let keys = files::keys(asker.brand()?);
    let public = keys.public_keys().take(if all { usize::MAX } else { 1 });
    if as_json {
        let keys: Vec<_> = public.map(PublicKey::to_jwk).collect();
        let set = serde_json::json!({ "keys": keys });
        return Ok(terminal::print_line(serde_json::to_string_pretty(&set)?)?);
    }
    for key in public {
        terminal::print(key.to_pem())?;
    }
    Ok(())
}

/// Generates an access token: prints it, and writes its SHA-256 to a new file.
///
/// # Errors
///
/// A file that exists, or that cannot be written.
fn token(file: &Path) -> anyhow::Result<()> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    let drawn = OsRng.try_fill_bytes(&mut *bytes);
    drawn.context("the operating system provides no random bytes")?;
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice());
    let token = Zeroizing::new(encoded);
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(token.as_bytes()));
    write_new(file, format!("{digest}\n").as_bytes()).with_context(|| {
        format!(
            "cannot write {}; an existing file is never overwritten",
            file.display()
        )
    })?;
    terminal::print_line(token.as_str())?;
    terminal::note(format_args!(
        "wrote its SHA-256 to {}: set it as sha256_file of an [[http.token]] or an [[http_ingest.token]]; the token is not stored anywhere",
        file.display()
    ));
    Ok(())
}

/// Generates a secret in a new file.
///
/// # Errors
///
/// A file that exists, or that cannot be written.
fn new(file: &Path, print: bool) -> anyhow::Result<()> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let drawn = OsRng.try_fill_bytes(&mut *bytes);
    drawn.context("the operating system provides no random bytes")?;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes.as_slice());
    let text = Zeroizing::new(format!("{text}\n"));
    write_new(file, text.as_bytes()).with_context(|| {
        format!(
            "cannot write {}; an existing file is never overwritten",
            file.display()
        )
    })?;
    let name = file.display();
    terminal::note(format_args!(
        "generated a secret in {name}, readable only by its owner\n\
         for a new brand:  secret_file = \"{name}\"\n\
         to rotate:        secret_file = \"{name}\" and previous_secret_files = [all previous ones, oldest first]"
    ));
    if print {
        terminal::print(text.as_str())?;
    }
    Ok(())
}

/// Rotates the ledger of a stopped process.
///
/// # Errors
///
/// A ledger that does not exist, is in use, or was sealed under a secret that
/// is not configured.
fn rotate(directory: &Path, config: &Path) -> anyhow::Result<Rotated> {
    let config = crate::load(config)?;
    // Opening would begin a ledger where there is none.
    let looked = tributary_ledger::inspect(directory, None)?;
    let options = Options {
        process: looked.process,
        processes: looked.processes,
        ..Options::new(directory)
    };
    let (mut ledger, _) = Ledger::open(options, Arc::new(Keyring::new(&config)))?;
    let mut rotated = Rotated {
        directory: looked.directory,
        moved: 0,
        files: 0,
        not_overwritten: 0,
    };
    if ledger.entries_under_old_keys() > 0 {
        let bar = bar("")?;
        let work = ledger.rewrite(Arc::new(|_, _| true))?;
        let done = work.run(&mut |read, total| {
            bar.set_length(total);
            bar.set_position(read);
        });
        bar.finish_and_clear();
        let done = done?;
        rotated.moved = done.rekeyed;
        let removed = ledger.install_and_remove(done)?;
        rotated.files = removed.files;
        rotated.not_overwritten = removed.not_overwritten;
    }
    rotated.not_overwritten += ledger.take_not_overwritten();
    note_not_overwritten(rotated.not_overwritten);
    ledger.close()?;
    Ok(rotated)
}

/// Says how many files could not be overwritten before they were removed.
pub(super) fn note_not_overwritten(files: usize) {
    if files > 0 {
        terminal::note(format_args!(
            "{files} of the replaced files could not be overwritten before they were removed: their sealed bytes stay on the \
             disk until it uses the space again"
        ));
    }
}

/// A progress bar for bytes.
fn bar(words: &str) -> anyhow::Result<ProgressBar> {
    let template = format!("{words}{{bar:30}} {{bytes}}/{{total_bytes}} {{eta}} left");
    let style = ProgressStyle::with_template(&template).context("the progress bar")?;
    Ok(ProgressBar::new(0).with_style(style))
}

/// Rotates every running process, and returns when all are done.
///
/// No process begins before every process has confirmed that it can.
///
/// # Errors
///
/// A process that refuses or does not answer. Those that have begun continue;
/// repeating the command completes the rotation.
async fn rotate_live(config: &Path) -> anyhow::Result<Vec<Exchanged>> {
    let config = crate::load(config)?;
    // Any brand leads to the processes, and each has one ledger for all of them.
    let Some(brand) = config.brands.first().map(|brand| brand.name.as_str()) else {
        bail!("the configuration defines no brand");
    };
    let client = nats::connect(&config.nats, "tributary keys").await?;
    let request = Request::for_challenge();
    // Nothing is begun anywhere before everybody has said that it can.
    let processes = query_process(&client, brand, 0, &request).await?.processes;
    let look = (0..processes).map(|process| {
        let (client, config, request) = (&client, &config, &request);
        async move {
            let status = query_process(client, brand, process, request).await?;
            let challenge = status.challenge.with_context(|| {
                format!("process {process} gave no challenge; does it run another version?")
            })?;
            let possible = request.prove(config, &challenge, false);
            query_process(client, brand, process, &possible).await?;
            anyhow::Ok(request.prove(config, &challenge, true))
        }
    });
    let requests = try_join_all(look).await?;
    let bars = MultiProgress::new();
    let all = (0..processes).zip(&requests).map(|(process, request)| {
        let (client, bars) = (&client, &bars);
        async move {
            let bar = bars.add(bar(&format!("process {process} "))?);
            loop {
                match query_process(client, brand, process, request)
                    .await?
                    .progress
                {
                    Progress::Moving { read, total } => {
                        bar.set_length(total);
                        bar.set_position(read);
                    }
                    Progress::Done { moved, files } => {
                        bar.finish_and_clear();
                        return anyhow::Ok(Exchanged {
                            process,
                            moved,
                            files,
                        });
                    }
                    Progress::Waiting | Progress::Possible | Progress::Refused { .. } => {}
                }
            }
        }
    });
    try_join_all(all).await
}

/// The answer of a process to a request.
async fn query_process(
    client: &Client,
    brand: &str,
    process: usize,
    request: &Request,
) -> anyhow::Result<RotationStatus> {
    let topic = Topic::Keys(process);
    let answer = ask(client, topic, brand, serde_json::to_string(request)?).await?;
    let status: RotationStatus = serde_json::from_slice(&answer).with_context(|| {
        format!("cannot read the answer of process {process}; does it run another version?")
    })?;
    Ok(status)
}

impl Exchanged {
    fn text(&self) -> String {
        let Exchanged { process, moved, .. } = self;
        match moved {
            0 => format!("process {process}: all entries are already under the newest secrets"),
            _ => format!(
                "process {process}: rotated {moved} entries to the newest secrets; older secrets can no longer read its ledger"
            ),
        }
    }
}

impl Rotated {
    fn text(&self) -> String {
        let Rotated {
            directory, moved, ..
        } = self;
        match moved {
            0 => format!("{directory}: all entries are already under the newest secrets"),
            _ => format!(
                "{directory}: rotated {moved} entries to the newest secrets; older secrets can no longer read the ledger"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::os::unix::fs::PermissionsExt;

    use tributary_ledger::{Position, WriteBatch};
    use tributary_operators::record::BrandId;
    use tributary_operators::salt::Salt;

    use super::*;

    #[test]
    fn a_drawn_secret_is_its_owners_alone_and_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("acme.secret");
        new(&file, false).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!((text.trim_end().len(), text.ends_with('\n')), (64, true));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = format!("{:#}", new(&file, false).unwrap_err());
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        let other = directory.path().join("other.secret");
        new(&other, false).unwrap();
        assert_ne!(std::fs::read_to_string(&other).unwrap(), text);
    }

    /// Configurations as an operator writes them, from drawing to moving.
    #[test]
    fn a_secret_is_drawn_named_and_moved_to() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let brand = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\n";
        let one = format!("{brand}secret_file = \"one\"\n");
        let two = format!("{brand}secret_file = \"two\"\nprevious_secret_files = [\"one\"]\n");
        for (name, text) in [("one", one), ("two", two)] {
            new(&at(name), false).unwrap();
            std::fs::write(at(&format!("{name}.toml")), text).unwrap();
        }
        // Where there is no ledger, none is begun.
        assert!(rotate(&at("ledger"), &at("one.toml")).is_err());
        assert!(!at("ledger").exists());

        let keyring = Keyring::new(&crate::load(&at("one.toml")).unwrap());
        let (mut ledger, _) = Ledger::open(Options::new(at("ledger")), keyring.into()).unwrap();
        let mut page = WriteBatch::default();
        let word = tributary_operators::event::Event::LabelName {
            brand: BrandId::of("acme"),
            label: tributary_operators::label::Label::of("google"),
            word: "google".into(),
        };
        page.push(BrandId::of("acme"), &word);
        page.salt(BrandId::of("acme"), 1, Salt::from_bytes([1; 32]));
        ledger.append(page);
        ledger.commit(Position::default()).unwrap();
        drop(ledger);

        assert_eq!(rotate(&at("ledger"), &at("one.toml")).unwrap().moved, 0);
        let rotated = rotate(&at("ledger"), &at("two.toml")).unwrap();
        assert_eq!((rotated.moved, rotated.files), (1, 1));
        assert!(rotated.text().contains("rotated 1 entries"));
        let again = rotate(&at("ledger"), &at("two.toml")).unwrap();
        assert!(again.text().contains("already under the newest"));
        let error = rotate(&at("ledger"), &at("one.toml")).unwrap_err();
        assert!(format!("{error:#}").contains("another secret"), "{error:#}");
    }
}
