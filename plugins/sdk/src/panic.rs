//! A panic's last words.

use std::panic::PanicHookInfo;
use std::sync::Once;

use crate::json::decimal;
use crate::log;

/// Sends the message of every panic to the server's log before the panic ends the call; there is no standard error
/// here. Installed at the first request and not by `describe`, where every interface traps.
pub fn report_panics() {
    static INSTALLED: Once = Once::new();

    INSTALLED.call_once(|| std::panic::set_hook(Box::new(report)));
}

fn report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let line = match panic.location() {
        Some(place) => ["panic at ", place.file(), ":", &decimal(place.line().into()), ": ", message].concat(),
        None => ["panic: ", message].concat(),
    };
    log::write(log::Level::Error, &line);
}
