//! What types cannot refuse: ranges, and keys that contradict each other.

use std::collections::BTreeSet;
use std::env::consts::DLL_SUFFIX;
use std::time::Duration;

use super::{
    CIPHERS, ClientAuth, Config, Limits, PROTOCOLS, PluginFile, PluginsConfig, TlsMode, cipher, protocol, suggest,
};

/// Our key, and what is wrong with its value.
pub(super) type Complaint = (String, String);

/// Everything that is wrong with a configuration whose types are right.
pub(super) fn complaints(config: &Config) -> Vec<Complaint> {
    let mut wrong = Vec::new();
    net(config, &mut wrong);
    tls(config, &mut wrong);
    tables(config, &mut wrong);
    plugins(config, &mut wrong);
    policies(config, &mut wrong);
    wrong
}

fn within(wrong: &mut Vec<Complaint>, key: &str, value: u64, min: u64, max: u64) {
    if !(min..=max).contains(&value) {
        wrong.push((key.to_owned(), format!("`{key}` is {value}, which is not between {min} and {max}")));
    }
}

fn positive(wrong: &mut Vec<Complaint>, key: &str, time: Duration) {
    if time.is_zero() {
        wrong.push((key.to_owned(), format!("`{key}` is no time at all")));
    }
}

fn net(config: &Config, wrong: &mut Vec<Complaint>) {
    const INT_MAX: u64 = i32::MAX as u64;
    const THREADS_MAX: u64 = 1024;
    let net = &config.net;

    within(wrong, "net.frame-size-max", net.frame_size_max.get(), 1024, INT_MAX);
    within(wrong, "net.backlog", net.backlog.into(), 1, INT_MAX);
    within(wrong, "net.workers", net.workers.into(), 0, THREADS_MAX);
    within(wrong, "net.connections-max", net.connections_max.into(), 1, u32::MAX.into());
    within(wrong, "net.send-buffer-size", net.send_buffer_size.get(), 0, INT_MAX);
    within(wrong, "net.receive-buffer-size", net.receive_buffer_size.get(), 0, INT_MAX);
    within(wrong, "net.lane-threads", net.lane_threads.into(), 0, THREADS_MAX);

    if net.proxy_protocol_required && net.proxy_protocol_from.is_empty() {
        let text = "`net.proxy-protocol-required` needs `net.proxy-protocol-from`: no peer is known to be a proxy";
        wrong.push(("net.proxy-protocol-required".to_owned(), text.to_owned()));
    }

    // With none, nobody would ever be read. The lane counts its bytes in 32 bits.
    let per_connection = net.lane_bytes_per_connection_max.get();
    within(wrong, "net.lane-bytes-per-connection-max", per_connection, 1, u64::MAX);
    within(wrong, "net.lane-bytes-max", net.lane_bytes_max.get(), 1, u32::MAX.into());

    // No limit has to hold a frame: one that is larger goes through alone.
    let sizes = [
        (
            "net.lane-bytes-per-connection-max",
            net.lane_bytes_per_connection_max,
            "net.lane-bytes-max",
            net.lane_bytes_max,
        ),
        (
            "net.reply-bytes-waiting-resume",
            net.reply_bytes_waiting_resume,
            "net.reply-bytes-waiting-max",
            net.reply_bytes_waiting_max,
        ),
        ("net.reply-bytes-waiting-max", net.reply_bytes_waiting_max, "net.outgoing-bytes-max", net.outgoing_bytes_max),
    ];
    for (lesser, less, greater, more) in sizes {
        if less > more {
            wrong.push((greater.to_owned(), format!("`{greater}` ({more}) is smaller than `{lesser}` ({less})")));
        }
    }
}

fn tls(config: &Config, wrong: &mut Vec<Complaint>) {
    let tls = &config.tls;
    let mut complain = |key: &str, text: String| wrong.push((key.to_owned(), text));

    let ciphers: Vec<_> = CIPHERS.iter().flat_map(|(java, openssl)| [*java, *openssl]).collect();
    name_list("tls.ciphers", &tls.ciphers, &ciphers, |name| cipher(name).is_some(), &mut complain);
    name_list("tls.protocols", &tls.protocols, &PROTOCOLS, |name| protocol(name).is_some(), &mut complain);

    if tls.mode != TlsMode::Disabled {
        let files = [("tls.cert-path", &tls.cert_path), ("tls.key-path", &tls.key_path)];
        for (key, path) in files {
            if tls.test_mode && !path.as_os_str().is_empty() {
                complain(key, format!("`{key}` does not count while `tls.test-mode` is true: set that to false"));
            }
            if !tls.test_mode && path.as_os_str().is_empty() {
                complain("tls.test-mode", format!("`tls.test-mode` is false, so `{key}` must name a file"));
            }
        }
        let asks = !tls.test_mode && tls.need_client_auth != ClientAuth::None;
        if asks && tls.auth_client && tls.trust_cert_path.as_os_str().is_empty() {
            let text = "`tls.auth-client` is true, so `tls.trust-cert-path` must name the roots of the clients";
            complain("tls.auth-client", text.to_owned());
        }
    }
    let client = &tls.client;
    if client.enabled && !tls.test_mode {
        if client.auth_server && client.trust_cert_path.as_os_str().is_empty() {
            let text = "`tls.client.auth-server` is true, so `tls.client.trust-cert-path` must name the roots";
            complain("tls.client.auth-server", text.to_owned());
        }
        if client.cert_path.as_os_str().is_empty() != client.key_path.as_os_str().is_empty() {
            let text = "`tls.client.cert-path` and `tls.client.key-path` go together";
            complain("tls.client.cert-path", text.to_owned());
        }
    }
}

