//! Runs the textbook dataflow over a trace, with the decoder of the product: its peer in `make bench`.
//!
//! ```text
//! cargo bench --bench textbook -- --config CONFIG TRACE [--batch N] [--workers N] [--cells OUT]
//! ```
//!
//! The batches, the division of messages among workers and the allocator are those of `tributary replay`, so that both do
//! the same around the dataflow. `--decode-only` stops behind the decoder. The cells are written as `tributary replay`
//! writes them, for the families that the textbook version computes.

#![allow(clippy::expect_used, reason = "a benchmark may fail, and says why")]

mod dataflow;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use run::{Options, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Some((options, cells)) = options(std::env::args().skip(1)) else {
        eprintln!(
            "usage: textbook --config CONFIG TRACE [--batch N] [--workers N] [--cells OUT] [--decode-only]"
        );
        return ExitCode::FAILURE;
    };
    let lines = run(&options);
    let Some(cells) = cells else {
        println!("{} cells", lines.len());
        return ExitCode::SUCCESS;
    };
    match std::fs::write(&cells, lines.concat()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", cells.display());
            ExitCode::FAILURE
        }
    }
}

/// The options and the output file of a command line; none if they are incomplete.
fn options(mut args: impl Iterator<Item = String>) -> Option<(Options, Option<PathBuf>)> {
    let (mut config, mut trace, mut cells) = (None, None, None);
    let (mut batch, mut workers, mut decode_only) = (10_000, 1, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo passes it to every benchmark.
            "--bench" => {}
            "--config" => config = Some(PathBuf::from(args.next()?)),
            "--batch" => batch = args.next()?.parse().ok()?,
            "--workers" => workers = args.next()?.parse().ok()?,
            "--cells" => cells = Some(PathBuf::from(args.next()?)),
            "--decode-only" => decode_only = true,
            _ => trace = Some(arg),
        }
    }
    let options = Options {
        config: config?,
        trace: trace?,
        batch,
        workers,
        decode_only,
    };
    Some((options, cells))
}
