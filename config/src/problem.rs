//! A problem of a configuration: its location, its description and its fix.
//!
//! A configuration is validated as a whole, so an operator sees every mistake in one run. A problem never repeats a
//! secret or a value that may identify a person; it states the location instead.

use std::fmt;
use std::path::PathBuf;

/// One mistake, or one thing to be warned about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named, or `environment` for a value that an environment variable set.
    pub file: String,
    /// The line, from 1; 0 where no line can be named.
    pub line: usize,
    /// The column in characters, from 1; 0 where no line can be named.
    pub column: usize,
    /// The setting, `brand[0].timezone`, or the environment variable; empty for a mistake of syntax.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right; empty where the message says it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// Every mistake of a configuration, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The file was read, and is wrong.
    #[error(transparent)]
    Invalid(#[from] Problems),
}
