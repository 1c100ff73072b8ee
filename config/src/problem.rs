//! Problems of a configuration: their location, description and remedy.
//!
//! A configuration is validated as a whole, so an operator sees every mistake
//! in one run. A problem never repeats a secret or a value that may identify a
//! person; it states the location instead.

use std::fmt;
use std::path::PathBuf;

/// One mistake, or one warning.
///
/// ```
/// use tributary_config::Problem;
///
/// let problem = Problem {
///     file: "tributary.toml".to_owned(),
///     line: 3,
///     column: 12,
///     path: "brand[0].timezone".to_owned(),
///     message: "\"Europe/Pariss\" is not an IANA time zone".to_owned(),
///     fix: "did you mean \"Europe/Paris\"?".to_owned(),
/// };
/// assert_eq!(
///     problem.to_string(),
///     "tributary.toml:3:12: brand[0].timezone: \"Europe/Pariss\" is not an IANA time zone; \
///      did you mean \"Europe/Paris\"?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the caller named it, or `environment` for the value of an
    /// environment variable.
    pub file: String,
    /// The line, from 1; 0 if the problem has no line, such as a missing
    /// section.
    pub line: usize,
    /// The column in characters, from 1; 0 if the problem has no line.
    pub column: usize,
    /// The setting, such as `brand[0].timezone`, or the environment variable;
    /// empty for a syntax error.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The remedy; empty if the message implies it.
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

/// All mistakes of a configuration, in the order of the file; at least one.
/// Displayed one per line.
/// ```
/// use std::path::Path;
///
/// let text = "[[brand]]\nname = \"a b\"\ntimezone = \"UTC\"\n";
/// let problems = tributary_config::parse(text, Path::new("t.toml")).unwrap_err();
/// let text = problems.to_string();
/// assert_eq!(text.lines().count(), problems.0.len());
/// assert!(text.starts_with("t.toml:1:"), "{text}");
/// assert!(text.contains("brand[0].name: \"a b\" is not a name; use 1 to 256 of"), "{text}");
/// ```
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

/// Why no configuration could be loaded.
/// ```
/// use std::path::Path;
/// use tributary_config::ConfigError;
///
/// let error = tributary_config::load(Path::new("/no/such/file.toml")).unwrap_err();
/// assert!(matches!(error, ConfigError::Read { .. }));
/// assert!(error.to_string().starts_with("/no/such/file.toml: cannot be read: "));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
    /// The file was read, but is not valid.
    #[error(transparent)]
    Invalid(#[from] Problems),
}
