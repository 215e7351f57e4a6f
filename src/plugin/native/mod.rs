//! Native plugins: shared libraries of the operator's choice, which run in this process and are trusted with all of it.
//!
//! The ABI is `plugins/native-abi`. [`library`] loads, [`host`] is what a library may call, and [`instance`] enters it.
//! What a library asks for is done by the same functions that components import, so grants, limits of a reply, and what
//! is remembered of replies are the same for both.
//!
//! # Invariants
//!
//! * Only what the configuration names is loaded, from a copy that nobody else can change, of the bytes that were
//!   looked at.
//! * What was loaded stays loaded: there is no moment at which it is known that none of its code will run again.
//! * No panic of ours reaches a library.
//!
//! # Not here
//!
//! No deadline and no bound on memory: nothing can stop native code but the end of the process.

mod argument;
mod host;
mod instance;
mod library;

use std::path::Path;

pub(super) use instance::Instance;
pub(super) use library::{Library, LoadError};

/// No more than this is read: a bound against mistakes, which a library with all that a debugger wants does not reach.
pub(crate) const SIZE_MAX: u64 = 64 << 20;

/// Whether a file would be one, by its name.
pub(crate) fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == std::env::consts::DLL_EXTENSION)
}
