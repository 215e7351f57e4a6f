//! The programs that count for a gate.

use std::io::{Write, stderr};
use std::process::{Command, Stdio};

/// Whether this command runs here. A gate that goes without says so, and the whole gate of a change needs them all.
pub(crate) fn work(command: &[&str]) -> bool {
    let tried = Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "`{}` does not work here", command.join(" "));
        // Not by a macro, whose output nobody sees of a test that passes.
        let _ = writeln!(stderr(), "SKIPPED: `{}` does not work here", command.join(" "));
    }
    works
}
