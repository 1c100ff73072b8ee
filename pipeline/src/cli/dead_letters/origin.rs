//! Where dead letters come from: their stream, or a file.

use std::time::Duration;

use anyhow::{Context, bail};
use tributary_config::model::Config;
use tributary_connectors::dead_letter::Reason;
use tributary_connectors::nats::{Client, Reader, connect, subject};
use tributary_connectors::trace;

use super::letter::Letter;
use crate::cli::args as cli;

/// How many messages are read at once.
const BATCH: usize = 1000;

/// How long reading goes on without any message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where letters come from, with what is open.
pub(super) struct Origin {
    /// The configuration, if one is given.
    pub(super) config: Option<Config>,
    /// The broker, if letters are read from it.
    pub(super) client: Option<Client>,
}

impl Origin {
    /// Opens the configuration, and the broker unless the letters are in a file.
    ///
    /// # Errors
    ///
    /// A configuration that is not valid, a broker that cannot be reached.
    pub(super) async fn open(args: &cli::DeadLetters) -> anyhow::Result<Origin> {
        let config = match &args.config {
            Some(file) => Some(crate::load(file)?),
            None => None,
        };
        let client = match (&config, &args.file) {
            (Some(config), None) => Some(connect(&config.nats, "tributary dead-letters").await?),
            _ => None,
        };
        Ok(Origin { config, client })
    }

    /// Reads the letters that the filters let through, in order.
    ///
    /// # Errors
    ///
    /// A stream or a file that cannot be read, and an unknown reason.
    pub(super) async fn letters(
        &self,
        args: &cli::DeadLetters,
        mut each: impl FnMut(Letter) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(reason) = &args.reason
            && !Reason::ALL.iter().any(|known| known.name() == reason)
        {
            let known = Reason::ALL.map(Reason::name).join(", ");
            bail!("there is no reason {reason}; the reasons are {known}");
        }
        let is_wanted = |letter: &Letter| {
            let is = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|w| w == own);
            is(&args.brand, &letter.brand)
                && is(&args.kind, &letter.kind)
                && is(&args.reason, &letter.reason)
        };
        if let Some(file) = &args.file {
            let lines = trace::open(file)?;
            for (number, line) in (1..).zip(lines) {
                let letter = Letter::of_line(number, line?);
                if is_wanted(&letter) {
                    each(letter)?;
                }
            }
            return Ok(());
        }
        let (Some(config), Some(client)) = (&self.config, &self.client) else {
            bail!("give --config FILE for the stream, or --file FILE");
        };
        let token = |wanted: &Option<String>| wanted.clone().unwrap_or_else(|| "*".to_owned());
        let filter = subject::dead_letter(Some(&token(&args.brand)), Some(&token(&args.kind)));
        let stream = &config.nats.dead_letter_stream;
        let mut reader = Reader::filtered(client, stream, &filter, 1).await?;
        while !reader.caught_up() {
            let messages = reader.next_batch(BATCH, PATIENCE).await?;
            if messages.is_empty() {
                bail!("the broker stopped delivering the stream {stream}: try again");
            }
            for message in messages {
                let letter = Letter::of_message(message);
                if is_wanted(&letter) {
                    each(letter)?;
                }
            }
        }
        Ok(())
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// None is given.
    pub(super) fn config(&self) -> anyhow::Result<&Config> {
        let config = self.config.as_ref();
        config.context("give --config FILE: letters are sent to its broker")
    }
}
