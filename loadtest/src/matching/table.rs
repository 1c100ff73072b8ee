//! The table of the judgement, in Markdown.

use super::judge::{Judged, StoreDay};

/// The numbers of bits of the rows.
pub const BITS: [u32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// A column: a store, or a room, over some days.
pub struct Column {
    /// Its name; the number of its devices a day follows.
    pub name: String,
    /// Its days.
    pub days: Vec<StoreDay>,
}

/// The rows by number of bits: how many sightings of a real visit have it among their candidates, and how much of the weight went
/// to visits of other devices, percent with one decimal.
pub fn markdown(columns: &[Column]) -> String {
    let judged = |column: &Column, bits: u32| {
        let days = column.days.iter().map(|day| day.judge(bits));
        days.fold(Judged::default(), Judged::plus)
    };
    let mut head = "| `cookie_bits` |".to_owned();
    let mut rule = "|--:|".to_owned();
    for column in columns {
        let of = judged(column, 0);
        let devices = of.devices / (column.days.len() as u64).max(1);
        head += &format!(" {}{devices} devices |", column.name);
        rule += "--:|";
    }
    let mut lines = vec![head, rule];
    for bits in BITS {
        let mut line = format!("| {bits} |");
        for column in columns {
            let of = judged(column, bits);
            let (found, wrong) = (percent(of.found, of.real), percent(of.wrong, of.weight));
            line += &format!(" {found} / {wrong} |");
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// A share as percent with one decimal, rounded down.
fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        _ => {
            let tenths = part * 1_000 / whole;
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
    }
}
