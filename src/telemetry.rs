//! Logs, through `tracing`, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts to log as configured; `RUST_LOG` wins over the configured filter. A second call in one process does nothing.
pub(crate) fn start(config: &LogConfig) {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(&config.filter)).unwrap_or_default();
    // Colours are for people, not for files.
    let colours = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _ = match config.format {
        LogFormat::Full => builder.try_init(),
        LogFormat::Compact => builder.compact().with_target(false).try_init(),
    };
}
