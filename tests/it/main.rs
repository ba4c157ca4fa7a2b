//! The one integration binary.

mod alerts;
mod architecture;
mod caching;
mod callbacks;
mod commands;
mod contract;
mod faults;
mod harness;
mod imports;
mod insights;
mod maps;
mod metrics;
mod openapi;
mod rebuild;
mod receiver;
mod replay;
mod restart;
mod sql;
mod stream;
mod vendor_examples;
