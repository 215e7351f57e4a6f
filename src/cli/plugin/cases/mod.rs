//! Cases: what a plugin is asked on a [workbench](crate::workbench), and what has to come of it.

pub(crate) mod file;
pub(crate) mod matching;
pub(crate) mod run;
pub(crate) mod unordered;
