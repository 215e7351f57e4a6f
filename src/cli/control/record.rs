//! `plugin replay --record FILE`: what a running server is asked, as a file that can be replayed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use humantime_serde::re::humantime::parse_duration;
use serde_json::json;

use super::socket_of;
use crate::atomic;
use crate::cli::exit;
use crate::cli::plugin::{print, progress};
use crate::cli::words::{Given, Opt, switch, value};
use crate::config::ByteSize;
use crate::control::{self, Recorded};
use crate::recording::{Limits, Progress};

/// What it takes beside how the server is found.
pub(in crate::cli) const FOR: Opt = value("for", "TIME", "how long it records, 60s if nothing is said; Ctrl-C ends it");
pub(in crate::cli) const MAX_SIZE: Opt = value("max-size", "SIZE", "the largest record, 8MiB if nothing is said");
pub(in crate::cli) const FORCE: Opt = switch("force", "overwrite the file of the record, if it is there");

const TIME: Duration = Duration::from_secs(60);
const SIZE: ByteSize = ByteSize::mib(8);

/// Records into this file.
pub(in crate::cli) fn record(file: &Path, given: &Given) -> anyhow::Result<u8> {
    let limits = limits(given)?;
    if file.exists() && !given.has(FORCE.name) {
        anyhow::bail!("{}: it is there already; --force overwrites it", file.display());
    }
    anyhow::ensure!(atomic::directory(file).is_dir(), "{}: there is no such directory", file.display());
    let place = |name| given.value(name).map(PathBuf::from);
    let socket = socket_of(place("config").as_deref(), place("socket").as_deref())?;
    let mut show = |so_far: &Progress| progress(&format!("{} requests, {} bytes", so_far.requests, so_far.bytes));
    let recorded = control::record(&socket, limits, &mut show);
    progress("");
    match recorded? {
        Ok(recorded) if recorded.progress.requests == 0 => refused(given, &nothing(&recorded.progress)),
        Ok(recorded) => {
            atomic::replace(file, &[recorded.text.as_bytes()], atomic::PRIVATE)
                .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
            print(&told(file, &recorded, given.has("json")));
            Ok(exit::OK)
        }
        Err(why) => refused(given, &why),
    }
}

fn limits(given: &Given) -> Result<Limits, lexopt::Error> {
    let time = match given.text(FOR.name) {
        Some(text) => parse_duration(&text).map_err(|error| format!("--for is a time such as 60s or 5m: {error}"))?,
        None => TIME,
    };
    let size = match given.text(MAX_SIZE.name) {
        Some(text) => text.parse().map_err(|error| format!("--max-size: {error}"))?,
        None => SIZE,
    };
    Ok(Limits { time, size })
}

fn refused(given: &Given, why: &str) -> anyhow::Result<u8> {
    if given.has("json") {
        print(&json!({ "error": why }).to_string());
    } else {
        eprintln!("fingerpost: {why}");
    }
    Ok(exit::NO)
}

fn nothing(progress: &Progress) -> String {
    let left_out = left_out(progress).map(|line| format!("; {line}")).collect::<String>();
    format!("nothing was asked that could be kept, so there is no file{left_out}")
}

fn told(file: &Path, recorded: &Recorded, as_json: bool) -> String {
    let progress = &recorded.progress;
    if as_json {
        let mut answer = json!(progress);
        answer["file"] = file.display().to_string().into();
        answer["bytes"] = recorded.text.len().into();
        return answer.to_string();
    }
    let lines = [format!("{} requests, {} bytes, in {}", progress.requests, recorded.text.len(), file.display())];
    let next = format!("next: fingerpost plugin replay {} --against FILE.wasm", file.display());
    lines.into_iter().chain(left_out(progress)).chain([next]).collect::<Vec<_>>().join("\n")
}

/// What is not in the record, and why.
fn left_out(progress: &Progress) -> impl Iterator<Item = String> {
    let Progress { is_full, unclear, kv_left_out, .. } = progress;
    let full = "left out: a request for which the record had no room (--max-size), and all after that".to_owned();
    let unclear_told =
        format!("left out: {unclear} requests that are none, or that may hold a signature in their text");
    let kv = format!("left out: {kv_left_out} entries of the KV store that may hold a signature");
    let lines = [(*is_full, full), (*unclear > 0, unclear_told), (*kv_left_out > 0, kv)];
    lines.into_iter().filter_map(|(is_so, line)| is_so.then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_with_the_reason_and_then_what_to_do_next() {
        let progress = Progress { requests: 7, is_full: true, unclear: 1, kv_left_out: 3, ..Progress::default() };
        let recorded = Recorded { progress, text: "text".to_owned() };

        assert_eq!(
            told(Path::new("a.toml"), &recorded, false),
            "7 requests, 4 bytes, in a.toml\n\
             left out: a request for which the record had no room (--max-size), and all after that\n\
             left out: 1 requests that are none, or that may hold a signature in their text\n\
             left out: 3 entries of the KV store that may hold a signature\n\
             next: fingerpost plugin replay a.toml --against FILE.wasm"
        );
        assert_eq!(left_out(&Progress::default()).count(), 0);
    }
}
