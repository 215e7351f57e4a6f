//! `plugin reload|rollback|enable|disable`: what is done once the server has done it.

use lexopt::Parser;
use serde::Deserialize;
use serde_json::Value;

use super::Given;
use crate::control::Request;

/// `plugin reload [NAME]`
pub(in crate::cli) fn reload(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, (0, 1), false)?;
    given.ask(&Request::Reload { name: given.word() }, shown)
}

/// `plugin rollback NAME`
pub(in crate::cli) fn rollback(words: Parser) -> anyhow::Result<u8> {
    one(words, |name| Request::Rollback { name })
}

/// `plugin enable NAME`
pub(in crate::cli) fn enable(words: Parser) -> anyhow::Result<u8> {
    one(words, |name| Request::Enable { name })
}

/// `plugin disable NAME`
pub(in crate::cli) fn disable(words: Parser) -> anyhow::Result<u8> {
    one(words, |name| Request::Disable { name })
}

fn one(words: Parser, request: fn(String) -> Request) -> anyhow::Result<u8> {
    let given = Given::read(words, (1, 1), false)?;
    given.ask(&request(given.word().unwrap_or_default()), shown)
}

#[derive(Deserialize)]
struct Done {
    text: String,
    warnings: Vec<String>,
    failed: bool,
    generation: Option<u64>,
    active: bool,
}

fn shown(answer: &Value) -> anyhow::Result<String> {
    let done = Done::deserialize(answer)?;
    let then = match (done.generation, done.active) {
        _ if done.failed => "everything is answered as before, because there cannot be a new generation".to_owned(),
        (None, _) => "nothing is answered otherwise".to_owned(),
        (Some(number), true) => format!("generation {number} is in use on every thread"),
        (Some(number), false) => format!("generation {number} is made, and some threads are too busy to use it yet"),
    };
    let warnings = done.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    Ok(format!("{}; {then}\n{}", done.text, warnings.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_is_acknowledged_with_the_generation_it_led_to() {
        let answer = |generation: Value, active: bool, failed: bool| {
            let warnings = ["nobody answers request code 7 now"];
            let done = json!({
                "text": "x is switched off", "warnings": warnings, "failed": failed, "generation": generation,
                "active": active,
            });
            shown(&done).unwrap()
        };

        assert_eq!(
            answer(json!(3), true, false),
            "x is switched off; generation 3 is in use on every thread\n\
             warning: nobody answers request code 7 now\n"
        );
        assert!(answer(json!(3), false, false).contains("too busy"));
        assert!(answer(json!(null), true, false).contains("nothing is answered otherwise"));
        assert!(answer(json!(null), true, true).contains("cannot be a new generation"));
    }
}
