//! `loadtest verify`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use tributary_connectors::inputs;
use tributary_connectors::output_files::{Contents, OutputFiles};
use tributary_connectors::terminal;
use tributary_loadtest::verify;

/// Compare the cells of a replay with the batch oracle.
///
/// The oracle computes every cell from scratch from the same traces; the output must be identical,
/// byte for byte. The exit status is 0 if it is, 1 if it is not, and 2 if the comparison failed.
///
///   tributary replay --config t.toml t.ndjson.zst --cells cells.ndjson
///   loadtest verify --config t.toml --cells cells.ndjson t.ndjson.zst
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Verify {
    /// Traces, or CSV files of the configuration's sources as SOURCE=PATH or BRAND/SOURCE=PATH, in
    /// the replay's order
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<String>,
    /// The configuration of the replay
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The cells written by a replay
    #[arg(long, value_name = "OUT", required_unless_present = "write")]
    cells: Option<PathBuf>,
    /// Write the oracle's cells
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Overwrite the file of --write even if it does not contain cells
    #[arg(long)]
    force: bool,
}

impl Verify {
    /// Compares the cells of a replay with the oracle, or writes those of the oracle. Returns
    /// whether they are equal.
    ///
    /// # Errors
    ///
    /// A brand with noise, or a file that cannot be read or written.
    pub fn run(self) -> anyhow::Result<bool> {
        let config = super::configuration::configuration(&self.config)?;
        let mut brands = config.brands.iter();
        if let Some(brand) = brands.find(|of| of.noise.epsilon_thousandths.is_some()) {
            bail!(
                "brand {:?} has noise.epsilon, and the oracle has no noise: leave [brand.noise] out of the \
                 configuration, for the replay and for this",
                brand.name
            );
        }
        let mut read = inputs::files(Some(&config), &self.traces)?;
        read.push(self.config.clone());
        read.extend(self.cells.clone());
        let mut outputs = OutputFiles::new(read, self.force);
        let write = match &self.write {
            Some(path) => Some(outputs.file(path, Contents::Cells)?),
            None => None,
        };
        let output = match &self.cells {
            None => None,
            Some(path) => Some(
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
        };
        let mut inputs = inputs::open(Some(&config), &self.traces)?;
        let expected = verify::expected(&config, &mut inputs)?;
        terminal::print_status_line(&expected)?;
        if let Some(file) = &write {
            file.write(|out| -> anyhow::Result<()> {
                for line in &expected.lines {
                    writeln!(out, "{line}")
                        .with_context(|| format!("cannot write {}", file.path().display()))?;
                }
                Ok(())
            })?;
        }
        match output {
            Some(output) => {
                let comparison = verify::compare(&expected.lines, &output);
                terminal::print_status_line(&comparison)?;
                Ok(comparison.same())
            }
            None if self.write.is_some() => {
                terminal::print_status_line(format_args!("{} cells", expected.lines.len()))?;
                Ok(true)
            }
            None => bail!("specify --cells or --write"),
        }
    }
}
