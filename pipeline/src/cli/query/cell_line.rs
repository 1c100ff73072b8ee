//! A cell as a line of JSON: of an answer, or of a replay's output.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Deserialize;
use serde_json::Value;

use tributary_operators::cell::Family;

/// A cell as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CellLine {
    /// The name of its family.
    #[serde(rename = "family")]
    pub name: String,
    /// Its dimensions, by name.
    pub cell: BTreeMap<String, Value>,
    /// Its values, by name.
    pub value: BTreeMap<String, i128>,
}

impl CellLine {
    /// Reads a line of an answer, or of a replay's output.
    ///
    /// # Errors
    /// Where it is no cell of a family known here.
    pub fn read(line: &str) -> anyhow::Result<CellLine> {
        let cell: CellLine = serde_json::from_str(line)?;
        if Family::of(&cell.name).is_none() {
            bail!("unknown family of cells");
        }
        Ok(cell)
    }

    /// A dimension; null where the cell has none of this name.
    pub fn dim(&self, name: &str) -> &Value {
        self.cell.get(name).unwrap_or(&Value::Null)
    }
}
