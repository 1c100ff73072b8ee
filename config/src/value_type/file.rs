//! Files that the configuration names, and the secrets that they or environment
//! variables contain.
//!
//! A secret is read once, stored as [`Secret`], and never printed. What
//! should be the name of a variable may be the secret itself, put there by
//! mistake: such a name is not repeated either.
//!
//! Only regular files are opened, and only so far as a secret may be long, so
//! that a pipe or a device cannot block or exhaust the program.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use toml_edit::Value;
use zeroize::Zeroizing;

use super::list::MASK;
use super::randomness::why_not_random;
use super::{Rendered, ValueType};
use crate::context::{Context, Input};
use crate::model::{Credential, Secret, TokenDigest};

/// The maximum length of a secret, bytes.
const LONGEST: u64 = 65_536;

/// The minimum length from which a secret must have been drawn at random, bytes:
/// those of brands, from which all keys are derived.
const RANDOM: usize = 32;

/// A file that must be readable.
pub(crate) struct Readable {
    /// Whether the file contains a secret, which others must not be able to read.
    pub(crate) secret: bool,
}

/// The model stores the path and not the content, because the content may
/// change while the program runs.
impl ValueType for Readable {
    type Out = PathBuf;

    fn kind(&self) -> String {
        "a path".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    /// Resolves the path and opens the file once; refuses a secret that others can read.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<PathBuf> {
        let path = path_of(given, cx)?;
        open(&path, given, cx)?;
        if self.secret && !is_private(&path, given, cx) {
            return None;
        }
        Some(path)
    }

    fn render(&self, out: &PathBuf) -> Rendered {
        Rendered::Value(Value::from(out.to_string_lossy().into_owned()))
    }
}

/// A directory that need not exist yet.
pub(crate) struct Directory;

/// The program creates the directory when it starts; only a path to something
/// else is a mistake.
impl ValueType for Directory {
    type Out = PathBuf;

    fn kind(&self) -> String {
        "a path".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<PathBuf> {
        let path = path_of(given, cx)?;
        if path.exists() && !path.is_dir() {
            let message = format!("{} is not a directory", path.display());
            cx.report(given.place, &given.path, message, "name a directory");
            return None;
        }
        Some(path)
    }

    fn render(&self, out: &PathBuf) -> Rendered {
        Rendered::Value(Value::from(out.to_string_lossy().into_owned()))
    }
}

/// A secret in a file, without trailing line breaks.
pub(crate) struct SecretFile {
    /// The minimum length, bytes.
    pub(crate) min: usize,
}

/// The model stores the content. Trailing line breaks are removed, because
/// editors and `echo` add them; leading and inner white space is part of the
/// secret.
impl ValueType for SecretFile {
    type Out = Secret;

    fn kind(&self) -> String {
        "a path".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    /// Reads the secret; reports a file that is missing, not text, too short or
    /// too long.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Secret> {
        secret_in_file(self.min, Age::Newest, given, cx)
    }

    fn render(&self, out: &Secret) -> Rendered {
        masked(out)
    }

    fn identity(&self, out: &Secret) -> Zeroizing<String> {
        Zeroizing::new(out.expose_secret().to_owned())
    }
}

/// The SHA-256 of a token, in a file.
pub(crate) struct DigestFile;

/// A digest is no secret, because a token is drawn at random: the model stores
/// the path, which is printed, and the digest.
impl ValueType for DigestFile {
    type Out = TokenDigest;

    fn kind(&self) -> String {
        "a path".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    /// Reads the first word of the file; reports one that is not 64 hexadecimal
    /// digits, and does not repeat it, because it may be the token.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<TokenDigest> {
        let path = path_of(given, cx)?;
        let file = open(&path, given, cx)?;
        let mut text = String::new();
        let read = file.take(LONGEST).read_to_string(&mut text);
        let word = text.split_ascii_whitespace().next().unwrap_or_default();
        match (read, digest(word)) {
            (Ok(_), Some(sha256)) => Some(TokenDigest { file: path, sha256 }),
            _ => {
                let message = format!(
                    "{} does not begin with a SHA-256 of 64 hexadecimal digits",
                    path.display()
                );
                let fix = "write it with `tributary keys token FILE`: the file holds the digest, never the token";
                cx.report_invalid(given, message, fix);
                None
            }
        }
    }

    fn render(&self, out: &TokenDigest) -> Rendered {
        Rendered::Value(Value::from(out.file.to_string_lossy().into_owned()))
    }

    fn identity(&self, out: &TokenDigest) -> Zeroizing<String> {
        Zeroizing::new(format!("{:?} {}", out.sha256, out.file.display()))
    }
}

/// The bytes of 64 hexadecimal digits.
fn digest(word: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if word.len() != 64 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in out.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(word.get(at..at + 2)?, 16).ok()?;
    }
    Some(out)
}

