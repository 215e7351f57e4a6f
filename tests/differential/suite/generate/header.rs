//! The header of a request, in every form that arrives.

use fastrand::Rng;

use super::super::request::{Field, Form, Request};
use super::{choose, once_in, pick};

/// Versions of real clients, those around which something changes, and one that does not exist yet.
const VERSIONS: [i32; 17] = [37, 63, 213, 317, 333, 395, 400, 401, 409, 412, 413, 433, 475, 476, 477, 612, 700];

pub(super) fn version(rng: &mut Rng) -> i32 {
    if rng.bool() { 513 } else { choose(rng, &VERSIONS) }
}

/// Gives a request a form of its own.
pub(super) fn vary(rng: &mut Rng, request: &mut Request) {
    if request.code != 103 {
        request.version = version(rng);
    }
    if once_in(rng, 4) && i16::try_from(request.code).is_ok() {
        request.form = Form::Binary;
    }
    request.flag = match rng.u8(..100) {
        0..5 => 2,
        5 => 4,
        6 => 1,
        7 => 3,
        _ => 0,
    };
    if once_in(rng, 30) {
        request.fields.get_or_insert_default();
    }
    if once_in(rng, 20) {
        let names = ["ns", "nsd", "bname", "oway", "lo", "AccessKey", "Signature", "SecurityToken", "unknown"];
        let value = choose(rng, &["x", "", "false", "true"]);
        *request = request.clone().field(choose(rng, &names), value);
    }
    if request.form == Form::Json && once_in(rng, 12) {
        lenient(rng, request);
    }
}

/// What Java's reader accepts beyond what its writer writes.
fn lenient(rng: &mut Rng, request: &mut Request) {
    let (code, version) = (request.code, request.version);
    let members = [
        ("code", format!("\"{code}\"")),
        ("code", format!("{code}.7")),
        ("version", format!("\"{version}\"")),
        ("version", format!("{version}.0")),
        ("language", "\"GO\"".to_owned()),
        ("language", "\"go\"".to_owned()),
        ("language", "\"COBOL\"".to_owned()),
        ("language", "9".to_owned()),
        ("language", "null".to_owned()),
        ("remark", "\"é\\n\"".to_owned()),
        ("remark", "null".to_owned()),
        ("serializeTypeCurrentRPC", "\"ROCKETMQ\"".to_owned()),
        ("serializeTypeCurrentRPC", "\"X\"".to_owned()),
        ("serializeTypeCurrentRPC", "null".to_owned()),
        ("unknown", "{\"a\":[1,{\"b\":null}]}".to_owned()),
        ("CODE", "7".to_owned()),
        ("body", "null".to_owned()),
    ];
    if rng.bool() {
        let (name, value) = pick(rng, &members);
        request.members.push(((*name).to_owned(), value.clone()));
        return;
    }
    let fields = request.fields.get_or_insert_default();
    let numbers = fields.iter_mut().find(|field| field.value.parse::<i64>().is_ok() || field.value == "true");
    match numbers {
        Some(field) => field.raw = true,
        None => {
            let value = choose(rng, &["1", "1.50", "true", "null", "{\"a\":1}", "[1,2]", "1e3", "-0"]);
            fields.push(Field { name: "unknown".to_owned(), value: value.to_owned(), raw: true });
        }
    }
}
