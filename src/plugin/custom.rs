//! Metrics of plugins' own (`wit/metrics.wit`): declared in the manifest, bounded in number, shown with the server's.
//!
//! They belong to the plugin's name, and one that a new content declares as the old one did goes on where it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

/// More metrics than this in one plugin are too many to look at.
const METRICS_MAX: usize = 32;
/// More labels in one metric, too.
const LABELS_MAX: usize = 3;
/// The most different values of the labels of one metric.
const SERIES_MAX: usize = 256;
/// Bounds of a histogram.
const BUCKETS_MAX: usize = 20;
/// The longest name, and the longest value of a label, in bytes.
const NAME_MAX: usize = 64;
/// What the labels of all others say.
const OTHER: &str = "other";

/// One `[[metrics]]` of a manifest.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MetricEntry {
    /// Small letters, digits and `_`. The server puts `fingerpost_plugin_custom_` before it.
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    /// What it means, in one line.
    pub(crate) help: String,
    /// Names of labels.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// The upper bounds of a histogram, ascending.
    #[serde(default)]
    pub(crate) buckets: Vec<f64>,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// What is put behind the names, so that what plugins call the same is of the same kind.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Histogram => "_histogram",
        }
    }
}

impl MetricEntry {
    /// What it is called on the page.
    pub(crate) fn full_name(&self) -> String {
        format!("fingerpost_plugin_custom_{}{}", self.name, self.kind.suffix())
    }

    fn fault(&self) -> Option<String> {
        let name = &self.name;
        let say = |text: &str| Some(format!("the metric {:?} {text}", name.chars().take(NAME_MAX).collect::<String>()));
        let taken = ["_total", "_histogram", "_bucket", "_sum", "_count"];
        if !is_plain(name) || taken.iter().any(|suffix| name.ends_with(suffix)) {
            return say(
                "needs a name of small letters, digits and `_` that does not end as what the server puts there",
            );
        }
        if self.labels.len() > LABELS_MAX || !self.labels.iter().all(|label| is_plain(label)) {
            return say("has labels that are too many, or not small letters, digits and `_`");
        }
        let is_twice = |at: usize| self.labels[..at].contains(&self.labels[at]);
        if (0..self.labels.len()).any(is_twice) || self.labels.iter().any(|label| label == "plugin" || label == "le") {
            return say("names a label twice, or one of the server's, `plugin` and `le`");
        }
        let ascending =
            self.buckets.is_sorted_by(|one, next| one < next) && self.buckets.iter().all(|it| it.is_finite());
        let buckets = if self.kind == MetricKind::Histogram { 1..=BUCKETS_MAX } else { 0..=0 };
        if !ascending || !buckets.contains(&self.buckets.len()) {
            return say("needs `buckets` if it is a histogram, at most 20 and ascending, and none otherwise");
        }
        None
    }
}

/// What is wrong with the metrics of a manifest.
pub(crate) fn fault(entries: &[MetricEntry]) -> Option<String> {
    if entries.len() > METRICS_MAX {
        return Some(format!("{} metrics, at most {METRICS_MAX} are allowed", entries.len()));
    }
    let twice = |(at, entry): (usize, &MetricEntry)| {
        let is_twice = entries[..at].iter().any(|earlier| earlier.name == entry.name);
        is_twice.then(|| format!("the metric {:?} is declared twice", entry.name))
    };
    entries.iter().find_map(MetricEntry::fault).or_else(|| entries.iter().enumerate().find_map(twice))
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= NAME_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain)
}

/// The metrics of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Custom(Box<[Arc<Metric>]>);

/// One metric, for each of the values that its labels had.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) entry: MetricEntry,
    series: Mutex<BTreeMap<Box<[String]>, Value>>,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Counter(u64),
    Gauge(f64),
    /// One count more than bounds.
    Histogram {
        counts: Vec<u64>,
        sum: f64,
    },
}

/// What happens to a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Count(u64),
    Set(f64),
    Observe(f64),
}

