//! What the tables and the KV store held when a record began, as a file of cases has it.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use humantime_serde::re::humantime;

use super::unsigned::may_be_signed;
use crate::kv;
use crate::plugin::Core;
use crate::route::{Group, Tables};

/// Longer silences than a year are not told apart.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const ABOUT: &str = "\
# What a running server was asked, without what was signed: neither who signed nor with what is in here. The KV store,
# the brokers and the addresses of those who asked are.
#
#   fingerpost plugin replay THIS --against FILE.wasm
#
# shows what a candidate answers otherwise. What the server's configuration says, and another would not, belongs below
# [config] (see plugins/CASES.md).
";

/// Everything before the first request.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) text: String,
    /// Entries of the KV store that are not told, because they may hold a signature.
    pub(super) kv_left_out: usize,
}

/// Lines, of no more bytes than were said. What does not fit ends the writing of whoever writes.
struct Lines {
    text: String,
    bytes_max: usize,
}

impl Lines {
    fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.text.len())
    }

    fn line(&mut self, line: &str) -> Option<()> {
        (line.len() < self.room()).then(|| self.text.extend([line, "\n"]))
    }
}

impl Moment {
    /// None if it takes more bytes than that.
    pub(super) fn of(core: &Core, bytes_max: usize) -> Option<Self> {
        let mut text = Lines { text: String::new(), bytes_max };
        text.line(ABOUT.trim_end())?;
        let now = UNIX_EPOCH + Duration::from_millis(core.clock.now());
        text.line(&format!("now = \"{}\"", humantime::format_rfc3339_millis(now)))?;
        let kv_left_out = entries(&mut text, &core.kv.snapshot())?;
        brokers(&mut text, &core.routes.tables())?;
        text.line("\n[[case]]\nname = \"recorded\"\n")?;
        Some(Self { text: text.text, kv_left_out })
    }
}

/// Writes the KV store, and says how many entries it left out.
fn entries(text: &mut Lines, table: &kv::Table) -> Option<usize> {
    let mut left_out = 0;
    for (namespace, held) in table.namespaces() {
        text.line(&format!("\n[kv.{}]", quoted(namespace)))?;
        for (key, value) in held.entries() {
            // A copy is made of either.
            if key.len().max(value.len()) > text.room() {
                return None;
            }
            if may_be_signed(key.as_bytes()) || may_be_signed(value.as_bytes()) {
                left_out += 1;
            } else {
                text.line(&format!("{} = {}", quoted(key), quoted(value)))?;
            }
        }
    }
    Some(left_out)
}

fn brokers(text: &mut Lines, tables: &Tables) -> Option<()> {
    let timeouts: HashMap<_, _> =
        tables.live_brokers().map(|live| ((&*live.broker_name, &**live.address()), live.timeout_ms)).collect();
    let mut topics = topics(tables, text.room())?;
    for group in tables.groups() {
        // All of them with the first member: what the others say of topics would be the same again.
        let mut topics = topics.remove(&*group.broker_name);
        for (id, address) in &group.addresses {
            broker(text, group, (*id, address))?;
            if let Some(timeout) = timeouts.get(&(&*group.broker_name, &**address)) {
                let timeout = Duration::from_millis(u64::try_from(*timeout).unwrap_or_default()).min(TIMEOUT_MAX);
                text.line(&format!("timeout = \"{}ms\"", timeout.as_millis()))?;
            }
            if let Some(topics) = topics.take() {
                text.line(&format!("topics = {{ {} }}", topics.join(", ")))?;
            }
        }
    }
    Some(())
}

fn broker(text: &mut Lines, group: &Group, (id, address): (i64, &str)) -> Option<()> {
    let (name, cluster) = (quoted(&group.broker_name), quoted(&group.cluster));
    text.line(&format!("\n[[broker]]\nname = {name}\ncluster = {cluster}\nid = {id}\naddress = {}", quoted(address)))?;
    text.line(&format!("acting-master = {}", group.enable_acting_master))?;
    group.zone_name.as_ref().map_or(Some(()), |zone| text.line(&format!("zone = {}", quoted(zone))))
}

/// The topics of each group; none if they take more bytes than there is room for.
fn topics(tables: &Tables, mut room: usize) -> Option<HashMap<String, Vec<String>>> {
    let mut topics: HashMap<String, Vec<String>> = HashMap::new();
    for topic in tables.topics().iter() {
        for queue in topic.queues.iter() {
            let (read, write) = (queue.read_queue_nums, queue.write_queue_nums);
            let (perm, flag) = (queue.perm, queue.topic_sys_flag);
            let entry =
                format!("{} = {{ read = {read}, write = {write}, perm = {perm}, flag = {flag} }}", quoted(&topic.name));
            room = room.checked_sub(entry.len())?;
            topics.entry(queue.broker_name.to_string()).or_default().push(entry);
        }
    }
    Some(topics)
}

/// As TOML writes it on one line: as JSON does, but for one character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_there_is_no_room_and_never_have_more() {
        let mut text = Lines { text: String::new(), bytes_max: 10 };

        assert_eq!((text.line("five."), text.line("four"), text.line("one")), (Some(()), None, Some(())));
        assert_eq!(text.line(""), None);
        assert_eq!(text.text, "five.\none\n");
    }

    #[test]
    fn any_text_is_quoted_so_that_it_is_read_as_it_was() {
        for text in ["", "plain", "\"quoted\" and \\", "two\nlines\r\n\t", "\u{0}\u{1f}\u{7f}\u{85}", "ünï ✓", "'''"]
        {
            let read: toml::Table = toml::from_str(&format!("{0} = {{ {0} = {0} }}", quoted(text))).unwrap();
            assert_eq!(read[text][text].as_str(), Some(text), "{text:?}");
        }
    }
}
