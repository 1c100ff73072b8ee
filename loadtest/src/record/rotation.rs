//! The files of a recording: compressed, of bounded size and number, and safe against a kill.
//!
//! `trace.ndjson.zst` becomes `trace.000001.ndjson.zst`, `trace.000002.ndjson.zst` and so on, beside
//! the position `trace.position.json`. Each [`Rotation::sync`] ends a Zstandard frame, so that all of a
//! file up to it can be read whatever comes after, makes it durable, and then replaces the position,
//! which names the file, its length at that moment and the last sequence in it. A recording that
//! resumes cuts the file back to that length: what was written behind it is written again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tributary_connectors::trace::TraceLine;

/// The level of the compression: fast enough to stay far below the cost of the worker.
const LEVEL: i32 = 3;

/// Where a recording is written.
#[derive(Clone, Debug)]
pub struct RotationOptions {
    /// The name of the trace, ending in `.ndjson.zst`.
    pub path: PathBuf,
    /// The size after which a new file begins, compressed bytes.
    pub file_bytes: u64,
    /// The size of all files together, after which the oldest is deleted; `None` for no limit.
    pub all_bytes: Option<u64>,
    /// Whether identifiers are replaced, under a secret that nobody has after the recording. Such a recording
    /// is not resumed: the same value would get another pseudonym.
    pub pseudonymised: bool,
}

/// Why the files of a recording cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The name has another ending.
    #[error("{0}: a recording is compressed, so its name ends in .ndjson.zst")]
    Name(PathBuf),
    /// Files of this name are there, and no position that belongs to them.
    #[error("{0} is there already, and no recording to resume: choose another name for --out")]
    Exists(PathBuf),
    /// The recording was begun with pseudonyms, or without.
    #[error(
        "{0} is the position of a recording that was begun {begun}: its identifiers are {identifiers}, so choose another name for --out",
        begun = begun(.1),
        identifiers = identifiers(.1)
    )]
    OtherMode(PathBuf, bool),
    /// The position is that of another stream.
    #[error(
        "{0} is the position of a recording of another input stream, or of one that was created again: choose another name \
         for --out"
    )]
    OtherStream(PathBuf),
    /// The file system refuses.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// How a recording was begun.
fn begun(pseudonymised: &bool) -> &'static str {
    match pseudonymised {
        true => "with --pseudonymise",
        false => "without --pseudonymise",
    }
}

/// What the identifiers of a recording are.
fn identifiers(pseudonymised: &bool) -> &'static str {
    match pseudonymised {
        true => "under a secret that is gone",
        false => "in clear text",
    }
}

/// What is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// When the stream was created, which tells it from another one.
    stream: String,
    /// The last sequence that is recorded.
    sequence: u64,
    /// The number of the first file that has not been deleted.
    first: u64,
    /// The number of the file that is written.
    file: u64,
    /// The length of this file, bytes.
    length: u64,
    /// Whether identifiers are replaced.
    #[serde(default)]
    pseudonymised: bool,
}

/// The files of a recording.
pub struct Rotation {
    options: RotationOptions,
    /// The path without `.ndjson.zst`.
    stem: PathBuf,
    position: Position,
    /// The frame that is being written, if any.
    frame: Option<zstd::Encoder<'static, File>>,
    /// The last sequence that was written, durable or not.
    written: u64,
    deleted: u64,
}

