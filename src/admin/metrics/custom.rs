//! The metrics that plugins declare, behind the server's own.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::text::escaped;
use crate::plugin::{Catalogue, CustomValue, MetricEntry};

/// What plugins of different names call the same stands together, below what the first of them says about it.
#[derive(Debug)]
struct Family {
    head: String,
    lines: String,
}

/// Those of every plugin in use.
pub(super) fn text(catalogue: &Catalogue) -> String {
    // One that stands in for another may have its name: then it is the last that counts.
    let plugins: BTreeMap<_, _> = catalogue.plugins().iter().map(|plugin| (&*plugin.name, &plugin.custom)).collect();
    let mut families = BTreeMap::new();
    for (plugin, custom) in plugins {
        for metric in custom.metrics() {
            add(&mut families, plugin, &metric.entry, &metric.series());
        }
    }
    families.into_values().map(|Family { head, lines }| head + &lines).collect()
}

fn add(
    families: &mut BTreeMap<String, Family>,
    plugin: &str,
    entry: &MetricEntry,
    series: &[(Box<[String]>, CustomValue)],
) {
    let (name, kind) = (entry.full_name(), entry.kind.name());
    let help = entry.help.replace('\\', "\\\\");
    let head = || format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    let family = families.entry(name.clone()).or_insert_with(|| Family { head: head(), lines: String::new() });
    for (values, value) in series {
        let pairs = entry.labels.iter().zip(values).map(|(label, value)| format!(",{label}=\"{}\"", escaped(value)));
        let labels = format!("plugin=\"{}\"{}", escaped(plugin), pairs.collect::<String>());
        let mut line = |suffix: &str, le: &str, value: &dyn std::fmt::Display| {
            // A string takes whatever is written.
            let _ = writeln!(family.lines, "{name}{suffix}{{{labels}{le}}} {value}");
        };
        match value {
            CustomValue::Counter(count) => line("", "", count),
            CustomValue::Gauge(gauge) => line("", "", gauge),
            CustomValue::Histogram { counts, sum } => {
                let mut below = 0;
                let bounds = entry.buckets.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(counts) {
                    below += count;
                    line("_bucket", &format!(",le=\"{bound}\""), &below);
                }
                line("_sum", "", sum);
                line("_count", "", &below);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_two_plugins_that_are_called_the_same_stand_together() {
        let entry = |help: &str, labels: &str| -> MetricEntry {
            let text = format!("name = \"asked\"\nkind = \"counter\"\nhelp = {help:?}\nlabels = {labels}");
            toml::from_str(&text).unwrap()
        };
        let mut families = BTreeMap::new();

        add(&mut families, "a", &entry("of a", "[]"), &[(Box::default(), CustomValue::Counter(1))]);
        let of_topic = (Box::from(["a\"b".to_owned()]), CustomValue::Counter(2));
        add(&mut families, "b", &entry("of b", "[\"topic\"]"), &[of_topic]);

        let text: String = families.into_values().map(|Family { head, lines }| head + &lines).collect();
        let expected = "\
# HELP fingerpost_plugin_custom_asked_total of a
# TYPE fingerpost_plugin_custom_asked_total counter
fingerpost_plugin_custom_asked_total{plugin=\"a\"} 1
fingerpost_plugin_custom_asked_total{plugin=\"b\",topic=\"a\\\"b\"} 2
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_counts_of_a_histogram_include_those_below() {
        let text = "name = \"took_seconds\"\nkind = \"histogram\"\nhelp = \"h\"\nbuckets = [0.1, 1]";
        let entry: MetricEntry = toml::from_str(text).unwrap();
        let mut families = BTreeMap::new();

        let value = CustomValue::Histogram { counts: vec![3, 0, 2], sum: 9.5 };
        add(&mut families, "a", &entry, &[(Box::default(), value)]);

        let lines: Vec<_> = families.values().flat_map(|family| family.lines.lines()).collect();
        let name = "fingerpost_plugin_custom_took_seconds_histogram";
        assert_eq!(
            lines,
            [
                format!("{name}_bucket{{plugin=\"a\",le=\"0.1\"}} 3"),
                format!("{name}_bucket{{plugin=\"a\",le=\"1\"}} 3"),
                format!("{name}_bucket{{plugin=\"a\",le=\"+Inf\"}} 5"),
                format!("{name}_sum{{plugin=\"a\"}} 9.5"),
                format!("{name}_count{{plugin=\"a\"}} 5"),
            ]
        );
    }
}