impl Custom {
    /// Counts, or says why that cannot be.
    pub(crate) fn note(&self, name: &str, labels: Vec<String>, event: Event) -> Result<(), String> {
        let metric = self.0.iter().find(|metric| metric.entry.name == name);
        let metric = metric.ok_or_else(|| format!("the manifest declares no metric {name:?}"))?;
        metric.note(labels, event)
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &Arc<Metric>> {
        self.0.iter()
    }
}

impl Metric {
    fn new(entry: MetricEntry) -> Self {
        let metric = Self { series: Mutex::default(), entry };
        if metric.entry.labels.is_empty() {
            // One without labels is there from the beginning.
            metric.lock().insert(Box::default(), metric.zero());
        }
        metric
    }

    fn note(&self, mut labels: Vec<String>, event: Event) -> Result<(), String> {
        let MetricEntry { name, labels: names, kind, buckets, .. } = &self.entry;
        if let Event::Set(value) | Event::Observe(value) = event
            && !value.is_finite()
        {
            return Err(format!("the metric {name:?} is told {value}, which no page shows"));
        }
        if labels.len() != names.len() {
            return Err(format!("the metric {name:?} has {} labels, not {}", names.len(), labels.len()));
        }
        labels.iter_mut().for_each(|label| label.truncate(label.floor_char_boundary(NAME_MAX)));
        let mut series = self.lock();
        if series.len() >= SERIES_MAX && !series.contains_key(&*labels) {
            labels.iter_mut().for_each(|label| OTHER.clone_into(label));
        }
        let value = series.entry(labels.into()).or_insert_with(|| self.zero());
        match (event, value) {
            (Event::Count(by), Value::Counter(count)) => *count = count.wrapping_add(by),
            (Event::Set(to), Value::Gauge(gauge)) => *gauge = to,
            (Event::Observe(it), Value::Histogram { counts, sum }) => {
                counts[buckets.partition_point(|bound| *bound < it)] += 1;
                *sum += it;
            }
            _ => return Err(format!("the metric {name:?} is a {}", kind.name())),
        }
        Ok(())
    }

    fn zero(&self) -> Value {
        match self.entry.kind {
            MetricKind::Counter => Value::Counter(0),
            MetricKind::Gauge => Value::Gauge(0.0),
            MetricKind::Histogram => Value::Histogram { counts: vec![0; self.entry.buckets.len() + 1], sum: 0.0 },
        }
    }

