//! What the commands do: load the configuration, start, wait for a signal, stop.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{boot_success_line, config_loaded_line, exit, files, print_config_items};
use crate::clock::SystemClock;
use crate::config::{self, Environment, Loaded, Settings, Severity};
use crate::server::NameServer;
use crate::telemetry;

/// A signal that comes again so soon is the same one.
const REPEATED_WITHIN: Duration = Duration::from_secs(1);

/// `-p`: prints every configuration item.
///
/// # Errors
/// When the configuration cannot be read, or standard output not written.
pub fn print_config(path: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(path, &Environment::of_process())?;
    std::io::stdout().write_all(print_config_items(&loaded).as_bytes())?;
    Ok(())
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the server cannot start; nothing was served then.
pub fn serve(path: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(path, &Environment::of_process())?;
    telemetry::start(&loaded.config.log)?;
    log_notices(&loaded);
    if let Some(warning) = files::make_room_for(loaded.config.net.connections_max) {
        tracing::warn!("{warning}");
    }
    if let Some(path) = path {
        say(&config_loaded_line(path));
    }
    let settings = Settings::new(&loaded);
    let (serialize_type, address) = (loaded.config.net.serialize_type, loaded.config.net.bind_address.clone());
    let server = NameServer::bind(loaded.config, settings, Arc::new(SystemClock::default()))?;
    if let Some(path) = path {
        server.follow_configuration(path, Environment::of_process());
    }
    // Until here a signal ends the process at once, which loses nothing: nobody was answered yet.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("no runtime: {error}"))?;
    let mut signals = runtime
        .block_on(async { Signals::new() })
        .map_err(|error| anyhow::anyhow!("signals cannot be awaited: {error}"))?;
    let running = server.serve().map_err(|error| anyhow::anyhow!("cannot serve: {error}"))?;
    say(&boot_success_line(serialize_type, &address, running.local_addr().port()));
    runtime.block_on(async {
        let name = signals.next().await;
        tracing::info!("{name}: stopping");
        if let Some(wait) = running.send_away() {
            tracing::info!("clients are sent away for {} s; another {name} ends that", wait.as_secs());
            signals.next_within(wait).await;
        }
        tokio::select! {
            stopped = tokio::task::spawn_blocking(|| running.stop()) => {
                stopped.map_err(|error| anyhow::anyhow!("the server did not stop cleanly: {error}"))
            }
            // Supervisors may send SIGTERM twice, to the process and to its group; `net.stop-timeout` bounds the stop.
            _ = signals.interrupt.recv() => {
                tracing::warn!("SIGINT: giving up what was being finished");
                std::process::exit(exit::INTERRUPTED.into())
            }
        }
    })?;
    tracing::info!("stopped");
    Ok(())
}

fn log_notices(loaded: &Loaded) {
    for notice in &loaded.notices {
        match notice.severity {
            Severity::Info => tracing::info!("{notice}"),
            _ => tracing::warn!("{notice}"),
        }
    }
}

/// Scripts wait for these lines, so each leaves at once. A closed standard output is no reason not to serve.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The signals that end the server.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// Nobody waits for it: that it is caught makes a file at its size limit a write that fails, as in a JVM, and not
    /// the end of the process.
    _file_size: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits this long, or until another signal comes.
    async fn next_within(&mut self, wait: Duration) {
        let began = Instant::now();
        let mut over = std::pin::pin!(tokio::time::sleep(wait));
        loop {
            tokio::select! {
                () = &mut over => return,
                name = self.next() => {
                    // Supervisors may send a signal twice, to the process and to its group.
                    if began.elapsed() >= REPEATED_WITHIN {
                        return tracing::info!("{name}: no longer");
                    }
                }
            }
        }
    }

    /// The name of the next that comes.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
