//! A cell as a line of JSON, from an answer or from the output of a replay.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Deserialize;
use serde_json::Value;

use tributary_operators::cell::Family;

/// A parsed cell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CellLine {
    /// Name of its family.
    #[serde(rename = "family")]
    pub name: String,
    /// Dimensions by name.
    pub cell: BTreeMap<String, Value>,
    /// Values by name; `None` where the cell has no value, which is not 0.
    pub value: BTreeMap<String, Option<i128>>,
}

impl CellLine {
    /// Parses a line.
    ///
    /// # Errors
    ///
    /// A line that is not a cell of a known family.
    pub fn read(line: &str) -> anyhow::Result<CellLine> {
        let cell: CellLine = serde_json::from_str(line)?;
        if Family::of(&cell.name).is_none() {
            bail!("unknown family of cells");
        }
        Ok(cell)
    }

    /// A dimension; null if the cell does not have it.
    pub fn dim(&self, name: &str) -> &Value {
        self.cell.get(name).unwrap_or(&Value::Null)
    }
}
