//! `footfall check`: does a stopped server's file hold what it promises?
//!
//! Counts what must be nought, then derives the computed visits anew from the stored fixes and compares them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::rebuild::recount::{self, Recount};
use crate::store::{Store, StoreOptions, audit};

/// Prints each promise and whether it holds; the exit code is 0 only when all do.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    if !path.is_file() {
        bail!("there is no file {}", path.display());
    }
    let options = StoreOptions { path: path.to_owned(), memory_limit: None, threads: None };
    let store = Store::open(&options).context("open the store")?;
    let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} {msg}")?;
    let progress = ProgressBar::new(audit::PROMISES.len() as u64 + 1).with_style(style);
    let mut broken = 0;
    for promise in &audit::PROMISES {
        progress.set_message(promise.says);
        let violations = store.read(|conn| audit::violations(conn, promise))?;
        progress.suspend(|| verdict(promise.says, violations, &mut broken));
        progress.inc(1);
    }
    progress.set_message("visits follow from the fixes");
    let Recount { areas, skipped_areas, visits, differences, examples } = recount::recount(&store)?;
    progress.finish_and_clear();
    verdict("computed visits are what the stored fixes give", differences, &mut broken);
    for example in examples {
        println!("        {example}");
    }
    println!("        compared {visits} visits of {areas} areas");
    if skipped_areas > 0 {
        println!(
            "        not compared: {skipped_areas} areas whose geometry or rules changed while fixes were coming in"
        );
    }
    match broken {
        0 => {
            println!("{}: every promise holds", path.display());
            Ok(ExitCode::SUCCESS)
        }
        n => {
            println!("{}: {n} promise(s) broken", path.display());
            Ok(ExitCode::FAILURE)
        }
    }
}

fn verdict(says: &str, violations: u64, broken: &mut u32) {
    match violations {
        0 => println!("holds   {says}"),
        n => {
            *broken += 1;
            println!("BROKEN  {says}: {n} times not");
        }
    }
}
