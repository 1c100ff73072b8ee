//! Writes the output files of a command without ever overwriting a person's own
//! file.
//!
//! The command checks each output before it reads or computes anything. An
//! output must not be one of the command's inputs, by whatever path, and an
//! existing file must have the kind that the command writes, unless the caller
//! passes `force`. The file is written under a temporary name and renamed once
//! it is complete, so a failed command leaves the previous file intact.
//!
//! ```
//! use std::io::Write;
//! use tributary_connectors::output_files::{Contents, OutputError, OutputFiles};
//!
//! # let folder = tempfile::tempdir()?;
//! let notes = folder.path().join("notes.txt");
//! std::fs::write(&notes, "my notes\n")?;
//! let mut outputs = OutputFiles::new(Vec::new(), false);
//! assert!(matches!(
//!     outputs.file(&notes, Contents::Cells),
//!     Err(OutputError::Other { .. })
//! ));
//!
//! let cells = outputs.file(&folder.path().join("cells.ndjson"), Contents::Cells)?;
//! cells.write(|out| -> Result<(), Box<dyn std::error::Error>> { Ok(out.write_all(b"{}\n")?) })?;
//! assert_eq!(std::fs::read(cells.path())?, b"{}\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contents;
mod paths;

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use contents::Contents;
use paths::{beside, is_same, place};

/// Why an output file is not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The path is a directory.
    #[error("{0} is a directory: name a file")]
    Directory(PathBuf),
    /// The parent directory does not exist.
    #[error("{0} cannot be written: its directory does not exist")]
    NoDirectory(PathBuf),
    /// The command reads the same file.
    #[error("{output} is also an input ({input}), which is never overwritten: name another file")]
    Input {
        /// The output.
        output: PathBuf,
        /// The input that is the same file.
        input: PathBuf,
    },
    /// Two outputs name the same file.
    #[error("{0} is named for two outputs: name another file for one of them")]
    Twice(PathBuf),
    /// The existing file has another kind.
    #[error(
        "{path} exists and is not {contents}: choose another file, or overwrite it with --force"
    )]
    /// The existing file has another kind of content.
    Other {
        /// The output.
        path: PathBuf,
        /// The kind of content that may be replaced.
        contents: &'static str,
    },
    /// The existing file is never replaced without `force`.
    #[error("{0} is there already: name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The file system refuses.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The output.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}

/// The outputs of one command, with the inputs that they must not overwrite.
#[derive(Debug, Default)]
pub struct OutputFiles {
    /// The files that the command reads.
    inputs: Vec<PathBuf>,
    /// Whether any existing file may be replaced, except inputs.
    force: bool,
    /// The registered outputs, with links resolved.
    places: Vec<PathBuf>,
}

/// A file that may be written.
#[derive(Debug)]
pub struct OutputFile {
    /// The path as the caller named it.
    path: PathBuf,
    /// The path with links resolved.
    place: PathBuf,
    /// The permissions of the file.
    mode: u32,
    /// The kind of content.
    contents: Contents,
    /// Whether it is a pipe or a device, which is written to directly.
    special: bool,
}

impl OutputFiles {
    /// The outputs of a command that reads these files. With `force`, any other
    /// existing file is replaced.
    pub fn new(inputs: Vec<PathBuf>, force: bool) -> OutputFiles {
        OutputFiles {
            inputs,
            force,
            places: Vec::new(),
        }
    }

    /// Registers an output file with the permissions of the file that it
    /// replaces, or those that the umask permits.
    ///
    /// # Errors
    /// [`OutputError`] if it must not be written.
    pub fn file(&mut self, path: &Path, contents: Contents) -> Result<OutputFile, OutputError> {
        self.check(path, contents, 0o666)
    }

    /// Registers an output file that only its owner may read.
    ///
    /// # Errors
    /// [`OutputError`] if it must not be written.
    pub fn private(&mut self, path: &Path, contents: Contents) -> Result<OutputFile, OutputError> {
        self.check(path, contents, 0o600)
    }

    /// Checks a path against the inputs, the other outputs and the existing
    /// file.
    fn check(
        &mut self,
        path: &Path,
        contents: Contents,
        mode: u32,
    ) -> Result<OutputFile, OutputError> {
        let owned = || path.to_owned();
        let place = place(path).ok_or_else(|| OutputError::NoDirectory(owned()))?;
        let there = fs::metadata(&place).ok();
        if let Some(input) = self
            .inputs
            .iter()
            .find(|input| is_same(input, &place, there.as_ref()))
        {
            return Err(OutputError::Input {
                output: owned(),
                input: input.clone(),
            });
        }
        let mut before = self.places.iter();
        let special = match &there {
            Some(there) if there.is_dir() => return Err(OutputError::Directory(owned())),
            Some(there) => !there.is_file(),
            None => false,
        };
        if !special && before.any(|other| is_same(other, &place, there.as_ref())) {
            return Err(OutputError::Twice(owned()));
        }
        if there.is_some() && !special && !self.force && !contents.are_in(&place) {
            return Err(match contents {
                Contents::Nothing => OutputError::Exists(owned()),
                contents => OutputError::Other {
                    path: owned(),
                    contents: contents.name(),
                },
            });
        }
        self.places.push(place.clone());
        let kept = there.filter(|_| mode == 0o666);
        Ok(OutputFile {
            path: owned(),
            mode: kept.map_or(mode, |there| there.mode() & 0o777),
            place,
            contents,
            special,
        })
    }
}

