//! The nouns everything shares: no IO, no async, nothing of any vendor's payload.

pub mod alert;
pub mod calendar;
pub mod event;
pub mod floorplan;
pub mod grouping;
pub mod ids;
pub mod metrics;
pub mod movement;
pub mod position;
pub mod schedule;
pub mod settings;
pub mod time;
pub mod topic;
pub mod visit;
