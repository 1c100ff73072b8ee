//! The progress bar of commands that read whole ledgers.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes, which goes away with the value.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar after a word about what is done.
    ///
    /// # Errors
    ///
    /// None in practice: the template is fixed.
    pub(super) fn new(what: &str) -> anyhow::Result<Bar> {
        let template = format!("{what} {{bar:30}} {{bytes}}/{{total_bytes}} {{eta}} left");
        let style = ProgressStyle::with_template(&template).context("the progress bar")?;
        let bar = ProgressBar::new(0);
        bar.set_style(style);
        Ok(Bar(bar))
    }

    /// Shows how many of all bytes are done.
    pub(super) fn at(&self, read: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(read);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
