//! What a process reports about itself: metrics, health and released cells; and
//! tables for the terminal.

pub mod cell_query;
pub mod channel_name;
pub mod counts;
pub mod csv;
pub mod health;
pub mod metrics;
pub mod published_cells;
pub mod released_share;
pub mod summary;
pub mod table;
pub mod tally;
pub mod telemetry;
pub mod worker_profile;
