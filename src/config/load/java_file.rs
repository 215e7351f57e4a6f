//! Java's properties files, as `mqnamesrv -c` reads them, but not in silence.
//!
//! These files exist already, so nothing in them stops the server unless Java would stop too. What does not count is
//! told with its line.

use std::path::Path;

use super::{Draft, parse_properties, read_file};
use crate::config::java::{Effect, Group, HIDDEN, JavaKey, KEYS, ValueError, is_secret};
use crate::config::properties::Entry;
use crate::config::{Config, ConfigError, Environment, NetConfig, Notice, Problem, Severity, suggest};

pub(super) fn read(path: &Path, environment: &Environment) -> Result<Draft, ConfigError> {
    let file = read_file(path)?;
    let mut entries = parse_properties(path, &file)?;

    let mut config = Config::default();
    // Java's paths are taken as they are, so `~` means home in our default only.
    super::expand_home(&mut config, environment);
    let mut reader = Reader { path, draft: Draft::new(config), problems: Vec::new() };
    reader.warn_of_other_encodings(&file);
    // A system property is the default of the key that means the same, whichever comes first in the file.
    entries.sort_by_key(|entry| JavaKey::find(&entry.key).is_none_or(|key| key.group != Group::System));
    for entry in entries {
        reader.take(entry);
    }
    reader.finish()
}

struct Reader<'a> {
    path: &'a Path,
    draft: Draft,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn note(&mut self, severity: Severity, line: usize, text: String) {
        self.draft.notices.push(Notice { severity, path: self.path.to_owned(), line, text });
    }

    fn warn_of_other_encodings(&mut self, file: &[u8]) {
        if let Some(at) = file.iter().position(|byte| !byte.is_ascii()).filter(|_| std::str::from_utf8(file).is_ok()) {
            let line = 1 + file[..at].iter().filter(|byte| **byte == b'\n').count();
            let text = "characters beyond ASCII are read as ISO-8859-1, as in Java; write them as \\uXXXX";
            self.note(Severity::Warning, line, text.to_owned());
        }
    }

    fn take(&mut self, entry: Entry) {
        let Some(key) = JavaKey::find(&entry.key) else { return self.take_unknown(entry) };
        let value = match key.parse(&entry.value) {
            Ok(value) => value,
            Err(error) => return self.refuse(key, &entry, &error),
        };
        match key.set(&mut self.draft.config, &value) {
            Err(error) => return self.refuse(key, &entry, &error),
            // The last of two lines counts.
            Ok(true) => self.draft.lines.insert(0, (key.ours.unwrap_or_default().to_owned(), entry.line)),
            Ok(false) => {}
        }
        let value = value.into_text();
        if value == "false" && !entry.value.eq_ignore_ascii_case("false") {
            let text = format!("`{}` is neither true nor false; taken as false, as in Java", key.name);
            self.note(Severity::Warning, entry.line, text);
        }
        if let Effect::Nothing(reason) = key.effect {
            // A file that spells the default out asks for nothing.
            let severity = if key.default == Some(&value) { Severity::Info } else { Severity::Warning };
            self.note(severity, entry.line, format!("`{}` is accepted without effect: {reason}", key.name));
        }
        if key.ours.is_none() || !key.is_always_shown() {
            // Java shows what it made of a NameServer's or server's value, and the rest as it stands in the file.
            let shown = if key.is_always_shown() { value } else { entry.value };
            self.show(entry.key, shown);
        }
    }

    fn take_unknown(&mut self, entry: Entry) {
        let mut text = format!("unknown key `{}`; kept for display only", entry.key.escape_debug());
        if let Some(near) = suggest::nearest(&entry.key, KEYS.iter().map(|key| key.name)) {
            text += &format!("; did you mean `{near}`?");
        }
        self.note(Severity::Warning, entry.line, text);
        self.show(entry.key, entry.value);
    }

    /// Keeps what is not ours for display; of a secret, only that there is one.
    fn show(&mut self, key: String, value: String) {
        let value = if is_secret(&key) { HIDDEN.to_owned() } else { value };
        self.draft.extras.0.insert(key, value);
    }

    /// A bad value is passed over, as in Java, unless Java does not start with it: a server that listens elsewhere than
    /// it was told to is worse than none.
    fn refuse(&mut self, key: &JavaKey, entry: &Entry, error: &ValueError) {
        let value = if key.secret { "the value" } else { entry.value.as_str() };
        let text = format!("`{}`: `{}` {error}", key.name, value.escape_debug());
        let java_stops = match error {
            ValueError::OutOfRange(..) => key.name == "listenPort",
            ValueError::Unreadable(_) => matches!(key.name, "bindAddress" | "kvConfigPath"),
        };
        if java_stops {
            self.problems.push(Problem { line: Some(entry.line), text });
        } else {
            let kept = key.ours.map_or_else(String::new, |ours| format!("; `{ours}` stays as it was"));
            self.note(Severity::Warning, entry.line, format!("{text}; ignored{kept}"));
        }
    }

    /// One mark counts only with the other, as in Java, where 0 is none.
    fn settle_marks(&mut self) {
        let (high, low) = ("net.reply-bytes-waiting-max", "net.reply-bytes-waiting-resume");
        let default = NetConfig::default();
        let net = &mut self.draft.config.net;
        let has_high = net.reply_bytes_waiting_max != default.reply_bytes_waiting_max;
        let has_low = net.reply_bytes_waiting_resume != default.reply_bytes_waiting_resume;
        if has_high && has_low {
            // Java knows no bound over all peers, so ours must not contradict what it was told for one.
            net.outgoing_bytes_max = net.outgoing_bytes_max.max(net.reply_bytes_waiting_max);
        } else if has_high || has_low {
            (net.reply_bytes_waiting_max, net.reply_bytes_waiting_resume) =
                (default.reply_bytes_waiting_max, default.reply_bytes_waiting_resume);
            let line = self.draft.line_of(if has_high { high } else { low }).unwrap_or_default();
            let text = "writeBufferHighWaterMark and writeBufferLowWaterMark count only together, as in Java; ignored";
            self.note(Severity::Warning, line, text.to_owned());
        }
    }

    fn finish(mut self) -> Result<Draft, ConfigError> {
        self.settle_marks();
        if !self.problems.is_empty() {
            self.problems.sort();
            return Err(ConfigError::Invalid { path: Some(self.path.to_owned()), problems: self.problems });
        }
        // Java then asks a server without a name; lookups that miss stay misses.
        // What is not understood is left out, and certificates of which Java makes no use are none here.
        self.draft.forgiven =
            &["cluster-test.enabled", "tls.ciphers", "tls.protocols", "tls.cert-path", "tls.key-path"];
        self.draft.notices.sort_by_key(|notice| notice.line);
        Ok(self.draft)
    }
}
