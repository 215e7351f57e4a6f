//! What files mean, what is refused, and what is only told.

mod java_files;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use toml::{Table, Value};

use super::*;

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn at_home(home: &TempDir) -> Environment {
    Environment { home: Some(home.path().to_owned()), ..Environment::default() }
}

fn load_text(name: &str, text: impl AsRef<[u8]>) -> Result<Loaded, ConfigError> {
    let home = home();
    let file = home.path().join(name);
    fs::write(&file, text).unwrap();
    load(Some(&file), &at_home(&home))
}

fn toml(text: &str) -> Result<Loaded, ConfigError> {
    load_text("namesrv.toml", text)
}

fn java(text: impl AsRef<[u8]>) -> Result<Loaded, ConfigError> {
    load_text("namesrv.properties", text)
}

/// The problems of a refused file, as `line: text`.
fn refused(result: Result<Loaded, ConfigError>) -> Vec<String> {
    let error = result.expect_err("the file should be refused");
    assert!(error.to_string().contains("namesrv."), "{error}");
    let ConfigError::Invalid { problems, .. } = error else { panic!("{error}") };
    problems.iter().map(|p| format!("{}: {}", p.line.unwrap_or(0), p.text)).collect()
}

/// What was told about an accepted file, as `line: text`.
fn told(loaded: &Loaded) -> Vec<String> {
    loaded.notices.iter().map(|notice| format!("{}: {}", notice.line, notice.text)).collect()
}

