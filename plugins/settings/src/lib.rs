//! `settings` shows the server's settings (319) and changes them (318), as Java property text.
//!
//! Which settings can change at run time, and to what, is decided by the server; this plugin knows the text and the black
//! list. Java: `DefaultRequestProcessor.updateConfig`, `getConfig`.

use fingerpost_sdk::{Outcome, Processor, Refusal, body, code, export_processor, reply, request, settings};

mod properties;

/// Never changed by request, whatever the operator's black list says. Java: `DefaultRequestProcessor.initConfigBlackList`.
const BLACK_LIST: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

struct Settings;

impl Processor for Settings {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        match code {
            318 => update()?,
            319 => show(),
            _ => return Err(Refusal::not_supported(code)),
        }
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

fn update() -> Outcome {
    if request::body_size() == 0 {
        return Ok(());
    }
    // Java: `MixAll.string2Properties`.
    let entries = properties::parse(&request::body()).map_err(|_| Refusal::error("string2Properties error"))?;
    let more = settings::get("configBlackList").unwrap_or_default();
    // One such key spoils the request: nothing of it is applied.
    if entries.iter().any(|(key, _)| is_blocked(key, &more)) {
        return Err(Refusal::new(code::NO_PERMISSION, "Can not update config in black list."));
    }
    settings::update(&entries)?;
    Ok(())
}

/// Whether a key is on the fixed list or on the operator's, whose entries stand between semicolons and are taken literally.
fn is_blocked(key: &str, more: &str) -> bool {
    BLACK_LIST.contains(&key) || more.split(';').any(|blocked| blocked == key)
}

/// Java: `Configuration.getAllConfigsFormatString`. Nothing is escaped; clients of this request do not expect it.
fn show() {
    let mut text = String::new();
    for (key, value) in settings::entries() {
        text.extend([&key, "=", &value, "\n"]);
        if text.len() >= body::PIECE {
            reply::append_body(text.as_bytes());
            text.clear();
        }
    }
    reply::append_body(text.as_bytes());
}

export_processor!(Settings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_black_list_is_the_fixed_one_and_the_operators() {
        assert!(is_blocked("kvConfigPath", ""));
        assert!(is_blocked("rocketmqHome", "listenPort"));
        assert!(is_blocked("listenPort", "configBlackList;listenPort"));
        assert!(!is_blocked("listenPort", "configBlackList; listenPort"));
        assert!(!is_blocked("listenport", "listenPort"));
        assert!(!is_blocked("waitSecondsForService", "configBlackList;configStorePath"));
    }
}
