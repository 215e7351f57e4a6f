//! Figures, and the rounds in which they were taken.

use serde_json::{Map, Value, json};

use crate::common::median;

/// Something that is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Figure {
    /// Its name in JSON.
    key: &'static str,
    /// The head of its column.
    head: &'static str,
    /// How many digits after the point say something.
    digits: usize,
}

/// What was measured of one server in one round of one case.
pub(crate) type Values = Vec<(Figure, f64)>;

impl Figure {
    pub(crate) const fn new(key: &'static str, head: &'static str, digits: usize) -> Self {
        Self { key, head, digits }
    }

    pub(super) fn say(&self, value: f64) -> String {
        format!("{value:.*} {}", self.digits, self.head)
    }
}

struct Record {
    case: String,
    server: String,
    round: usize,
    values: Values,
}

#[derive(Default)]
pub(crate) struct Records(Vec<Record>);

impl Records {
    pub(super) fn add(&mut self, case: &str, server: &str, round: usize, values: Values) {
        self.0.push(Record { case: case.to_owned(), server: server.to_owned(), round, values });
    }

    /// By round.
    pub(crate) fn values(&self, case: &str, server: &str, figure: Figure) -> Vec<f64> {
        let own = self.0.iter().filter(|record| record.case == case && record.server == server);
        own.filter_map(|record| Some(record.values.iter().find(|(name, _)| *name == figure)?.1)).collect()
    }

    /// One server's figure over another's, round by round: what disturbs a round disturbs both. Empty without either.
    pub(crate) fn ratios(&self, case: &str, (server, other): (&str, &str), figure: Figure) -> Vec<f64> {
        let (above, below) = (self.values(case, server, figure), self.values(case, other, figure));
        above.iter().zip(&below).map(|(above, below)| above / below).collect()
    }

    /// A row for each case and server, in the order in which they first came.
    pub(super) fn table(&self, figures: &[Figure]) -> String {
        let heads: Vec<_> = figures.iter().map(|figure| figure.head).collect();
        let mut text =
            format!("| case | server | {} |\n|---|---|{}\n", heads.join(" | "), "---:|".repeat(figures.len()));
        let mut rows: Vec<(&str, &str)> = Vec::new();
        for record in &self.0 {
            if !rows.contains(&(&record.case, &record.server)) {
                rows.push((&record.case, &record.server));
            }
        }
        // A case's servers stand together, whoever came first.
        let cases: Vec<&str> = rows.iter().map(|(case, _)| *case).collect();
        rows.sort_by_key(|(case, _)| cases.iter().position(|other| other == case));
        for (case, server) in rows {
            let cells = figures.iter().map(|figure| cell(&self.values(case, server, *figure), figure.digits));
            text += &format!("| {case} | {server} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let run = |record: &Record| {
            let values = record.values.iter().map(|(figure, value)| (figure.key.to_owned(), json!(value)));
            let mut run: Map<_, _> = values.collect();
            run.insert("case".to_owned(), json!(record.case));
            run.insert("server".to_owned(), json!(record.server));
            run.insert("round".to_owned(), json!(record.round));
            Value::Object(run)
        };
        self.0.iter().map(run).collect()
    }
}

/// The median, and between what it lies.
pub(crate) fn cell(values: &[f64], digits: usize) -> String {
    let mut values = values.to_vec();
    match values.len() {
        0 => String::new(),
        1 => format!("{:.digits$}", values[0]),
        count => {
            let middle = median(&mut values);
            format!("{middle:.digits$} [{:.digits$}..{:.digits$}]", values[0], values[count - 1])
        }
    }
}