fn keys(table: &Table, path: &str, keys: &mut Vec<String>) {
    for (name, value) in table {
        keys.push(format!("{path}{name}"));
        if let Value::Table(inner) = value {
            self::keys(inner, &format!("{path}{name}."), keys);
        }
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_example_file_has_every_key_with_its_default() {
    let text = fs::read_to_string(repository("conf/namesrv.toml")).unwrap();
    let (mut written, mut known) = (Vec::new(), Vec::new());
    keys(&text.parse().unwrap(), "", &mut written);
    keys(&Table::try_from(Config::default()).unwrap(), "", &mut known);

    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    written.sort();
    known.sort();
    assert_eq!(written, known);
}

#[test]
fn the_example_file_explains_every_key() {
    let text = fs::read_to_string(repository("conf/namesrv.toml")).unwrap();
    let lines: Vec<_> = text.lines().collect();

    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#')) {
        assert!(pair[0].starts_with("# "), "{} stands without a word", pair[1]);
    }
}

#[test]
fn the_example_file_marks_the_keys_that_may_change() {
    let text = fs::read_to_string(repository("conf/namesrv.toml")).unwrap();

    let live = java::KEYS.iter().filter(|key| key.effect == java::Effect::Live).count();

    assert_eq!(text.matches("# (live) ").count(), live + 1, "one of them is the legend");
}

#[test]
fn both_example_files_load_without_a_warning_and_mean_the_defaults() {
    let home = home();

    let ours = load(Some(&repository("conf/namesrv.toml")), &at_home(&home)).unwrap();
    let javas = load(Some(&repository("conf/namesrv.properties")), &at_home(&home)).unwrap();
    let none = load(None, &at_home(&home)).unwrap();

    assert_eq!((&ours.config, told(&ours)), (&none.config, vec![]));
    assert_eq!((&javas.config, told(&javas)), (&none.config, vec![]));
}

#[test]
fn paths_are_final_once_loaded() {
    let home = home();
    let file = home.path().join("x.toml");
    fs::write(&file, "[kv]\npath = '~/a/kv.json'\n[plugins]\ndirs = ['~/p', 'q']").unwrap();

    let config = load(Some(&file), &at_home(&home)).unwrap().config;

    assert_eq!(config.kv.path, home.path().join("a/kv.json"));
    assert_eq!(config.settings.overlay_path, Place::At(home.path().join("a/fingerpost-overlay.properties")));
    assert_eq!(config.plugins.dirs, [home.path().join("p"), "q".into()]);
    assert_eq!(config.plugins.cache_dir, Place::At(home.path().join(".cache/fingerpost")));
    assert_eq!(config.plugins.state_dir, Place::At(home.path().join("a/fingerpost-plugins")));
    assert_eq!(config.admin.control_socket, Place::At(home.path().join("a/fingerpost-plugins/control.sock")));
}

#[test]
fn without_a_place_to_remember_orders_none_are_taken_unless_the_operator_says_where() {
    let config = |more: &str| toml(&format!("{more}[plugins]\nstate-dir = 'none'")).unwrap().config;

    assert_eq!(config("").admin.control_socket, Place::None);
    let said = config("[admin]\ncontrol-socket = '~/fingerpost.sock'\n").admin.control_socket;
    assert!(said.path().is_some_and(|path| path.ends_with("fingerpost.sock") && path.is_absolute()), "{said:?}");
}

#[test]
fn without_a_home_nothing_is_cached_and_files_are_here() {
    let config = load(None, &Environment::default()).unwrap().config;

    assert_eq!(config.kv.path, Path::new("./namesrv/kvConfig.json"));
    assert_eq!(config.plugins.cache_dir, Place::None);
}

#[test]
fn values_of_every_kind_are_read() {
    let config = toml(
        "[net]\nbind-address = '::1'\nidle-timeout = '90s'\nframe-size-max = 1048576\nlane-bytes-max = '1GiB'
         [admin]\nadmin-from = ['203.0.113.0/24']
         [cluster-test]\nenabled = true\nname-servers = ['center:9876', '[::1]:1']
         [plugins.files.'audit.wasm']\noverride = true\ngrants = ['kv.write', 'upstream']
         on-failure = 'fallback'\nlimits = { memory-max = '8MiB', lane-deadline = '1s' }
         [plugins.embedded.topics.limits]\nhost-calls-max = 7
         [policies]\nchain = ['zone']\non-failure = { zone = 'skip' }",
    )
    .unwrap()
    .config;

    assert_eq!(config.net.bind_address.to_string(), "::1");
    assert_eq!(config.net.idle_timeout, Duration::from_secs(90));
    assert_eq!((config.net.frame_size_max, config.net.lane_bytes_max), (ByteSize::mib(1), ByteSize::mib(1024)));
    assert!(config.admin.admin_from.contain("203.0.113.7".parse().unwrap()));
    assert_eq!(config.cluster_test.name_servers[1].host(), "::1");
    let file = &config.plugins.files["audit.wasm"];
    assert!(
        file.overrides && file.grants.contains(&Grant::KvWrite(None)) && !file.grants.contains(&Grant::RoutesWrite)
    );
    assert_eq!(file.on_failure, ProcessorFailure::Fallback);
    let all = Limits::of_all(&config.plugins);
    let wanted = Limits { memory_max: ByteSize::mib(8), lane_deadline: Duration::from_secs(1), ..all };
    assert_eq!(file.limits.or(all), wanted);
    assert_eq!(config.plugins.embedded["topics"].limits.host_calls_max, Some(7));
    assert_eq!(config.policies.failure_of("zone"), PolicyFailure::Skip);
    assert_eq!(config.policies.failure_of("other"), PolicyFailure::Close);
}

#[test]
fn every_unknown_key_is_told_with_its_line_and_what_was_meant() {
    let problems = refused(toml(
        "[net]\nlisten-prot = 1\nscan-interval = '1s'\nlistenPort = 1\ncolour = 1\n\n\
         [livenes]\nx = 1\n[plugins.files.'a.wasm']\noverrride = true\nlimits = { memory-mx = 1 }",
    ));

    assert_eq!(
        problems,
        [
            "2: unknown key `net.listen-prot`; did you mean `net.listen-port`?",
            "3: unknown key `net.scan-interval`; did you mean `liveness.scan-interval`?",
            "4: unknown key `net.listenPort`; did you mean `net.listen-port`?",
            "5: unknown key `net.colour`",
            "7: unknown key `livenes`; did you mean `liveness`?",
            "10: unknown key `plugins.files.a.wasm.overrride`; did you mean `plugins.files.a.wasm.override`?",
            "11: unknown key `plugins.files.a.wasm.limits.memory-mx`; did you mean \
             `plugins.files.a.wasm.limits.memory-max`?",
        ]
    );
}

#[test]
fn bad_values_are_told_with_their_line() {
    for (text, start) in [
        ("[net]\n\nlisten-port = 70000", "3: "),
        ("[net]\nbind-address = 'local host'", "2: "),
        ("[net]\nframe-size-max = '16MB'", "2: a size is a number of bytes"),
        ("[net]\nidle-timeout = 120", "2: "),
        ("[net]\nworkers = -1", "2: "),
        (
            "[net]\nserialize-type = 'json'",
            "2: unknown variant `json`, expected `JSON` or `ROCKETMQ`; did you mean `JSON`?",
        ),
        (
            "[kv]\non-damage = 'refuze'",
            "2: unknown variant `refuze`, expected `refuse` or `set-aside`; did you mean `refuse`?",
        ),
        ("[plugins.files.'a.wasm']\ngrants = ['kv.wirte']", "2: \"kv.wirte\" is no grant; there are \"routes.write\""),
        ("[admin]\nadmin-from = ['10.0.0.0/33']", "2: "),
        ("[cluster-test]\nname-servers = ['a']", "2: `a` is not host:port"),
        ("net = 1", "1: "),
        ("[net", "1: "),
        ("[net]\nbacklog = 1\nbacklog = 2", "3: "),
    ] {
        let problems = refused(toml(text));

        assert!(problems.len() == 1 && problems[0].starts_with(start), "{text}: {problems:?}");
    }
}

#[test]
fn values_that_contradict_each_other_are_told_with_their_line() {
    for (text, problem) in [
        (
            "[net]\noutgoing-bytes-max = '64KiB'",
            "2: `net.outgoing-bytes-max` (64KiB) is smaller than `net.reply-bytes-waiting-max` (256KiB)",
        ),
        (
            "[net]\n\nlane-bytes-max = 1024",
            "3: `net.lane-bytes-max` (1KiB) is smaller than `net.lane-bytes-per-connection-max` (32MiB)",
        ),
        (
            "[net]\nlane-bytes-per-connection-max = 0",
            "2: `net.lane-bytes-per-connection-max` is 0, which is not between 1 and 18446744073709551615",
        ),
        (
            "[net]\nlane-bytes-max = '4GiB'",
            "2: `net.lane-bytes-max` is 4294967296, which is not between 1 and 4294967295",
        ),
        ("[net]\nbacklog = 0", "2: `net.backlog` is 0, which is not between 1 and 2147483647"),
        ("[liveness]\nscan-interval = '0s'", "2: `liveness.scan-interval` is no time at all"),
        (
            "[cluster-test]\nenabled = true\naddress-server = ''",
            "2: `cluster-test.enabled` needs `cluster-test.name-servers` (or NAMESRV_ADDR), or an \
             `cluster-test.address-server`: nobody could be asked",
        ),
        ("[policies]\nchain = ['zone', 'zone']", "2: `policies.chain` names `zone` twice"),
        (
            "[plugins]\nrollback-failures = 30",
            "2: `plugins.rollback-calls` is less than `plugins.rollback-failures`: so many calls cannot fail",
        ),
        (
            "[plugins.files.'sha256:ABC']\noverride = true",
            "1: `plugins.files.\"sha256:ABC\"` is not `sha256:` and 64 digits of 0-9 and a-f",
        ),
        ("[plugins.files.'a.wasm']\nsha256 = 'ab'", "2: a sha256 is 64 hexadecimal digits, as `sha256sum` prints them"),
        (
            "[policies.on-failure]\nzonne = 'skip'",
            "2: `policies.on-failure` names `zonne`, which is not in `policies.chain`; did you mean `zone`?",
        ),
        (
            "[plugins.files.'a.wasm'.limits]\nhost-calls-max = 0",
            "2: `plugins.files.a.wasm.limits.host-calls-max` is 0, which is not between 1 and 4294967295",
        ),
        ("[plugins]\nretry-after = '2m'", "2: `plugins.retry-after-max` is less than `plugins.retry-after`"),
        (
            "[plugins.files.'p/a.wasm']\noverride = true",
            "1: `plugins.files.\"p/a.wasm\"` is not the name of a .wasm file or a library (without its directory), nor \
             `sha256:` and the digest of a content",
        ),
        (
            "[plugins.files.'a.so']\nnative = true\n[plugins.files.'a.wasm']\nnative = true",
            "3: `plugins.files.\"a.wasm\"` is no library, so that `native` means nothing",
        ),
    ] {
        assert_eq!(refused(toml(text)), [problem], "{text}");
    }
}

#[test]
fn a_frame_may_be_larger_than_what_may_wait() {
    let config = toml("[net]\nframe-size-max = '512MiB'").unwrap().config;

    assert!(config.net.frame_size_max > config.net.lane_bytes_max);
    assert!(config.net.frame_size_max > config.net.outgoing_bytes_max);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_name() {
    let home = home();
    let missing = load(Some(&home.path().join("no.toml")), &at_home(&home)).unwrap_err();
    let directory = load(Some(home.path()), &at_home(&home)).unwrap_err();

    assert!(missing.to_string().starts_with(&format!("cannot read {}/no.toml: ", home.path().display())), "{missing}");
    assert!(matches!(directory, ConfigError::Read { .. }), "{directory}");
    assert!(matches!(java(vec![b' '; (4 << 20) + 1]), Err(ConfigError::TooLarge { .. })));
    assert_eq!(refused(load_text("namesrv.toml", b"[net]\n# \xff")), ["2: not UTF-8"]);
}

#[test]
fn the_environment_names_the_servers_to_ask_when_the_file_does_not() {
    let home = home();
    let file = home.path().join("x.properties");
    fs::write(&file, "clusterTest=true").unwrap();
    let environment = Environment { name_servers: Some("center:9876".to_owned()), ..at_home(&home) };

    let loaded = load(Some(&file), &environment).unwrap();

    assert_eq!(loaded.config.cluster_test.name_servers[0].to_string(), "center:9876");
    assert_eq!(told(&loaded), Vec::<String>::new());
    assert!(!loaded.config.cluster_test.asks_address_server());
    let unnamed = load(Some(&file), &at_home(&home)).unwrap();
    assert!(unnamed.config.cluster_test.asks_address_server());
    fs::write(&file, "clusterTest=true\nrocketmq.namesrv.domain=").unwrap();
    let nobody = told(&load(Some(&file), &at_home(&home)).unwrap());
    assert_eq!(nobody.len(), 1, "a Java file may leave nobody to ask, with a warning: {nobody:?}");
}

#[test]
fn what_is_said_of_tls_must_make_sense_together() {
    let named = |text: &str| refused(toml(text)).join("\n");

    assert_eq!(
        named("[tls]\ntest-mode = false\nkey-path = 'k'"),
        "2: `tls.test-mode` is false, so `tls.cert-path` must name a file"
    );
    assert_eq!(
        named("[tls]\ncert-path = 'c'"),
        "2: `tls.cert-path` does not count while `tls.test-mode` is true: set that to false"
    );
    let asks = "[tls]\ntest-mode = false\nkey-path = 'k'\ncert-path = 'c'\nneed-client-auth = 'require'\n";
    assert!(named(&format!("{asks}auth-client = true")).starts_with("6: `tls.auth-client` is true, so"));
    assert!(toml(asks).is_ok());
    assert!(named("[tls]\nmode = 'strict'").starts_with("2: unknown variant `strict`"));
    assert_eq!(
        named("[tls]\nciphers = ['ECDHE-RSA-AES256-GCM-SHA348', 'TLS_AES_128_GCM_SHA256']"),
        "2: `tls.ciphers` names `ECDHE-RSA-AES256-GCM-SHA348`, which is not spoken; did you mean \
         `ECDHE-RSA-AES256-GCM-SHA384`?"
    );
}

#[test]
fn the_overlay_must_not_be_a_file_of_the_operator() {
    let home = home();
    let file = home.path().join("namesrv.toml");
    fs::write(&file, "[settings]\noverlay-path = '~/namesrv.toml'").unwrap();

    let error = load(Some(&file), &at_home(&home));

    assert_eq!(refused(error), ["2: `settings.overlay-path` is this file, which is never written"]);
    assert_eq!(
        refused(toml("[settings]\noverlay-path = 'x'\n[kv]\npath = 'x'")),
        ["2: `settings.overlay-path` is the same file as `kv.path`"],
    );
}
