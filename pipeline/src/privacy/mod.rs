//! Privacy: rights of data subjects, objections, and retention (GDPR, Articles 5(1)(e), 12 to 22).

pub mod objections;
pub mod retention;
pub mod retention_pass;
pub mod rights;
