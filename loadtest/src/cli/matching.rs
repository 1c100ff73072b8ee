//! `loadtest matching`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use tributary_connectors::terminal;
use tributary_loadtest::matching::{Column, markdown, probes, simulated};

/// Judge how well sightings of partners are matched with visits, where the truth is known.
///
/// Simulates stores of several sizes whose visitors carry phones that partners see, matches them by cookies of 0 to 10 bits, and
/// prints two shares for each: of the sightings of a real visit, those with this visit among their candidates; and of
/// all weight, that of visits of other devices. With files of the data set wifi_probe_brno, sightings are simulated on its
/// visits instead, a column per file.
///
///   loadtest matching
///   loadtest matching --persons 500,5000
///   loadtest matching data/wifi_probe_brno/probes_*.csv.gz
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Matching {
    /// The number of people around each simulated store
    #[arg(long, value_delimiter = ',', default_values_t = [200, 800, 3_200, 12_800])]
    persons: Vec<u32>,
    /// Files of probe requests, a column each
    files: Vec<PathBuf>,
}

impl Matching {
    /// Prints the table.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or an output that is closed.
    pub fn run(self) -> anyhow::Result<()> {
        let mut columns = Vec::new();
        for path in &self.files {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name
                .and_then(|name| name.split('.').next())
                .unwrap_or("file");
            columns.push(Column {
                name: format!("{name}: "),
                days: vec![probes(path)?],
            });
        }
        if self.files.is_empty() {
            for persons in self.persons {
                columns.push(Column {
                    name: String::new(),
                    days: simulated(persons)?,
                });
            }
        }
        let mut out = terminal::stdout();
        out.write_all(markdown(&columns).as_bytes())?;
        out.flush()?;
        Ok(())
    }
}
