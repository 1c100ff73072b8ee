//! Members: who is which process of the cluster now, and where it listens.
//!
//! `workers.hosts` says where the processes of a cluster usually are. A process that
//! has a standby ([`crate::standby`]) may be elsewhere: its lease names the address,
//! and whoever connects looks there first ([`crate::start`] reads the leases).
//!
//! Both ends of a connection name their tenure ([`Holder::tenure`]) and refuse a
//! process whose lease another one has taken, because it would be connected with
//! half of the cluster, and the other one with the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tributary_connectors::nats::Holder;

/// The members of a cluster as far as their leases are known; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Members(Arc<Mutex<BTreeMap<usize, Member>>>);

/// A process of the cluster, by its lease.
#[derive(Clone, Debug)]
struct Member {
    address: String,
    tenure: [u8; 32],
}

impl Members {
    /// Records who has the lease of a process.
    pub fn set(&self, process: usize, holder: &Holder) {
        let member = Member {
            address: holder.address.clone(),
            tenure: holder.tenure(),
        };
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.insert(process, member);
    }

    /// The address that the lease of a process names, if it names one.
    pub fn address(&self, process: usize) -> Option<String> {
        let member = self.member(process)?;
        Some(member.address).filter(|address| !address.is_empty())
    }

    /// Whether another process than that of this tenure has the lease of a process.
    pub fn is_replaced(&self, process: usize, tenure: &[u8]) -> bool {
        let member = self.member(process);
        member.is_some_and(|member| member.tenure != *tenure)
    }

    fn member(&self, process: usize) -> Option<Member> {
        let members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.get(&process).cloned()
    }
}
