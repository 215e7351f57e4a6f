//! The plugins that are embedded in the binary.
//!
//! They are built from `plugins/` by `plugins/build` and committed, so that nobody needs a WebAssembly compiler to
//! build the server. Nothing about them is known here but their bytes: what they answer, they say themselves.

/// Every embedded component, with the name of its file.
pub(crate) const COMPONENTS: &[(&str, &[u8])] = &[
    ("acting-master.wasm", include_bytes!("../../plugins/acting-master.wasm")),
    ("brokers.wasm", include_bytes!("../../plugins/brokers.wasm")),
    ("cluster.wasm", include_bytes!("../../plugins/cluster.wasm")),
    ("cluster-test.wasm", include_bytes!("../../plugins/cluster-test.wasm")),
    ("kv.wasm", include_bytes!("../../plugins/kv.wasm")),
    ("lookup.wasm", include_bytes!("../../plugins/lookup.wasm")),
    ("settings.wasm", include_bytes!("../../plugins/settings.wasm")),
    ("topics.wasm", include_bytes!("../../plugins/topics.wasm")),
    ("unit-topics.wasm", include_bytes!("../../plugins/unit-topics.wasm")),
    ("zone.wasm", include_bytes!("../../plugins/zone.wasm")),
];
