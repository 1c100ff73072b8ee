//! What a report contains, and its file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::machine::Machine;
use crate::markers::MarkerReport;
use crate::measure::system::Sample;
use crate::replay::{Progress, ReplayTimes, Summary};

/// The version of the format.
const VERSION: u32 = 1;

/// The report of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the format, 1.
    pub version: u32,
    /// The name of the run.
    pub title: String,
    /// Its start, RFC 3339.
    pub started: String,
    /// Its length, seconds.
    pub seconds: f64,
    /// The commit that the load test was built from.
    pub commit: String,
    /// The arguments of the command.
    pub command: Vec<String>,
    /// SHA-256 of the configuration file, in hexadecimal; files that it names do not count.
    pub settings_sha256: Option<String>,
    /// Where it ran.
    pub machine: Machine,
    /// Why the figures are not those of what was asked for; empty for a valid run.
    pub invalid: Vec<String>,
    /// Whether a signal ended the run before its time.
    pub interrupted: bool,
    /// What was sent.
    pub load: Summary,
    /// How long it took, and how late it was.
    pub times: ReplayTimes,
    /// What became of markers, if there were any.
    pub markers: Option<MarkerReport>,
    /// The system under test, about once a second.
    pub system: Vec<Sample>,
}

/// Why a report cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no report.
    #[error("{path} is no report of `loadtest replay --report`: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Report {
    /// The report of a run that begins now; figures are added at its end.
    pub fn begin(title: &str, config: Option<&Path>) -> Report {
        let text = config.and_then(|path| std::fs::read(path).ok());
        Report {
            version: VERSION,
            title: title.to_owned(),
            started: jiff::Timestamp::now().to_string(),
            commit: env!("TRIBUTARY_BUILD_COMMIT").to_owned(),
            command: std::env::args().collect(),
            settings_sha256: text.map(|text| data_encoding::HEXLOWER.encode(&Sha256::digest(text))),
            machine: Machine::here(),
            ..Report::default()
        }
    }

    /// Adds what was sent.
    pub fn set_load(&mut self, progress: &Progress, summary: Summary) {
        self.seconds = summary.seconds;
        self.invalid.extend(summary.missed.clone());
        self.times = progress.times();
        self.load = summary;
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that is no report.
    pub fn read(path: &Path) -> Result<Report, ReportError> {
        let text = std::fs::read(path).map_err(|error| ReportError::Read {
            path: path.to_owned(),
            error,
        })?;
        let wrong = |reason: String| ReportError::Format {
            path: path.to_owned(),
            reason,
        };
        let report: Report =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        match report.version {
            VERSION => Ok(report),
            version => Err(wrong(format!(
                "its version is {version}, and this reads {VERSION}"
            ))),
        }
    }
}
