//! The smallest useful processor: a request code of one's own, 9001, answered with a greeting in a header field and the
//! number of topics in the body.

use fingerpost_sdk::{Outcome, Processor, code, export_processor, field, json, reply, routes};

struct Hello;

impl Processor for Hello {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        // `?` answers code 1, with a remark that says which field is missing.
        let name = field::required("name")?;

        let topics = routes::topics(None);
        let mut count = 0;
        loop {
            match topics.next(4096).len() as i64 {
                0 => break,
                more => count += more,
            }
        }

        reply::set_field("greeting", &["hello, ", &name].concat());
        reply::set_body(json::decimal(count).as_bytes());
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

export_processor!(Hello);
