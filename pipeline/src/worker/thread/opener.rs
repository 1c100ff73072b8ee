//! Reading of restored blocks, and refusal of arriving records: what a worker
//! thread shares with the other threads of its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_config::model::Config;
use tributary_connectors::clock::BrandClock;
use tributary_ledger::Keyring;
use tributary_operators::record::BrandId;

use crate::privacy::objections::Objections;
use crate::privacy::retention::ArrivalFilter;

/// Keys, clocks and filters that each worker thread of a process receives as
/// its own copy.
#[derive(Clone)]
pub struct BlockOpener {
    /// Keys under which the ledger's blocks are sealed.
    pub(super) keyring: Arc<Keyring>,
    /// One clock per brand. The ledger does not store the day of a record, because
    /// the day follows from the time zone in the configuration.
    pub(super) clocks: BTreeMap<BrandId, BrandClock>,
    /// The objection list, shared by all threads.
    pub(super) objections: Arc<Objections>,
    /// Refuses records that are past their retention when they arrive.
    pub(super) arrival_filter: ArrivalFilter,
}

impl BlockOpener {
    /// Creates the opener for the brands of a configuration.
    pub fn new(config: &Config, keyring: Arc<Keyring>, objections: Arc<Objections>) -> BlockOpener {
        let clocks = config.brands.iter();
        let clocks = clocks.map(|brand| {
            let clock = BrandClock::new(&brand.timezone, 0);
            (BrandId::of(&brand.name), clock)
        });
        BlockOpener {
            keyring,
            clocks: clocks.collect(),
            objections,
            arrival_filter: ArrivalFilter::new(config),
        }
    }
}
