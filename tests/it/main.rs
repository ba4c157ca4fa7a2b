//! The one integration binary.

mod architecture;
mod commands;
mod faults;
mod harness;
mod imports;
mod maps;
mod metrics;
mod openapi;
mod rebuild;
mod receiver;
mod replay;
mod restart;
mod vendor_examples;
