//! Whether a candidate for the lease may lead.
//!
//! It is decided by the lease and by the mark beside the ledger alone: at most one process may, and none whose ledger lacks
//! what the leader has reported as done.

use tributary_connectors::nats::Holder;

use super::mark::{Mark, Tenure};

/// Whether a process may lead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum May {
    /// At once: nobody else can.
    AtOnce,
    /// When the lease is free.
    Follow,
    /// Not without the operator, and why.
    Not(String),
}

/// Whether a process with this mark may lead after `last`. `own` is the process
/// as a holder.
pub(super) fn may_lead(mark: &Mark, own: &Holder, last: Option<&Holder>) -> May {
    if !mark.complete {
        return May::Not(
            "its copy of the ledger was being replaced when the process ended".to_owned(),
        );
    }
    let Some(last) = last else {
        return match mark.follows {
            None => May::AtOnce,
            // The leader enters itself again within seconds, if it lives.
            Some(_) => May::Follow,
        };
    };
    let host = &last.host;
    // Also where the process ended before it could record that it leads.
    if last.copy == mark.copy {
        return May::AtOnce;
    }
    match &mark.follows {
        None if own.has_ledger_of(last) => May::AtOnce,
        None => May::Not(format!("it has no copy of the ledger of {host} yet")),
        Some(of) if *of != Tenure::from(last) => May::Not(format!(
            "its copy is of an earlier time than {} on {host}",
            last.since
        )),
        Some(_) if mark.state < last.barrier => May::Not(format!(
            "its copy is older than what the worker on {host} has completed with it"
        )),
        Some(_) if own.differs_from(last) => May::Not(format!(
            "the worker on {host}, which led last, had another configuration: give this standby the same one and start it again"
        )),
        Some(_) => May::Follow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(copy: &str, since: &str, barrier: u64) -> Holder {
        Holder {
            process: 0,
            processes: 1,
            shard: None,
            brands: Vec::new(),
            ledger: "l".to_owned(),
            copy: copy.to_owned(),
            barrier,
            address: String::new(),
            manifest: 0,
            commits: 0,
            host: "a".to_owned(),
            version: "1".to_owned(),
            build: String::new(),
            settings: String::new(),
            since: since.to_owned(),
            released: false,
        }
    }

    fn mark(follows: Option<(&str, &str)>, state: u64) -> Mark {
        Mark {
            copy: "mine".to_owned(),
            follows: follows.map(|(copy, since)| Tenure {
                copy: copy.to_owned(),
                since: since.to_owned(),
            }),
            state,
            complete: true,
        }
    }

    #[test]
    fn only_the_last_leader_or_its_copy_leads() {
        let own = holder("mine", "1", 0);
        let may = |mark: &Mark, last: Option<&Holder>| may_lead(mark, &own, last);
        assert_eq!(may(&mark(None, 0), None), May::AtOnce);
        assert_eq!(may(&mark(None, 0), Some(&own)), May::AtOnce);
        let other = holder("other", "2", 5);
        // A former leader that returns, and a copy of another time.
        assert!(matches!(may(&mark(None, 0), Some(&other)), May::Not(_)));
        let older = mark(Some(("other", "1")), 9);
        assert!(matches!(may(&older, Some(&other)), May::Not(_)));
        // Older than the barrier, and not.
        assert!(matches!(
            may(&mark(Some(("other", "2")), 4), Some(&other)),
            May::Not(_)
        ));
        assert_eq!(
            may(&mark(Some(("other", "2")), 5), Some(&other)),
            May::Follow
        );
        // Of another configuration, unless another build may say it in another way.
        let named = |settings: &str, build: &str| Holder {
            settings: settings.to_owned(),
            build: build.to_owned(),
            ..holder("other", "2", 5)
        };
        let mine = Holder {
            settings: "s".to_owned(),
            ..own.clone()
        };
        let follows = mark(Some(("other", "2")), 5);
        for (last, expected) in [
            (named("s", ""), true),
            (named("t", ""), false),
            (named("t", "b"), true),
        ] {
            let may = may_lead(&follows, &mine, Some(&last));
            assert_eq!(may == May::Follow, expected, "{may:?}");
        }
        let torn = Mark {
            complete: false,
            ..mark(Some(("other", "2")), 5)
        };
        assert!(matches!(may(&torn, Some(&other)), May::Not(_)));
        // It ended between the lease and its mark.
        assert_eq!(may(&mark(Some(("other", "2")), 5), Some(&own)), May::AtOnce);
        // The lease was lost at the broker.
        assert_eq!(may(&mark(Some(("other", "2")), 5), None), May::Follow);
    }

    #[test]
    fn the_same_ledger_led_without_a_standby_before() {
        let own = holder("mine", "2", 0);
        let before = holder("", "1", 0);
        assert_eq!(may_lead(&mark(None, 0), &own, Some(&before)), May::AtOnce);
        let another = Holder {
            ledger: "m".to_owned(),
            ..before
        };
        assert!(matches!(
            may_lead(&mark(None, 0), &own, Some(&another)),
            May::Not(_)
        ));
    }
}
