//! Paths of output files: where a path leads, whether two paths are one file,
//! and temporary files.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Creates a temporary file in the directory of `place`, which is deleted
/// unless it is renamed.
pub(super) fn beside(place: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile<File>> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".part")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory(place))
}

/// The directory of a path; `.` for a bare name.
fn directory(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(path);
    match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    }
}

/// The absolute path to which a path leads, links resolved, whether or not the
/// file exists; `None` if its directory does not.
pub(super) fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = path.canonicalize() {
        return Some(place);
    }
    let parent = directory(path);
    // A link that leads nowhere yet.
    let path = match fs::read_link(path) {
        Ok(target) => parent.join(target),
        Err(_) => path.to_owned(),
    };
    let parent = directory(&path).canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

/// Whether a path leads to the file at a resolved path, through any symbolic or
/// hard link.
pub(super) fn is_same(path: &Path, at: &Path, there: Option<&Metadata>) -> bool {
    if place(path).is_some_and(|path| path == at) {
        return true;
    }
    match (fs::metadata(path), there) {
        (Ok(a), Some(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
