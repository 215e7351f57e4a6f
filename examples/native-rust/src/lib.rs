//! A native processor: a request code of one's own, 9101, answered with a greeting and with how often it was asked.
//!
//! ```console
//! $ cargo build --release -p native-rust
//! $ cp target/release/libnative_rust.so plugins/native-rust.so
//! ```
//!
//! and in the server's configuration
//!
//! ```toml
//! [plugins.files."native-rust.so"]
//! native = true
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use fingerpost_native::{Answer, Outcome, Processor, export_processor};

/// How many requests were answered. There is one for all threads, and it lasts as long as the server uses these bytes.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

struct Greeter;

impl Processor for Greeter {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(answer: &mut Answer<'_>, _code: i32) -> Outcome {
        // `?` answers code 1, with a remark that says which field is missing.
        let name = answer.required("name")?;

        answer.set_field("greeting", &format!("hello, {name}"));
        answer.set_field("topics", &answer.topics().len().to_string());
        answer.set_field("answered", &(ANSWERED.fetch_add(1, Ordering::Relaxed) + 1).to_string());
        answer.set_code(0);
        Ok(())
    }
}

export_processor!(Greeter);
