//! The text form: the values of a metric stand together, below what it means.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::table::{METRICS, Metric};

/// What the text form is called.
pub(in super::super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The lines of each metric.
    lines: BTreeMap<&'static str, String>,
}

impl Page {
    /// Adds a value of a metric, for these values of its labels.
    pub(super) fn number(&mut self, name: &'static str, labels: &[&str], value: u64) {
        let labels = label_pairs(name, labels);
        self.line(name, format_args!("{name}{labels} {value}"));
    }

    /// Adds a time, in seconds.
    pub(super) fn time(&mut self, name: &'static str, value: Duration) {
        self.line(name, format_args!("{name} {}", value.as_secs_f64()));
    }

    /// Adds a histogram of nanoseconds, with one count more than bounds, for these values of its labels.
    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        labels: &[&str],
        (bounds, counts): (&[u64], &[u64]),
        sum: u64,
    ) {
        let labels = label_pairs(name, labels);
        let first = labels.trim_matches(['{', '}']);
        let first = if first.is_empty() { String::new() } else { format!("{first},") };
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            below += count;
            let seconds = Duration::from_nanos(*bound).as_secs_f64();
            self.line(name, format_args!("{name}_bucket{{{first}le=\"{seconds}\"}} {below}"));
        }
        let all: u64 = counts.iter().sum();
        self.line(name, format_args!("{name}_bucket{{{first}le=\"+Inf\"}} {all}"));
        self.line(name, format_args!("{name}_sum{labels} {}", Duration::from_nanos(sum).as_secs_f64()));
        self.line(name, format_args!("{name}_count{labels} {all}"));
    }

    fn line(&mut self, name: &'static str, line: std::fmt::Arguments<'_>) {
        let lines = self.lines.entry(name).or_default();
        // A string takes whatever is written.
        let _ = writeln!(lines, "{line}");
    }

    /// In the order of the table.
    pub(super) fn into_text(mut self) -> String {
        let mut text = String::new();
        for Metric { name, kind, help, .. } in METRICS {
            if let Some(lines) = self.lines.remove(name) {
                let kind = kind.name();
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
            }
        }
        debug_assert!(self.lines.is_empty(), "not in the table: {:?}", self.lines.keys());
        text
    }
}

fn label_pairs(name: &str, values: &[&str]) -> String {
    let names = METRICS.iter().find(|metric| metric.name == name).map_or(&[][..], |metric| metric.labels);
    debug_assert_eq!(names.len(), values.len(), "{name}");
    let pair = |(name, value): (&&str, &&str)| format!("{name}=\"{}\"", escaped(value));
    let pairs: Vec<_> = names.iter().zip(values).map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_their_metric_in_the_order_of_the_table() {
        let mut page = Page::default();
        page.number("fingerpost_topics", &[], 7);
        page.number("fingerpost_connections", &["0"], 1);
        page.number("fingerpost_plugin_calls_total", &["a\"\\\nb"], 3);
        page.number("fingerpost_connections", &["1"], 2);

        let text = page.into_text();

        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        let expected = [
            "# TYPE fingerpost_connections gauge",
            "fingerpost_connections{worker=\"0\"} 1",
            "fingerpost_connections{worker=\"1\"} 2",
            "# TYPE fingerpost_plugin_calls_total counter",
            r#"fingerpost_plugin_calls_total{plugin="a\"\\\nb"} 3"#,
            "# TYPE fingerpost_topics gauge",
            "fingerpost_topics 7",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_counts_of_a_histogram_include_those_below() {
        let mut page = Page::default();
        page.histogram("fingerpost_turn_seconds", &[], (&[1_000, 1_000_000], &[5, 2, 1]), 4_500_000);
        page.histogram("fingerpost_request_seconds", &["105"], (&[1_000], &[1, 0]), 500);

        let text = page.into_text();

        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "fingerpost_turn_seconds_bucket{le=\"0.000001\"} 5",
            "fingerpost_turn_seconds_bucket{le=\"0.001\"} 7",
            "fingerpost_turn_seconds_bucket{le=\"+Inf\"} 8",
            "fingerpost_turn_seconds_sum 0.0045",
            "fingerpost_turn_seconds_count 8",
            "fingerpost_request_seconds_bucket{code=\"105\",le=\"0.000001\"} 1",
            "fingerpost_request_seconds_bucket{code=\"105\",le=\"+Inf\"} 1",
            "fingerpost_request_seconds_sum{code=\"105\"} 0.0000005",
            "fingerpost_request_seconds_count{code=\"105\"} 1",
        ];
        assert_eq!(lines, expected);
    }
}
