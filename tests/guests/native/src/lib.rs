//! A native processor for the tests: its field `how` says what it does.

use fingerpost_native::{Answer, Level, Outcome, Processor, Refusal, Style, export_processor};

struct Native;

impl Processor for Native {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(answer: &mut Answer<'_>, code: i32) -> Outcome {
        match answer.required("how")? {
            "panic" => panic!("because it was asked to"),
            "panic-after-write" => {
                answer.kv_put("native", "k", "written")?;
                panic!("after a write")
            }
            "huge-reply" => answer.append_body(&vec![b'x'; 32 << 20]),
            "echo" => {
                let body = answer.body();
                answer.set_body(body);
                for (name, value) in answer.fields() {
                    answer.set_field(name, value);
                }
                answer.set_field("code", &format!("{code} {}", answer.code()));
                answer.set_field("version", &answer.version().to_string());
                answer.set_field("peer", answer.peer());
                answer.set_field("times", &format!("{}", answer.uptime_ms() <= answer.now_ms()));
            }
            "route" => {
                let topic = answer.required("topic")?;
                let route = answer.find_route(topic).ok_or_else(|| Refusal::new(17, "no such topic"))?;
                answer.set_route(route, Style::STANDARD, Some("a:4"));
                return Ok(());
            }
            "describe" => {
                let topic = answer.required("topic")?;
                let route = answer.find_route(topic).ok_or_else(|| Refusal::new(17, "no such topic"))?;
                let body = format!("{:?}\n{:?}\n{:?}", answer.groups(route), answer.queues(route), answer.topics());
                answer.set_body(body.as_bytes());
            }
            "put" => {
                answer.kv_put("native", answer.required("key")?, answer.required("value")?)?;
                answer.when_durable();
            }
            "delete" => {
                answer.kv_delete("native", answer.required("key")?)?;
                answer.when_durable();
            }
            "get" => {
                let value = answer.kv_get("native", answer.required("key")?);
                answer.set_body(format!("{value:?} {:?}", answer.kv_entries("native")).as_bytes());
            }
            "settings" => {
                let text = format!(
                    "{:?} {} {} {:?}",
                    answer.setting("own"),
                    answer.flag("own-flag"),
                    answer.flag("orderMessageEnable"),
                    answer.setting("no-such-setting")
                );
                answer.set_body(text.as_bytes());
            }
            "forward" => answer.forward("nowhere")?,
            "log" => answer.log(Level::WARN, "a line\nof a native plugin"),
            how => return Err(Refusal::error(format!("no such thing: {how}"))),
        }
        answer.set_code(0);
        Ok(())
    }
}

export_processor!(Native);
