//! To come.

pub mod write;