impl Rotation {
    /// Opens the files of a recording that begins with the sequence `from`, or those of one that is
    /// resumed; returns the sequence from which to read.
    ///
    /// # Errors
    ///
    /// [`RotationError`].
    pub fn open(
        options: RotationOptions,
        stream: &str,
        from: u64,
    ) -> Result<(Rotation, u64), RotationError> {
        let name = options.path.to_string_lossy();
        let stem = name
            .strip_suffix(".ndjson.zst")
            .filter(|stem| !stem.is_empty() && !stem.ends_with('/'));
        let stem = PathBuf::from(stem.ok_or_else(|| RotationError::Name(options.path.clone()))?);
        let path = position_of(&stem);
        let resumed = match fs::read(&path) {
            Ok(text) => {
                let position: Position = serde_json::from_slice(&text)
                    .map_err(|error| failed(&path)(io::Error::other(error)))?;
                if position.stream != stream {
                    return Err(RotationError::OtherStream(path));
                }
                // One that was killed before it wrote anything has used no secret.
                let is_empty = position.file == 1 && position.length == 0;
                if position.pseudonymised != options.pseudonymised
                    || (position.pseudonymised && !is_empty)
                {
                    return Err(RotationError::OtherMode(path, position.pseudonymised));
                }
                cut(&file_of(&stem, position.file), position.length)?;
                Some(position)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path)(error)),
        };
        let is_new = resumed.is_none();
        let position = match resumed {
            Some(position) => position,
            None => {
                let first = file_of(&stem, 1);
                if first.exists() {
                    return Err(RotationError::Exists(first));
                }
                Position {
                    stream: stream.to_owned(),
                    sequence: from.saturating_sub(1),
                    first: 1,
                    file: 1,
                    length: 0,
                    pseudonymised: options.pseudonymised,
                }
            }
        };
        let next = position.sequence + 1;
        let rotation = Rotation {
            options,
            stem,
            written: position.sequence,
            position,
            frame: None,
            deleted: 0,
        };
        // The position is there before the first file, so that a recording that is killed early is one
        // that can be resumed.
        if is_new {
            rotation.keep()?;
        }
        Ok((rotation, next))
    }

    /// Writes a message, which is durable after the next [`Rotation::sync`].
    ///
    /// # Errors
    ///
    /// [`RotationError::Write`].
    pub fn write(&mut self, line: &TraceLine, sequence: u64) -> Result<(), RotationError> {
        let path = file_of(&self.stem, self.position.file);
        let failed = failed(&path);
        let frame = match &mut self.frame {
            Some(frame) => frame,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(&path);
                let frame = zstd::Encoder::new(file.map_err(&failed)?, LEVEL).map_err(&failed)?;
                self.frame.insert(frame)
            }
        };
        let mut text = line.to_json();
        text.push('\n');
        frame.write_all(text.as_bytes()).map_err(&failed)?;
        self.written = sequence;
        Ok(())
    }

    /// Makes everything durable that was written, and begins a new file if this one is large enough.
    ///
    /// # Errors
    ///
    /// [`RotationError::Write`].
    pub fn sync(&mut self) -> Result<(), RotationError> {
        let Some(frame) = self.frame.take() else {
            return Ok(());
        };
        let path = file_of(&self.stem, self.position.file);
        let failed = failed(&path);
        let file = frame.finish().map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        self.position.length = file.metadata().map_err(&failed)?.len();
        self.position.sequence = self.written;
        self.keep()?;
        if self.position.length >= self.options.file_bytes {
            self.position.file += 1;
            self.position.length = 0;
            self.keep()?;
            self.delete_oldest()?;
        }
        Ok(())
    }

    /// Replaces the position.
    fn keep(&self) -> Result<(), RotationError> {
        let path = position_of(&self.stem);
        let failed = failed(&path);
        let text =
            serde_json::to_vec(&self.position).map_err(|error| failed(io::Error::other(error)))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut beside =
            tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(&failed)?;
        beside.write_all(&text).map_err(&failed)?;
        beside.as_file().sync_all().map_err(&failed)?;
        beside.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Deletes the oldest files until the others fit.
    fn delete_oldest(&mut self) -> Result<(), RotationError> {
        let Some(most) = self.options.all_bytes else {
            return Ok(());
        };
        let sizes = |first, last| -> u64 {
            let files = first..=last;
            files
                .filter_map(|number| fs::metadata(file_of(&self.stem, number)).ok())
                .map(|of| of.len())
                .sum()
        };
        let mut first = self.position.first;
        // Room for the file that is about to be written.
        while first < self.position.file
            && sizes(first, self.position.file) + self.options.file_bytes > most
        {
            let path = file_of(&self.stem, first);
            match fs::remove_file(&path) {
                // Before a kill, or by somebody who has archived it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => {
                    removed.map_err(failed(&path))?;
                    self.deleted += 1;
                }
            }
            first += 1;
        }
        if first != self.position.first {
            self.position.first = first;
            self.keep()?;
        }
        Ok(())
    }

    /// Files that were deleted.
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Makes everything durable, and returns the files that there are, oldest first.
    ///
    /// # Errors
    ///
    /// [`RotationError::Write`].
    pub fn finish(mut self) -> Result<Vec<PathBuf>, RotationError> {
        self.sync()?;
        let files = self.position.first..=self.position.file;
        let files = files.map(|number| file_of(&self.stem, number));
        Ok(files.filter(|file| file.exists()).collect())
    }
}

/// Cuts a file back to a length, which it has at least unless it is missing.
fn cut(path: &Path, length: u64) -> Result<(), RotationError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && length == 0 => return Ok(()),
        file => file.map_err(failed(path))?,
    };
    let there = file.metadata().map_err(failed(path))?.len();
    if there < length {
        let error = io::Error::other(format!(
            "it has {there} bytes, and the recording had {length}"
        ));
        return Err(failed(path)(error));
    }
    file.set_len(length).map_err(failed(path))
}

/// The path of a file by its number.
fn file_of(stem: &Path, number: u64) -> PathBuf {
    PathBuf::from(format!("{}.{number:06}.ndjson.zst", stem.display()))
}

