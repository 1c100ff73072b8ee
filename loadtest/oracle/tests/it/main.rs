//! The oracle against small examples with known results, one module per topic, and against
//! properties of random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod adjustments;
mod click_ids;
mod consent_coverage;
mod contacts_and_spend;
mod corrections;
mod duplicate_orders;
mod hub_guard;
mod ladder;
mod link_and_join;
mod link_lifetime;
mod markov_month;
mod one_journey;
mod path_statistics;
mod published_packages;
mod random_histories;
mod refunds;
mod release;
mod restatements;
mod restriction;
mod size_guard;
mod support;
mod visits;
mod withdrawn_consent;