impl OutputFile {
    /// The path as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file under a temporary name in the same directory, flushes it
    /// to disk, and renames it.
    ///
    /// # Errors
    /// [`OutputError::Write`], or the error of `write`; the previous file then
    /// remains.
    pub fn write<E: From<OutputError>>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| OutputError::Write {
            path: self.path.clone(),
            error,
        };
        if self.special {
            let file = OpenOptions::new().write(true).open(&self.place);
            let mut out = BufWriter::new(file.map_err(failed)?);
            write(&mut out)?;
            return Ok(out.flush().map_err(failed)?);
        }
        let beside = beside(&self.place, self.mode).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 20, beside.as_file());
        write(&mut out)?;
        out.flush().map_err(failed)?;
        drop(out);
        beside.as_file().sync_all().map_err(failed)?;
        beside
            .persist(&self.place)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Removes an existing file of the same kind; leaves any other file.
    ///
    /// # Errors
    /// [`OutputError::Write`] if it cannot be removed.
    pub fn remove(&self) -> Result<(), OutputError> {
        if self.special || !self.place.exists() || !self.contents.are_in(&self.place) {
            return Ok(());
        }
        fs::remove_file(&self.place).map_err(|error| OutputError::Write {
            path: self.path.clone(),
            error,
        })
    }
}

/// Writes a new file that only its owner may read; it appears completely or not
/// at all.
///
/// # Errors
/// `AlreadyExists` if the path exists; otherwise the operating system's error.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path, 0o600)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)
        .map(drop)
        .map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CELL: &str = "{\"cell\":{},\"family\":\"identity\",\"value\":{}}\n";

    fn put(output: &OutputFile, text: &str) -> Result<(), OutputError> {
        output.write(|out| {
            out.write_all(text.as_bytes())
                .map_err(|error| OutputError::Write {
                    path: output.path().to_owned(),
                    error,
                })
        })
    }

    #[test]
    fn an_input_is_never_an_output_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in"), CELL).unwrap();
        std::os::unix::fs::symlink(at("in"), at("soft")).unwrap();
        fs::hard_link(at("in"), at("hard")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        std::os::unix::fs::symlink(folder.path(), at("sub/up")).unwrap();
        for name in [
            "in",
            "./in",
            "sub/../in",
            "soft",
            "hard",
            "sub/up/in",
            "sub/up/hard",
        ] {
            for force in [false, true] {
                let mut outputs = OutputFiles::new(vec![at("in")], force);
                let refused = outputs.file(&at(name), Contents::Cells).unwrap_err();
                assert!(
                    matches!(refused, OutputError::Input { .. }),
                    "{name}: {refused}"
                );
            }
        }
        let mut outputs = OutputFiles::new(vec![at("soft")], true);
        assert!(outputs.file(&at("hard"), Contents::Cells).is_err());
        assert_eq!(fs::read_to_string(at("in")).unwrap(), CELL);
    }

    #[test]
    fn only_files_of_the_same_kind_are_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let refused = |text: &str, contents| {
            fs::write(&path, text).unwrap();
            OutputFiles::new(Vec::new(), false)
                .file(&path, contents)
                .is_err()
        };
        let trace = "{\"subject\":\"s\",\"at\":1,\"data\":{}}\n";
        let dead =
            "{\"subject\":\"s\",\"at\":1,\"headers\":[[\"Tributary-Reason\",\"x\"]],\"data\":{}}\n";
        assert!(!refused(CELL, Contents::Cells));
        assert!(!refused("", Contents::Cells));
        assert!(!refused(trace, Contents::Trace));
        assert!(!refused(dead, Contents::DeadLetters));
        assert!(refused(trace, Contents::Cells));
        assert!(refused(trace, Contents::DeadLetters));
        assert!(refused("my notes\n", Contents::Cells));
        assert!(refused("\u{0}\u{1}", Contents::Trace));
        assert!(refused("", Contents::Nothing));
        assert!(refused(CELL, Contents::Nothing));
        let forced = OutputFiles::new(Vec::new(), true).file(&path, Contents::Nothing);
        put(&forced.unwrap(), "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, CELL).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let output = OutputFiles::new(Vec::new(), false)
            .file(&path, Contents::Cells)
            .unwrap();
        let failed: Result<(), OutputError> = output.write(|out| {
            let _ = out.write_all(b"half");
            Err(OutputError::Exists(PathBuf::new()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), CELL);
        put(&output, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
    }

    #[test]
    fn places_that_cannot_be_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut outputs = OutputFiles::new(Vec::new(), false);
        let mut check = |path: &Path| outputs.file(path, Contents::Cells).map(drop);
        let refused = check(folder.path()).unwrap_err();
        assert!(matches!(refused, OutputError::Directory(_)));
        let refused = check(&folder.path().join("no/where")).unwrap_err();
        assert!(matches!(refused, OutputError::NoDirectory(_)));
        check(&folder.path().join("out")).unwrap();
        let refused = check(&folder.path().join("./out")).unwrap_err();
        assert!(matches!(refused, OutputError::Twice(_)));
        check(Path::new("/dev/null")).unwrap();
        check(Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn a_link_stays_and_its_target_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("target", at("link")).unwrap();
        for text in [CELL, "{\"cell\":1,\"family\":1,\"value\":1}"] {
            let output = OutputFiles::new(Vec::new(), false).file(&at("link"), Contents::Cells);
            put(&output.unwrap(), text).unwrap();
            assert_eq!(fs::read_to_string(at("target")).unwrap(), text);
            assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        }
    }

    #[test]
    fn a_new_file_is_whole_private_and_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let error = write_new(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