/// The path of the position.
fn position_of(stem: &Path) -> PathBuf {
    PathBuf::from(format!("{}.position.json", stem.display()))
}

/// The error of a file.
fn failed(path: &Path) -> impl Fn(io::Error) -> RotationError {
    let path = path.to_owned();
    move |error| RotationError::Write {
        path: path.clone(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> TraceLine {
        TraceLine {
            subject: "tributary.in.acme.web".to_owned(),
            at: number as i64,
            headers: Vec::new(),
            // Hardly compressible, so that files fill up.
            data: (0..40)
                .map(|n| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ n)))
                .collect::<String>()
                .into(),
        }
    }

    fn options(folder: &Path) -> RotationOptions {
        RotationOptions {
            path: folder.join("t.ndjson.zst"),
            file_bytes: 2_000,
            all_bytes: None,
            pseudonymised: false,
        }
    }

    fn read(files: &[PathBuf]) -> Vec<i64> {
        let lines = files
            .iter()
            .flat_map(|file| tributary_connectors::trace::open(file).unwrap());
        lines.map(|line| line.unwrap().at).collect()
    }

    #[test]
    fn a_recording_resumes_without_a_gap_or_a_repetition() {
        let folder = tempfile::tempdir().unwrap();
        let options = || options(folder.path());
        let mut next = 1;
        for _ in 0..6 {
            let (mut files, resumed) = Rotation::open(options(), "s", 1).unwrap();
            assert_eq!(resumed, next);
            let first = next;
            for number in first..first + 20 {
                files.write(&message(number), number).unwrap();
                if number % 5 == 0 {
                    files.sync().unwrap();
                    next = number + 1;
                }
            }
            files.write(&message(999), 999).unwrap();
            // As after a kill: a frame that was never ended, and garbage behind the position.
            let current = file_of(&files.stem, files.position.file);
            drop(files);
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(current)
                .unwrap()
                .write_all(b"half a frame")
                .unwrap();
        }
        let (files, _) = Rotation::open(options(), "s", 1).unwrap();
        let files = files.finish().unwrap();
        assert!(files.len() > 2, "{files:?}");
        let expected: Vec<i64> = (1..next as i64).collect();
        assert_eq!(read(&files), expected);
        let other = Rotation::open(options(), "another", 1);
        assert!(matches!(other, Err(RotationError::OtherStream(_))));
    }

    #[test]
    fn the_oldest_files_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        options.all_bytes = Some(10_000);
        let (mut files, _) = Rotation::open(options, "s", 1).unwrap();
        for number in 1..=500 {
            files.write(&message(number), number).unwrap();
            files.sync().unwrap();
        }
        assert!(files.deleted() > 5);
        let files = files.finish().unwrap();
        let bytes: u64 = files
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum();
        assert!(bytes <= 10_000, "{bytes}");
        let kept = read(&files);
        assert_eq!(kept.last(), Some(&500));
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }

    #[test]
    fn a_file_that_is_gone_already_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        options.all_bytes = Some(10_000);
        let (mut files, _) = Rotation::open(options, "s", 1).unwrap();
        for number in 1..=500 {
            let oldest = file_of(&files.stem, files.position.first);
            if number % 50 == 0 && oldest.exists() && files.position.first < files.position.file {
                fs::remove_file(oldest).unwrap();
            }
            files.write(&message(number), number).unwrap();
            files.sync().unwrap();
        }
        assert_eq!(read(&files.finish().unwrap()).last(), Some(&500));
    }

    #[test]
    fn a_recording_keeps_to_its_pseudonyms() {
        for begun in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let of = |pseudonymised| RotationOptions {
                pseudonymised,
                ..options(folder.path())
            };
            let (mut files, _) = Rotation::open(of(begun), "s", 1).unwrap();
            // Nothing was written yet.
            assert!(Rotation::open(of(begun), "s", 1).is_ok());
            files.write(&message(1), 1).unwrap();
            files.finish().unwrap();
            for resumed in [true, false] {
                let opened = Rotation::open(of(resumed), "s", 1);
                assert_eq!(opened.is_ok(), !begun && !resumed);
                if let Err(error) = opened {
                    assert!(error.to_string().contains("--pseudonymise"), "{error}");
                }
            }
        }
    }

    #[test]
    fn nothing_of_somebody_else_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("t.000001.ndjson.zst");
        fs::write(&theirs, "mine").unwrap();
        let opened = Rotation::open(options(folder.path()), "s", 1);
        assert!(matches!(opened, Err(RotationError::Exists(_))));
        assert_eq!(fs::read(&theirs).unwrap(), b"mine");
        let mut plain = options(folder.path());
        plain.path = folder.path().join("t.ndjson");
        assert!(matches!(
            Rotation::open(plain, "s", 1),
            Err(RotationError::Name(_))
        ));
    }
}
