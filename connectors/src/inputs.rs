//! The inputs of a replay or a verification: traces, CSV files and files of
//! vendors' formats, one after the other, as one sequence of messages.
//!
//! An argument is the path of a trace, or `source=path` for a file of a
//! configured source in the CSV format or a vendor's; `brand/source=path` if several brands have a source
//! of that name. Every input is opened before any is read, so that a wrong name
//! is an error at once and not after an hour.

use std::path::{Path, PathBuf};

use crate::csv::{self, CsvError, CsvReader};
use crate::files::Progress;
use crate::item_file::{self, ItemFileError, ItemReader};
use crate::trace::{self, TraceError, TraceLine, TraceReader};
use tributary_config::model::{Brand, Column, Config, Format, Source};

/// Why inputs cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// There is no argument.
    #[error("no trace is named")]
    None,
    /// `source=path` names no source with files, or more than one.
    #[error("{argument}: {reason}")]
    Source {
        /// The argument.
        argument: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// Lines of a trace, and none of them a message.
    #[error("no line of {} is a message; a trace has one {{\"subject\", \"at\", \"data\"}} per line, and a file of a \
             source is given as SOURCE=FILE", .file.display())]
    NoMessage {
        /// The file.
        file: PathBuf,
    },
    /// A trace cannot be opened or read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A CSV file cannot be opened or read.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A file of a vendor's items cannot be opened or read.
    #[error(transparent)]
    Items(#[from] ItemFileError),
}

/// Iterates over the messages of all inputs, in the order of the arguments. An
/// error ends the iteration.
pub struct Inputs {
    /// The inputs, in the order of the arguments.
    parts: Vec<Part>,
    /// The position of the input that is read; beyond the last at the end.
    current: usize,
    messages: u64,
    /// Number of messages of the input that is read.
    of_current: u64,
}

/// One open input.
enum Part {
    Trace(Box<TraceReader>),
    Csv(Box<CsvReader>),
    Items(Box<ItemReader>),
}

/// How much of the inputs has been read; remains valid while another thread
/// reads on.
#[derive(Clone, Debug)]
pub struct InputsProgress(Vec<Progress>);

impl InputsProgress {
    /// Bytes read so far, as stored on disk.
    pub fn read(&self) -> u64 {
        self.0.iter().map(Progress::read).sum()
    }

    /// Bytes of all files; what has no size, such as a pipe, counts 0.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Progress::size).sum()
    }
}

/// Opens all inputs. Without a configuration, every argument must be a trace.
///
/// # Errors
/// The first argument that cannot be opened.
/// ```
/// use tributary_connectors::inputs;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("trace.ndjson");
/// std::fs::write(
///     &path,
///     "{\"subject\":\"tributary.in.acme.web\",\"at\":1,\"data\":{}}\nnot a message\n",
/// )?;
/// let mut inputs = inputs::open(None, &[path.display().to_string()])?;
/// assert_eq!(inputs.by_ref().count(), 1);
/// assert_eq!((inputs.messages(), inputs.skipped()), (1, 1));
///
/// // A file of another kind is no trace without messages.
/// std::fs::write(&path, "id,amount\n1,5.00\n")?;
/// let mut inputs = inputs::open(None, &[path.display().to_string()])?;
/// let error = inputs.next().expect("an error").unwrap_err();
/// assert!(error.to_string().contains("is a message; a trace has one"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(config: Option<&Config>, arguments: &[String]) -> Result<Inputs, InputsError> {
    if arguments.is_empty() {
        return Err(InputsError::None);
    }
    let latest = config.map_or(i64::MAX, item_file::latest_arrival);
    let parts: Result<Vec<Part>, InputsError> = arguments
        .iter()
        .map(|argument| match named(config, argument)? {
            Named::Trace(path) => Ok(Part::Trace(Box::new(trace::open(&path)?))),
            Named::File(brand, source, path) => match source.format {
                Format::Csv(_) => {
                    let rows = csv::open(path, brand, source, latest)?;
                    Ok(Part::Csv(Box::new(rows)))
                }
                _ => {
                    let items = item_file::open(path, brand, source, latest)?;
                    Ok(Part::Items(Box::new(items)))
                }
            },
        })
        .collect();
    Ok(Inputs {
        parts: parts?,
        current: 0,
        messages: 0,
        of_current: 0,
    })
}

/// The files that a command reads: those that the arguments name, and those
/// that their column maps look up. Outputs must not overwrite them
/// ([`crate::output_files`]).
///
/// # Errors
/// The first argument that names neither a file nor a source with files.
pub fn files(config: Option<&Config>, arguments: &[String]) -> Result<Vec<PathBuf>, InputsError> {
    let mut files = Vec::new();
    for argument in arguments {
        match named(config, argument)? {
            Named::Trace(path) => files.push(path),
            Named::File(_, source, path) => {
                files.push(path.to_owned());
                if let Format::Csv(map) = &source.format {
                    let beside = map.columns.values().filter_map(|column| match column {
                        Column::Lookup { file, .. } => Some(path.with_file_name(file)),
                        _ => None,
                    });
                    files.extend(beside);
                }
            }
        }
    }
    Ok(files)
}