/// Names of a list that nobody knows; and that no known one is left, which is worse.
fn name_list(
    key: &str,
    names: &[String],
    all: &[&'static str],
    is_known: impl Fn(&str) -> bool,
    complain: &mut impl FnMut(&str, String),
) {
    for name in names.iter().filter(|name| !is_known(name)) {
        let hint = suggest::nearest(name, all.iter().copied());
        let hint = hint.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        complain(key, format!("`{key}` names `{}`, which is not spoken{hint}", name.escape_debug()));
    }
    if !names.is_empty() && !names.iter().any(|name| is_known(name)) {
        complain(&format!("{key} left"), format!("`{key}` leaves none that is spoken; there are: {}", all.join(", ")));
    }
}

fn tables(config: &Config, wrong: &mut Vec<Complaint>) {
    positive(wrong, "liveness.scan-interval", config.liveness.scan_interval);
    within(wrong, "route.registration-topics-max", config.route.registration_topics_max.into(), 1, u32::MAX.into());
    within(
        wrong,
        "route.registration-inflated-size-max",
        config.route.registration_inflated_size_max.get(),
        1024,
        u64::MAX,
    );
    if config.kv.path.file_name().is_none() {
        wrong.push(("kv.path".to_owned(), "`kv.path` names no file".to_owned()));
    }
    if config.settings.overlay_path.path().is_some_and(|path| path == config.kv.path) {
        let text = "`settings.overlay-path` is the same file as `kv.path`";
        wrong.push(("settings.overlay-path".to_owned(), text.to_owned()));
    }
    positive(wrong, "cluster-test.timeout", config.cluster_test.timeout);
    let cluster_test = &config.cluster_test;
    if cluster_test.enabled && cluster_test.name_servers.is_empty() && !cluster_test.asks_address_server() {
        let text = "`cluster-test.enabled` needs `cluster-test.name-servers` (or NAMESRV_ADDR), or an \
                    `cluster-test.address-server`: nobody could be asked";
        wrong.push(("cluster-test.enabled".to_owned(), text.to_owned()));
    }
}

fn plugins(config: &Config, wrong: &mut Vec<Complaint>) {
    let plugins = &config.plugins;
    limits(wrong, "plugins", Limits::of_all(plugins));
    let good = Limits::of_all(&PluginsConfig::default());
    for (name, file) in &plugins.files {
        limits(wrong, &format!("plugins.files.{name}.limits"), file.limits.or(good));
    }
    for (name, embedded) in &plugins.embedded {
        limits(wrong, &format!("plugins.embedded.{name}.limits"), embedded.limits.or(good));
    }
    within(wrong, "plugins.component-size-max", plugins.component_size_max.get(), 1, u32::MAX.into());
    positive(wrong, "plugins.retry-after", plugins.retry_after);
    if plugins.retry_after_max < plugins.retry_after {
        let text = "`plugins.retry-after-max` is less than `plugins.retry-after`";
        wrong.push(("plugins.retry-after".to_owned(), text.to_owned()));
    }
    if plugins.rollback_calls < plugins.rollback_failures {
        let text = "`plugins.rollback-calls` is less than `plugins.rollback-failures`: so many calls cannot fail";
        wrong.push(("plugins.rollback-failures".to_owned(), text.to_owned()));
    }
    for (name, file) in &plugins.files {
        let text = match PluginFile::content_of(name) {
            Some(_) if file.native => "means a content: `native` is for the name of a file",
            Some(_) if file.sha256.is_some() => "means a content already, so that `sha256` says it twice",
            Some(_) => continue,
            None if name.starts_with("sha256:") => "is not `sha256:` and 64 digits of 0-9 and a-f",
            None if name.contains(['/', '\\']) || !(name.ends_with(".wasm") || name.ends_with(DLL_SUFFIX)) => {
                "is not the name of a .wasm file or a library (without its directory), nor `sha256:` and the digest of \
                 a content"
            }
            None if file.native && !name.ends_with(DLL_SUFFIX) => "is no library, so that `native` means nothing",
            None => continue,
        };
        wrong.push((format!("plugins.files.{name}"), format!("`plugins.files.\"{name}\"` {text}")));
    }
}

fn limits(wrong: &mut Vec<Complaint>, path: &str, limits: Limits) {
    let key = |name: &str| format!("{path}.{name}");
    positive(wrong, &key("worker-deadline"), limits.worker_deadline);
    positive(wrong, &key("lane-deadline"), limits.lane_deadline);
    // The embedded plugins begin with 1.1 MiB. With less, none of them would start.
    within(wrong, &key("memory-max"), limits.memory_max.get(), 2 << 20, u64::MAX);
    within(wrong, &key("reply-size-max"), limits.reply_size_max.get(), 1, u64::MAX);
    // Tables hold the addresses of functions, and the embedded plugins have some.
    within(wrong, &key("table-entries-max"), limits.table_entries_max.into(), 1000, u32::MAX.into());
    within(wrong, &key("host-calls-max"), limits.host_calls_max.into(), 1, u32::MAX.into());
}

fn policies(config: &Config, wrong: &mut Vec<Complaint>) {
    let chain = &config.policies.chain;
    let mut seen = BTreeSet::new();
    for name in chain {
        if !seen.insert(name) {
            wrong.push(("policies.chain".to_owned(), format!("`policies.chain` names `{name}` twice")));
        }
    }
    for name in config.policies.on_failure.keys().filter(|name| !chain.contains(name)) {
        let mut text = format!("`policies.on-failure` names `{name}`, which is not in `policies.chain`");
        if let Some(near) = suggest::nearest(name, chain.iter().map(String::as_str)) {
            text += &format!("; did you mean `{near}`?");
        }
        wrong.push((format!("policies.on-failure.{name}"), text));
    }
}