/// A secret in a file that is reread at each use, because it may be rotated
/// while the program runs.
pub(crate) struct CredentialFile(pub(crate) SecretFile);

/// As [`SecretFile`], but the model also stores the path.
impl ValueType for CredentialFile {
    type Out = Credential;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Credential> {
        let secret = self.0.read(given, cx)?;
        Some(Credential::in_file(secret, path_of(given, cx)?))
    }

    fn render(&self, _: &Credential) -> Rendered {
        Rendered::Masked
    }

    /// That of its origin: what a file contains may change at any time.
    fn identity(&self, out: &Credential) -> Zeroizing<String> {
        Zeroizing::new(match out.file() {
            Some(file) => file.display().to_string(),
            None => out
                .read()
                .map_or_else(|_| String::new(), |value| value.expose_secret().to_owned()),
        })
    }
}

/// A credential in an environment variable.
pub(crate) struct CredentialVariable(pub(crate) SecretVariable);

impl ValueType for CredentialVariable {
    type Out = Credential;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Credential> {
        self.0.read(given, cx).map(Credential::from)
    }

    fn render(&self, _: &Credential) -> Rendered {
        // The row of the file, which fills the same field, shows the mask.
        Rendered::Nothing
    }
}

/// Secrets, each in a file of its own; their order counts.
pub(crate) struct SecretFiles {
    /// The minimum length of each, bytes.
    pub(crate) min: usize,
}

/// The order is that of rotation, the oldest secret first. An entry is a path
/// like any other.
impl ValueType for SecretFiles {
    type Out = Vec<Secret>;

    fn kind(&self) -> String {
        "a list, each a path".to_owned()
    }

    fn schema(&self) -> Json {
        let each = json!({"type": "string", "minLength": 1});
        json!({"type": "array", "items": each, "uniqueItems": true})
    }

    /// Reads every file before it fails, so that all problems are reported.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Vec<Secret>> {
        let Some(files) = given.elements() else {
            let message = format!("must be a list, not {}", given.node.type_name());
            cx.report_invalid(given, message, "write paths in square brackets");
            return None;
        };
        let mut each = |file| secret_in_file(self.min, Age::Previous, file, cx);
        // All are read, so that everything that is wrong is said.
        let secrets: Vec<_> = files.iter().map(&mut each).collect();
        secrets.into_iter().collect()
    }

    fn render(&self, out: &Vec<Secret>) -> Rendered {
        Rendered::Value(Value::from_iter(out.iter().map(|_| MASK)))
    }

    fn identity(&self, out: &Vec<Secret>) -> Zeroizing<String> {
        let secrets = out.iter().map(|secret| secret.expose_secret());
        Zeroizing::new(secrets.collect::<Vec<_>>().join("\n"))
    }
}

/// A secret in an environment variable.
pub(crate) struct SecretVariable {
    /// The minimum length, bytes.
    pub(crate) min: usize,
}

/// The setting is the *name* of a variable. A name with characters that
/// variables do not have is probably the secret itself, so it is not repeated.
impl ValueType for SecretVariable {
    type Out = Secret;

    fn kind(&self) -> String {
        "the name of an environment variable".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
    }

    /// Reads the variable; reports one that is not set, without its name unless
    /// the name has the usual capitals.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Secret> {
        let name = given.text().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(begins) || !name.chars().all(fits) {
            let message = "must be the name of an environment variable, not its value";
            cx.report_invalid(given, message, r#"write a name such as "TRIBUTARY_SECRET""#);
            return None;
        }
        let Some(text) = cx.variable(name) else {
            // A name in the usual capitals is no secret that slipped in.
            let usual = !name.contains(|c: char| c.is_ascii_lowercase()) && name.len() <= 60;
            let message = match usual {
                true => format!("the environment variable {name} is not set"),
                false => "the environment variable is not set".to_owned(),
            };
            cx.report_invalid(given, message, "set it before the program starts");
            return None;
        };
        let what = "the environment variable";
        secret(&text, self.min, what, Age::Newest, given, cx)
    }

    fn render(&self, _: &Secret) -> Rendered {
        // The row of the file, which fills the same field, shows the mask.
        Rendered::Nothing
    }
}

/// A secret as printed: a mask if it is set.
fn masked(out: &Secret) -> Rendered {
    match out.expose_secret().is_empty() {
        true => Rendered::Nothing,
        false => Rendered::Masked,
    }
}

/// Whether a secret is in use or was replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Must have been drawn at random, if it is that of a brand.
    Newest,
    /// Is needed for what was written under it, whatever it is: without it, nobody
    /// could replace a secret that is refused.
    Previous,
}

