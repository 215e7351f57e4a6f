//! Logs, through `tracing`, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::config::{LogConfig, LogFormat};

/// Starts to log as configured; `RUST_LOG` wins over the configured filter. A second call in one process does nothing.
///
/// # Errors
/// When the configured filter is none.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let configured: Targets = config
        .filter
        .parse()
        .map_err(|error| anyhow::anyhow!("`log.filter` is {:?}, which is no filter: {error}", config.filter))?;
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let filter = wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(configured);
    // Colours are for people, not for files.
    let colours = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    let _ = match config.format {
        LogFormat::Full => registry().with(lines).with(filter).try_init(),
        LogFormat::Compact => registry().with(lines.compact().with_target(false)).with(filter).try_init(),
    };
    Ok(())
}
