//! The plugins that are embedded in the binary.
//!
//! They are built from `plugins/` by `plugins/build` and committed, so that nobody needs a WebAssembly compiler to
//! build the server. Nothing about them is known here but their bytes: what they answer, they say themselves.

/// The bytes of a file of the directory that `plugins/embed.rs` chose: `plugins`, but for tests of rebuilt components.
macro_rules! embedded {
    ($file:literal) => {
        include_bytes!(concat!(env!("FINGERPOST_EMBEDDED_GUESTS"), "/", $file))
    };
}

/// Those of every server, each with the name of its file.
pub(crate) const COMPONENTS: &[(&str, &[u8])] = &[
    ("acting-master.wasm", embedded!("acting-master.wasm")),
    ("brokers.wasm", embedded!("brokers.wasm")),
    ("cluster.wasm", embedded!("cluster.wasm")),
    ("cluster-test.wasm", embedded!("cluster-test.wasm")),
    ("kv.wasm", embedded!("kv.wasm")),
    ("lookup.wasm", embedded!("lookup.wasm")),
    ("settings.wasm", embedded!("settings.wasm")),
    ("topics.wasm", embedded!("topics.wasm")),
    ("unit-topics.wasm", embedded!("unit-topics.wasm")),
    ("zone.wasm", embedded!("zone.wasm")),
];

/// Policies that a server has only when its chain names them; otherwise nobody even looks at their bytes. The file is
/// called as the policy is.
pub(crate) const ON_DEMAND: &[(&str, &[u8])] = &[
    ("address-map.wasm", embedded!("address-map.wasm")),
    ("canary.wasm", embedded!("canary.wasm")),
    ("drain.wasm", embedded!("drain.wasm")),
];

/// Whether these bytes are those of an embedded plugin, whether it is used or not: the source tree keeps them in
/// `plugins/`.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    name_of(bytes).is_some()
}

/// The name of the embedded plugin that has these bytes.
pub(crate) fn name_of(bytes: &[u8]) -> Option<&'static str> {
    named().find(|(_, known)| *known == bytes).map(|(name, _)| name)
}

/// The names of all that are embedded, used or not.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    named().map(|(name, _)| name)
}

/// Each file is called as its plugin is.
fn named() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    COMPONENTS.iter().chain(ON_DEMAND).filter_map(|(file, bytes)| Some((file.strip_suffix(".wasm")?, *bytes)))
}

/// The names of the policies that wait to be named.
pub(crate) fn on_demand<'a>() -> impl Iterator<Item = &'a str> {
    ON_DEMAND.iter().filter_map(|(file, _)| -> Option<&'a str> { file.strip_suffix(".wasm") })
}
