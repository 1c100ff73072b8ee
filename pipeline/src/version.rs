//! Version of the program, as `--version`, the log, the page and
//! `tributary_build_info` report it.

/// Version of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that the program was built from, or `unknown`; determined by
/// `build.rs`.
pub const COMMIT: &str = env!("TRIBUTARY_BUILD_COMMIT");

/// Version and commit, for example `0.1.0 (3f2a9c81d04e)`.
pub const TEXT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("TRIBUTARY_BUILD_COMMIT"),
    ")"
);
