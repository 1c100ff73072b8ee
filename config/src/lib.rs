//! Tributary's configuration: one TOML file, checked whole, with defaults for everything but the brands.

pub mod model;
