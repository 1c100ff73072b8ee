//! Which program this is: what `--version`, the log, the page and `tributary_build_info` say.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, or `unknown`; `build.rs` finds it.
pub const COMMIT: &str = env!("TRIBUTARY_BUILD_COMMIT");

/// Both, as `0.1.0 (3f2a9c81d04e)`.
pub const TEXT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("TRIBUTARY_BUILD_COMMIT"),
    ")"
);
