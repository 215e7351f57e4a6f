//! A panic's last words.

use std::sync::Once;

use crate::log;

/// Sends the message of every panic to the server's log before the panic ends the call; there is no standard error
/// here. Installed at the first request and not by `describe`, where every interface traps.
pub fn report_panics() {
    static INSTALLED: Once = Once::new();

    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    });
}
