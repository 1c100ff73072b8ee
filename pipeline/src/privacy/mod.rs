//! Privacy: rights of data subjects, objections, and retention.

pub mod objections;
pub mod retention;
pub mod retention_pass;
pub mod rights;
