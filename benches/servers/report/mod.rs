//! What was found: figures by case, server and round, as tables, as JSON, and beside the marks.

mod figures;
pub(crate) mod machine;
pub(crate) mod marks;
pub(crate) mod page;

use std::path::PathBuf;

use serde_json::{Value, json};

pub(crate) use figures::{Figure, Records, Values};
pub(crate) use marks::{Bound, Mark, Part};

use crate::options::Options;
use machine::Machine;

/// What one group of cases found.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) records: Records,
    /// The columns of its table.
    pub(crate) figures: Vec<Figure>,
    /// Sentences below the table.
    pub(crate) notes: Vec<String>,
}

pub(crate) struct Report {
    machine: Machine,
    command: String,
    quick: bool,
    seed: u64,
    sections: Vec<Section>,
    marks: marks::Findings,
}

impl Section {
    pub(crate) fn new(name: &'static str, title: impl Into<String>, figures: &[Figure]) -> Self {
        let (records, notes) = (Records::default(), Vec::new());
        Self { name, title: title.into(), records, figures: figures.to_vec(), notes }
    }

    /// Keeps what one round found, and says it.
    pub(crate) fn add(&mut self, case: &str, server: &str, round: usize, values: Values) {
        let line: Vec<_> = values.iter().map(|(figure, value)| figure.say(*value)).collect();
        eprintln!("{} {round}: {case}, {server}: {}", self.name, line.join(", "));
        self.records.add(case, server, round, values);
    }

    fn markdown(&self) -> String {
        let mut text = format!("**{}**\n\n{}", self.title, self.records.table(&self.figures));
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            machine: Machine::look(),
            command: options.command(),
            quick: options.quick,
            seed: options.seed,
            sections: Vec::new(),
            marks: marks::Findings::default(),
        }
    }

    pub(crate) fn find(&mut self, mark: Mark, part: Part) {
        self.marks.add(mark, vec![part]);
    }

    /// One of them is enough.
    pub(crate) fn find_either(&mut self, mark: Mark, parts: Vec<Part>) {
        self.marks.add(mark, parts);
    }

    /// Prints and keeps what a group found.
    pub(crate) fn add(&mut self, section: Section) {
        println!("\n{}", section.markdown());
        self.sections.push(section);
        // A wrong answer later on must not lose it.
        self.save();
    }

    /// Leaves everything so far as JSON, for whoever compares runs.
    pub(crate) fn save(&self) -> PathBuf {
        crate::common::save("servers", &self.json())
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}, seed {}, by `{}`:\n\n", self.machine.sentence(), self.seed, self.command);
        text += &self.marks.table();
        for section in &self.sections {
            text += "\n";
            text += &section.markdown();
        }
        text
    }

    pub(crate) fn marks(&self) -> String {
        self.marks.table()
    }

    fn json(&self) -> Value {
        let section = |section: &Section| {
            json!({
                "group": section.name, "title": section.title, "runs": section.records.json(),
                "notes": section.notes,
            })
        };
        json!({
            "command": self.command, "quick": self.quick, "seed": self.seed, "machine": self.machine.json(),
            "marks": self.marks.json(), "groups": self.sections.iter().map(section).collect::<Vec<_>>(),
        })
    }
}
