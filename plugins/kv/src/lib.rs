//! `kv` reads and writes the KV store: 100 stores a value, 101 reads one, 102 removes one, 219 lists a namespace.
//!
//! A write is answered when it is on disk; Java answers before, and is silent when the disk fails. Java:
//! `DefaultRequestProcessor`, `KVConfigManager`.

use fingerpost_sdk::{Outcome, Processor, Refusal, body, code, export_processor, field, kv, reply};

struct Kv;

impl Processor for Kv {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        match code {
            100 => put(),
            101 => get(),
            102 => delete(),
            219 => list(),
            _ => Err(Refusal::not_supported(code)),
        }
    }
}

/// Java: `DefaultRequestProcessor.putKVConfig`.
fn put() -> Outcome {
    let (Some(namespace), Some(key)) = (field::text("namespace"), field::text("key")) else {
        return Err(Refusal::error("namespace or key is null"));
    };
    // Without a value, too: the namespace exists from then on, and the key does not.
    kv::put(&namespace, &key, field::text("value").as_deref())?;
    succeed_when_durable();
    Ok(())
}

/// Java: `DefaultRequestProcessor.getKVConfig`.
fn get() -> Outcome {
    let namespace = field::text("namespace");
    let key = field::text("key");
    reply::set_fields_present();
    let value = match (&namespace, &key) {
        (Some(namespace), Some(key)) => kv::get(namespace, key),
        _ => None,
    };
    let Some(value) = value else {
        let namespace = field::or_null(namespace.as_deref());
        let key = field::or_null(key.as_deref());
        return Err(not_found(&[namespace, " Key: ", key]));
    };
    reply::set_field("value", &value);
    reply::set_code(code::SUCCESS);
    Ok(())
}

/// Java: `DefaultRequestProcessor.deleteKVConfig`. What was not there is removed with success.
fn delete() -> Outcome {
    if let (Some(namespace), Some(key)) = (field::text("namespace"), field::text("key")) {
        kv::delete(&namespace, &key)?;
    }
    succeed_when_durable();
    Ok(())
}

/// Java: `DefaultRequestProcessor.getKVListByNamespace`.
fn list() -> Outcome {
    let namespace = field::text("namespace");
    let Some(entries) = namespace.as_deref().and_then(kv::entries) else {
        return Err(not_found(&[field::or_null(namespace.as_deref())]));
    };
    body::send_table(&entries);
    reply::set_code(code::SUCCESS);
    Ok(())
}

fn not_found(what: &[&str]) -> Refusal {
    Refusal::new(code::QUERY_NOT_FOUND, "No config item, Namespace: ".to_owned() + &what.concat())
}

fn succeed_when_durable() {
    reply::set_code(code::SUCCESS);
    reply::when_durable();
}

export_processor!(Kv);
