//! A guest for the tests that does something before it can be called at all: every new instance of it does, when it
//! starts. How often it does that is text in the component, which a test replaces.

use fingerpost_sdk::{Outcome, Processor, code, export_processor, reply};

struct SlowStart;

/// Found and replaced in the built component, so it must stand there as it is.
static TURNS: &str = "turns:0000000000000000001";

impl Processor for SlowStart {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

export_processor!(SlowStart);

/// Toolchains name so what has to run before everything else.
#[allow(unsafe_code, reason = "an export of a module is a symbol with a name that toolchains agree on")]
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    let turns = std::hint::black_box(TURNS).bytes().filter(u8::is_ascii_digit);
    let turns = turns.fold(0u64, |turns, digit| turns * 10 + u64::from(digit - b'0'));
    for turn in 0..turns {
        std::hint::black_box(turn);
    }
}
