//! `tributary`: the binary. It parses the command line, starts the log and
//! hands over.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use tributary::cli::Cli;
use tributary_connectors::terminal;
use zeroizing_alloc::ZeroAlloc;

/// Records come and go by the million; mimalloc takes a sixth less time for them
/// than the system's allocator. Memory is overwritten when it is freed, because
/// clear text passes through buffers of many libraries, and none of it may be left
/// of a person who was erased.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (level, may_leave) = (cli.command.log_level(), cli.command.may_export());
    tributary::cli::log::start(cli.log_format, level, may_leave);
    tributary::cli::process_memory::protect();
    match tributary::cli::execute(&cli) {
        Ok(code) => code,
        // The reader of the output has closed it, as `head` does: that is no failure.
        Err(error) if terminal::is_closed(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::note(format_args!(
                "tributary: {}",
                terminal::error_chain(error.as_ref())
            ));
            ExitCode::FAILURE
        }
    }
}
