//! `tributary serve`: the page, `/metrics` and `/v1` over the output stream alone,
//! without a dataflow and without a ledger, in any number of replicas.
//!
//! It shows what workers have released, for the brands of its configuration, and
//! changes nothing. Operational metrics of the dataflow are those of workers.

use anyhow::Context;
use tokio::sync::watch;
use tributary_config::model::Config;

use crate::broker::connect::connect;
use crate::broker::retry::wait_until;
use crate::cli::args as cli;
use crate::cli::reload::{self, Triggers};
use crate::cli::signals;
use crate::live_config::LiveConfig;
use crate::otlp::export::Export;
use crate::otlp::spans::Traces;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use crate::serve::access::refuse_unprotected;
use crate::serve::follow::follow;
use crate::serve::gauges::business;
use crate::serve::http;
use crate::serve::state::HttpState;

/// Executes the command.
///
/// # Errors
///
/// A configuration that is not valid, an address that cannot be used, or a broker
/// that refuses.
pub fn command(args: &cli::Serve) -> anyhow::Result<()> {
    let (runtime, triggers) = signals::runtime(&args.config)?;
    let config = configure(args)?;
    let export = Export::start(&config)?;
    let outcome = runtime.block_on(run(&config, args, triggers, export.traces()));
    export.finish(&outcome);
    outcome
}

/// The configuration with the options of the command line.
///
/// # Errors
///
/// A file that cannot be read or is not valid, or an address that others reach
/// without tokens.
fn configure(args: &cli::Serve) -> anyhow::Result<Config> {
    let mut config = crate::load(&args.config)?;
    if let Some(listen) = args.listen {
        config.http.listen = listen;
    }
    // It reads along; requests go to workers, and each replica is whole.
    config.http.opendsr_domain = None;
    config.workers.process = 0;
    config.workers.hosts.clear();
    refuse_unprotected(&config)?;
    Ok(config)
}

/// Serves until a signal.
///
/// # Errors
///
/// Those of [`command`].
async fn run(
    config: &Config,
    args: &cli::Serve,
    triggers: Triggers,
    traces: Traces,
) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let (sender, live) = LiveConfig::new(config);
    let listener = tokio::net::TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {} (http.listen)", config.http.listen))?;
    tracing::info!(address = %listener.local_addr()?, "serving released cells");
    let telemetry = Telemetry::of_readers(config).tracing(traces);
    let cells = SharedCells::default();
    let state = HttpState::new(config, &telemetry, &cells).following(&live);
    let read = {
        let args = args.clone();
        move || configure(&args)
    };
    let metrics = telemetry.metrics.clone();
    tokio::spawn(reload::at_each(
        triggers,
        std::sync::Arc::new(sender),
        metrics,
        read,
        None,
    ));
    let register = state.rights.clone();
    let (served, end_serving) = watch::channel(false);
    let server = tokio::spawn(http::serve(listener, state, wait_until(end_serving)));
    let followed = tokio::select! {
        followed = async {
            let client = connect(&config.nats, &telemetry.health).await?;
            telemetry.health.set_restoring(None);
            register.open(client.clone());
            follow(&client, config, &cells, &telemetry.health, true, stop.clone()).await;
            Ok(())
        } => followed,
        () = business(config, &telemetry, &cells) => Ok(()),
        () = wait_until(stop.clone()) => Ok(()),
    };
    let _ = served.send(true);
    let _ = server.await;
    followed
}
