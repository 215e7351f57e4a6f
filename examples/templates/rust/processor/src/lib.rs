//! @NAME@ answers the request code 9500: a greeting in a header field, and the number of topics in the body.

use fingerpost_sdk::{Outcome, Processor, code, export_processor, field, reply, routes};

struct @PASCAL@;

impl Processor for @PASCAL@ {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        // `?` answers code 1, with a remark that says which field is missing.
        let name = field::required("name")?;

        let topics = routes::topics(None);
        let mut count = 0;
        loop {
            match topics.next(4096).len() {
                0 => break,
                more => count += more,
            }
        }

        reply::set_field("greeting", &greeting(&name));
        reply::set_body(count.to_string().as_bytes());
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

/// What can be decided without the server is tested without it.
fn greeting(name: &str) -> String {
    ["hello, ", name.trim()].concat()
}

export_processor!(@PASCAL@);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_greeted_without_its_blanks() {
        assert_eq!(greeting(" Ada "), "hello, Ada");
    }
}