    /// The values of its labels, and what was counted for them.
    pub(crate) fn series(&self) -> Vec<(Box<[String]>, Value)> {
        self.lock().iter().map(|(labels, value)| (labels.clone(), value.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Box<[String]>, Value>> {
        // Every number is whole at every step.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of every plugin, by its name.
#[derive(Debug, Default)]
pub(crate) struct CustomByName(Mutex<BTreeMap<Arc<str>, Arc<Custom>>>);

impl CustomByName {
    /// Those of a plugin that declares these.
    pub(crate) fn of(&self, name: &Arc<str>, entries: &[MetricEntry]) -> Arc<Custom> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is not in use any more begins anew if it comes back.
        all.retain(|other, custom| other == name || Arc::strong_count(custom) > 1);
        let before = all.get(name).cloned().unwrap_or_default();
        let metric = |entry: &MetricEntry| {
            let same = before.0.iter().find(|metric| metric.entry == *entry);
            same.map_or_else(|| Arc::new(Metric::new(entry.clone())), Arc::clone)
        };
        let custom = Arc::new(Custom(entries.iter().map(metric).collect()));
        if !entries.is_empty() {
            all.insert(Arc::clone(name), Arc::clone(&custom));
        }
        custom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<MetricEntry> {
        #[derive(Deserialize)]
        struct Text {
            metrics: Vec<MetricEntry>,
        }
        toml::from_str::<Text>(text).unwrap().metrics
    }

    const THREE: &str = r#"metrics = [
        { name = "asked", kind = "counter", help = "h", labels = ["topic"] },
        { name = "waiting", kind = "gauge", help = "h" },
        { name = "took_seconds", kind = "histogram", help = "h", buckets = [0.1, 1] },
    ]"#;

    fn series(custom: &Custom, name: &str) -> Vec<(Box<[String]>, Value)> {
        custom.metrics().find(|metric| metric.entry.name == name).unwrap().series()
    }

    #[test]
    fn each_kind_counts_in_its_own_way() {
        let custom = CustomByName::default().of(&"a".into(), &entries(THREE));

        for topic in ["t", "u", "t"] {
            custom.note("asked", vec![topic.to_owned()], Event::Count(2)).unwrap();
        }
        custom.note("waiting", vec![], Event::Set(2.5)).unwrap();
        for took in [0.05, 0.1, 0.5, 7.0] {
            custom.note("took_seconds", vec![], Event::Observe(took)).unwrap();
        }

        let of = |topic: &str| Box::from([topic.to_owned()]);
        assert_eq!(series(&custom, "asked"), [(of("t"), Value::Counter(4)), (of("u"), Value::Counter(2))]);
        assert_eq!(series(&custom, "waiting")[0].1, Value::Gauge(2.5));
        assert_eq!(series(&custom, "took_seconds")[0].1, Value::Histogram { counts: vec![2, 1, 1], sum: 7.65 });
    }

    #[test]
    fn what_is_not_declared_so_is_refused() {
        let custom = CustomByName::default().of(&"a".into(), &entries(THREE));

        assert!(custom.note("nothing", vec![], Event::Count(1)).unwrap_err().contains("nothing"));
        assert!(custom.note("asked", vec![], Event::Count(1)).unwrap_err().contains("1 labels"));
        assert!(custom.note("waiting", vec![], Event::Count(1)).unwrap_err().contains("gauge"));
        assert!(custom.note("took_seconds", vec![], Event::Set(1.0)).unwrap_err().contains("histogram"));
        assert!(custom.note("took_seconds", vec![], Event::Observe(f64::NAN)).unwrap_err().contains("NaN"));
    }

    #[test]
    fn values_of_labels_beyond_the_bound_are_counted_together_and_long_ones_are_cut() {
        let custom = CustomByName::default().of(&"a".into(), &entries(THREE));

        custom.note("asked", vec![format!("{}é", "x".repeat(NAME_MAX - 1))], Event::Count(1)).unwrap();
        for topic in 0..1000 {
            custom.note("asked", vec![format!("{topic:03}")], Event::Count(1)).unwrap();
        }

        let series = series(&custom, "asked");
        assert_eq!(series.len(), SERIES_MAX + 1);
        let others = series.iter().find(|(labels, _)| labels[0] == OTHER).unwrap();
        assert_eq!(others.1, Value::Counter(1000 - SERIES_MAX as u64 + 1));
        assert!(series.iter().any(|(labels, _)| labels[0] == "x".repeat(NAME_MAX - 1)));
    }

    #[test]
    fn what_a_new_content_declares_as_the_old_one_did_goes_on() {
        let all = CustomByName::default();
        let old = all.of(&"a".into(), &entries(THREE));
        old.note("waiting", vec![], Event::Set(1.0)).unwrap();
        old.note("took_seconds", vec![], Event::Observe(1.0)).unwrap();

        let new = all.of(&"a".into(), &entries(&THREE.replace("[0.1, 1]", "[0.1]")));

        assert_eq!(series(&new, "waiting")[0].1, Value::Gauge(1.0));
        assert_eq!(series(&new, "took_seconds")[0].1, Value::Histogram { counts: vec![0, 0], sum: 0.0 });
        drop((old, new));
        all.of(&"b".into(), &[]);
        assert_eq!(series(&all.of(&"a".into(), &entries(THREE)), "waiting")[0].1, Value::Gauge(0.0));
    }

    #[test]
    fn a_declaration_that_would_spoil_the_page_is_refused() {
        assert_eq!(fault(&entries(THREE)), None);
        for (right, wrong) in [
            ("\"asked\"", "\"Asked\""),
            ("\"asked\"", "\"\""),
            ("\"asked\"", "\"asked_total\""),
            ("\"asked\"", "\"waiting\""),
            ("[\"topic\"]", "[\"plugin\"]"),
            ("[\"topic\"]", "[\"a\", \"a\"]"),
            ("[\"topic\"]", "[\"a\", \"b\", \"c\", \"d\"]"),
            ("[\"topic\"]", "[\"a-b\"]"),
            ("[0.1, 1]", "[1, 0.1]"),
            ("[0.1, 1]", "[inf]"),
            ("buckets = [0.1, 1]", "buckets = []"),
            ("kind = \"gauge\"", "kind = \"gauge\", buckets = [1]"),
        ] {
            assert!(fault(&entries(&THREE.replacen(right, wrong, 1))).is_some(), "{wrong}");
        }
    }
}
