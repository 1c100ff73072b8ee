//! The oracle against small examples whose answers are known, a module per topic.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod adjustments;
mod contacts_and_spend;
mod corners_of_consent;
mod corrections;
mod hub_guard;
mod ladder;
mod link_and_join;
mod links_end;
mod markov_month;
mod one_journey;
mod orders_of_one_name;
mod path_statistics;
mod published_packages;
mod random_histories;
mod refunds;
mod release;
mod restriction;
mod size_guard;
mod support;
mod visits;
mod withdrawn_consent;
