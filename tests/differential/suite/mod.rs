//! The differential test, without the program around it: what is sent, to whom, and what may differ.
//!
//! ```text
//! generate ─▶ Sequence ─▶ play ─▶ a Side (ours)  ─▶ Answer ─┐
//!                            └──▶ a Side (Java)  ─▶ Answer ─┴─▶ compare ─▶ known, or a failure ─▶ shrink ─▶ report
//! ```

pub(crate) mod compare;
pub(crate) mod generate;
pub(crate) mod known;
pub(crate) mod oddities;
pub(crate) mod ours;
pub(crate) mod play;
pub(crate) mod probes;
pub(crate) mod report;
pub(crate) mod request;
mod session;
pub(crate) mod shrink;
pub(crate) mod state;
pub(crate) mod tally;
pub(crate) mod tree;
pub(crate) mod wire;