/// What an argument names.
enum Named<'a> {
    Trace(PathBuf),
    File(&'a Brand, &'a Source, &'a Path),
}

/// Whether files of a source are inputs.
fn has_files(source: &Source) -> bool {
    !matches!(source.format, Format::Native)
}

/// Resolves an argument. A file with exactly this name takes precedence,
/// because a path may contain `=`.
fn named<'a>(config: Option<&'a Config>, argument: &'a str) -> Result<Named<'a>, InputsError> {
    let whole = Path::new(argument);
    let (name, path) = match argument.split_once('=') {
        Some(parts) if !whole.exists() => parts,
        _ => return Ok(Named::Trace(whole.to_owned())),
    };
    let wrong = |reason: String| InputsError::Source {
        argument: argument.to_owned(),
        reason,
    };
    let Some(config) = config else {
        return Err(wrong(
            "a file of a source needs the configuration that describes it".to_owned(),
        ));
    };
    let (brand, source) = match name.split_once('/') {
        Some((brand, source)) => (Some(brand), source),
        None => (None, name),
    };
    let all = || {
        let brands = config.brands.iter();
        brands.flat_map(|brand| brand.sources.iter().map(move |source| (brand, source)))
    };
    let known: Vec<String> = all()
        .filter(|(_, source)| has_files(source))
        .map(|(brand, source)| format!("{}/{}", brand.name, source.name))
        .collect();
    let found: Vec<(&Brand, &Source)> = all()
        .filter(|(owner, one)| brand.is_none_or(|b| owner.name == b) && one.name == source)
        .collect();
    match found.as_slice() {
        [(brand, source)] if has_files(source) => Ok(Named::File(brand, source, Path::new(path))),
        [_] => Err(wrong(format!(
            "the source {name} is in the native format; give its messages as a trace"
        ))),
        [] => Err(wrong(match known.as_slice() {
            [] => {
                "no such file, and the configuration has no source in the CSV format or a vendor's"
                    .to_owned()
            }
            known => format!(
                "no such file or source with files; there are {}",
                known.join(", ")
            ),
        })),
        _ => Err(wrong(format!(
            "several brands have the source {source}; name the brand too, as brand/{source}=path"
        ))),
    }
}

impl Inputs {
    /// Lines of traces so far that were not messages.
    pub fn skipped(&self) -> u64 {
        let skipped = |part: &Part| match part {
            Part::Trace(trace) => trace.skipped(),
            Part::Csv(_) | Part::Items(_) => 0,
        };
        self.parts.iter().map(skipped).sum()
    }

    /// Rows of CSV files so far that the filter `only` of their source left out.
    pub fn left_out(&self) -> u64 {
        let left_out = |part: &Part| match part {
            Part::Csv(rows) => rows.left_out(),
            Part::Trace(_) | Part::Items(_) => 0,
        };
        self.parts.iter().map(left_out).sum()
    }

    /// Messages returned so far; also the number of the last one, from 1, over
    /// all inputs.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How much of the inputs has been read.
    pub fn progress(&self) -> InputsProgress {
        let progress = |part: &Part| match part {
            Part::Trace(trace) => trace.progress(),
            Part::Csv(rows) => rows.progress(),
            Part::Items(items) => items.progress(),
        };
        InputsProgress(self.parts.iter().map(progress).collect())
    }
}

impl Iterator for Inputs {
    type Item = Result<TraceLine, InputsError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(part) = self.parts.get_mut(self.current) {
            let next = match part {
                Part::Trace(trace) => trace.next().map(|line| line.map_err(InputsError::from)),
                Part::Csv(rows) => rows.next().map(|line| line.map_err(InputsError::from)),
                Part::Items(items) => items.next().map(Ok),
            };
            match next {
                Some(Ok(line)) => {
                    self.messages += 1;
                    self.of_current += 1;
                    return Some(Ok(line));
                }
                Some(Err(error)) => {
                    self.current = self.parts.len();
                    return Some(Err(error));
                }
                None => {
                    let of_current = std::mem::take(&mut self.of_current);
                    if let Part::Trace(trace) = part
                        && of_current == 0
                        && trace.skipped() > 0
                    {
                        let file = trace.path().to_owned();
                        self.current = self.parts.len();
                        return Some(Err(InputsError::NoMessage { file }));
                    }
                    self.current += 1;
                }
            }
        }
        None
    }
}
