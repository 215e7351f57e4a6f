//! Logs, through `tracing`, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts to log as configured; `RUST_LOG` wins over the configured filter. A second call in one process does nothing.
///
/// # Errors
/// When the configured filter is none.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let configured = EnvFilter::try_new(&config.filter)
        .map_err(|error| anyhow::anyhow!("`log.filter` is {:?}, which is no filter: {error}", config.filter))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or(configured);
    // Colours are for people, not for files.
    let colours = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _ = match config.format {
        LogFormat::Full => builder.try_init(),
        LogFormat::Compact => builder.compact().with_target(false).try_init(),
    };
    Ok(())
}