/// The secret in a file; reports a file that is missing, that others can read, or that
/// is not text.
fn secret_in_file(min: usize, age: Age, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Secret> {
    let path = path_of(given, cx)?;
    let file = open(&path, given, cx)?;
    if !is_private(&path, given, cx) {
        return None;
    }
    let mut text = Zeroizing::new(String::new());
    if let Err(error) = file.take(LONGEST + 1).read_to_string(&mut text) {
        let (message, fix) = match error.kind() {
            std::io::ErrorKind::InvalidData => (
                format!("{} is not text", path.display()),
                "write a secret in printable characters: openssl rand -base64 48",
            ),
            _ => (format!("{} cannot be read: {error}", path.display()), ""),
        };
        cx.report_invalid(given, message, fix);
        return None;
    }
    let what = path.display().to_string();
    secret(&text, min, &what, age, given, cx)
}

/// The secret in a text, without trailing line breaks; reports one that is too
/// short or too long, or that was not drawn at random. `what` names the origin.
fn secret(
    text: &str,
    min: usize,
    what: &str,
    age: Age,
    given: &Input<'_>,
    cx: &mut Context<'_>,
) -> Option<Secret> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.len() as u64 > LONGEST {
        let message = format!("{what} has more than {LONGEST} bytes, too many for a secret");
        cx.report_invalid(given, message, "");
        return None;
    }
    if text.len() < min {
        let message = format!(
            "{what} holds {} bytes, at least {min} are needed",
            text.len()
        );
        cx.report_invalid(
            given,
            message,
            "draw a secret at random: openssl rand -base64 48",
        );
        return None;
    }
    if min >= RANDOM
        && let Some(why) = why_not_random(text)
    {
        let message = format!("{what} {why}, which nobody drew at random");
        if age == Age::Newest {
            let fix = "draw a secret at random: openssl rand -base64 48; if data is encrypted under this one, rotate it: keep its file in previous_secret_files";
            cx.report_invalid(given, message, fix);
            return None;
        }
        let fix = "whoever guesses it reads what was written under it: let backups from before the rotation age out";
        cx.warn(given.place, &given.path, message, fix);
    }
    Some(Secret::from(text))
}

/// The absolute path that a value names.
fn path_of(given: &Input<'_>, cx: &mut Context<'_>) -> Option<PathBuf> {
    match given.text() {
        Some(text) if !text.trim().is_empty() && !text.contains('\0') => Some(cx.resolve(text)),
        Some(_) => {
            cx.report_invalid(given, "must name a file", "");
            None
        }
        None => {
            let message = format!("must be a path, not {}", given.node.type_name());
            cx.report_invalid(given, message, "write it in quotation marks");
            None
        }
    }
}

/// Opens a regular file; reports anything else.
fn open(path: &Path, given: &Input<'_>, cx: &mut Context<'_>) -> Option<File> {
    let opened = std::fs::metadata(path).and_then(|about| match about.is_file() {
        true => File::open(path),
        false => Err(std::io::Error::other("it is not a file")),
    });
    match opened {
        Ok(file) => Some(file),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            let fix = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "create it; a relative path counts from the configuration file's directory"
                }
                std::io::ErrorKind::PermissionDenied => "let the program's user read it",
                _ => "",
            };
            cx.report_invalid(given, message, fix);
            None
        }
    }
}

/// Whether a file with a secret may be used. One that every user of the system can
/// read or replace is refused; a group that can is a warning, because containers
/// mount secrets for the group of the process. On a file system that has no modes
/// of its own, such as FAT, files show whatever it was mounted with.
#[cfg(unix)]
fn is_private(path: &Path, given: &Input<'_>, cx: &mut Context<'_>) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let Ok(about) = std::fs::metadata(path) else {
        return true;
    };
    let mode = about.permissions().mode() & 0o777;
    let (path, is_refused) = (path.display(), mode & 0o006 != 0);
    let what = if mode & 0o044 != 0 {
        "read"
    } else {
        "replaced"
    };
    if is_refused {
        let message =
            format!("{path} can be {what} by every user of this system (mode {mode:03o})");
        let fix = "chmod 600 it, and replace the secret if somebody else may have read it; a file system without modes is mounted with umask=077";
        cx.report_invalid(given, message, fix);
    } else if mode & 0o060 != 0 {
        let message = format!("{path} can be {what} by its group (mode {mode:03o})");
        cx.warn(given.place, &given.path, message, "chmod 600 it");
    }
    !is_refused
}

/// Permissions are unknown on this platform.
#[cfg(not(unix))]
fn is_private(_: &Path, _: &Input<'_>, _: &mut Context<'_>) -> bool {
    true
}
