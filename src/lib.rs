//! Location analytics for Juniper Mist networks: occupancy, dwell time and alerts from location webhooks, in one DuckDB
//! file.
//!
//! ```text
//! webhook ──> receiver ──> model events ──> pipeline ──┬──> engine (pure)
//!             (HTTP in)    (plain types)    (one thread)└──> store ──┬───> query API, SQL (HTTP, PostgreSQL wire)
//!                                                                    └───> callbacks (HTTP out)
//! ```
//!
//! Data goes one way, and no stage calls back up the stream. What holds everywhere:
//!
//! - A delivery answered with 200 is committed. One that is not committed is not kept.
//! - The engine is a function of its inputs: no I/O, no wall clock, no randomness.
//! - A client's visits depend on its own events in order of time, not on what came between them or when clocks ticked.
//! - Positions are millimetres and instants milliseconds from the receiver on; what the engine saw is what is stored.
//!
//! Read in this order: [`model`], [`engine`], [`receiver`], [`pipeline`], [`store`], [`callbacks`],
//! [`rebuild`], [`api`], [`postgres`], [`app`].

pub mod model;

pub mod engine;
pub mod floorplan;
pub mod receiver;

pub mod callbacks;
pub mod pipeline;
pub mod rebuild;
pub mod store;

pub mod access;
pub mod api;
pub mod give_up;
pub mod postgres;
pub mod privacy;
pub mod problem;

pub mod app;
pub mod background;
pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod newest;
pub mod recent;
pub mod replay;
pub mod retention;
pub mod serve;
pub mod telemetry;
pub mod tls;
