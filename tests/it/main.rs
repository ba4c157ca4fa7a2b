//! The one integration binary.

mod access;
mod alerts;
mod architecture;
mod caching;
mod callbacks;
mod commands;
mod contract;
mod counts;
mod faults;
mod grafana;
mod harness;
mod imports;
mod insights;
mod maps;
mod metrics;
mod openapi;
mod postgres;
mod postgres_clients;
mod rebuild;
mod receiver;
mod replay;
mod restart;
mod soak;
mod sql;
mod stream;
mod vendor_examples;
