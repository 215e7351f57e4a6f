//! What Java's own files mean here.

use super::*;

#[test]
fn java_keys_set_ours() {
    let config = java(
        "bindAddress= localhost \nlistenPort : 0\nserverChannelMaxIdleTimeSeconds 300\nsupportActingMaster=TRUE
         kvConfigPath=/data/kv.json\nscanNotActiveBrokerInterval=250\nclusterTest=true\nrocketmq.namesrv.addr=a:1;b:2
         com.rocketmq.remoting.frameMaxLength=67108864\nrocketmq.serialize.type=ROCKETMQ",
    )
    .unwrap()
    .config;

    assert_eq!(config.net.bind_address.to_string(), "localhost");
    assert_eq!((config.net.listen_port, config.net.idle_timeout), (0, Duration::from_secs(300)));
    assert_eq!(config.net.serialize_type, SerializeType::Rocketmq);
    assert_eq!(config.net.frame_size_max, ByteSize::mib(64));
    assert!(config.route.support_acting_master);
    assert_eq!(config.kv.path, Path::new("/data/kv.json"));
    assert_eq!(config.settings.overlay_path.path().unwrap(), Path::new("/data/fingerpost-overlay.properties"));
    assert_eq!(config.liveness.scan_interval, Duration::from_millis(250));
    assert_eq!(config.cluster_test.name_servers.len(), 2);
}

#[test]
fn values_that_java_ignores_are_ignored_with_a_warning() {
    let loaded = java("waitSecondsForService=47 \nlistenPort=98x\n\nscanNotActiveBrokerInterval=-1\n").unwrap();

    assert_eq!(loaded.config.requests.wait_for_service_time, Duration::from_secs(45));
    assert_eq!(
        told(&loaded),
        [
            "1: `waitSecondsForService`: `47 ` is not a 32-bit number; ignored; \
             `requests.wait-for-service-time` stays as it was",
            "2: `listenPort`: `98x` is not a 32-bit number; ignored; `net.listen-port` stays as it was",
            "4: `scanNotActiveBrokerInterval`: `-1` is not between 1 and 86400000; ignored; \
             `liveness.scan-interval` stays as it was",
        ]
    );
}

#[test]
fn a_server_that_would_listen_elsewhere_than_it_was_told_does_not_start() {
    assert_eq!(refused(java("\nlistenPort=70000")), ["2: `listenPort`: `70000` is not between 0 and 65535"]);
    assert_eq!(
        refused(java("bindAddress=[::1]:9876")),
        ["1: `bindAddress`: `[::1]:9876` is not an address or the name of a host"],
    );
}

#[test]
fn only_true_is_true_and_anything_but_false_is_told() {
    let loaded = java("orderMessageEnable=yes\nsupportActingMaster=true \nenableTopicList=False").unwrap();

    let Switches { order_message_enable, support_acting_master, enable_topic_list, .. } = Switches::of(&loaded.config);
    assert_eq!([order_message_enable, support_acting_master, enable_topic_list], [false; 3]);
    assert_eq!(
        told(&loaded),
        [
            "1: `orderMessageEnable` is neither true nor false; taken as false, as in Java",
            "2: `supportActingMaster` is neither true nor false; taken as false, as in Java",
        ]
    );
}

#[test]
fn keys_without_effect_are_told_with_the_reason() {
    let loaded = java(
        "serverSelectorThreads=3\nserverSelectorThreads=5\nconnectTimeoutMillis=1\nenableControllerInNamesrv=true",
    )
    .unwrap();

    let severities: Vec<_> = loaded.notices.iter().map(|notice| notice.severity).collect();
    assert_eq!(severities, [Severity::Info, Severity::Warning, Severity::Warning, Severity::Warning]);
    let untuned = "3: `connectTimeoutMillis` is accepted without effect: the few calls that this server makes itself are \
                   not tuned";
    assert_eq!(told(&loaded)[2], untuned);
    let alone = "4: `enableControllerInNamesrv` is accepted without effect: a controller has to be run on its own";
    assert_eq!(told(&loaded)[3], alone);
}

#[test]
fn java_keys_about_tls_set_ours_and_what_java_would_not_understand_is_told() {
    let loaded = java(
        "tls.server.mode=strict\ntls.server.need.client.auth=REQUIRE\ntls.test.mode.enable=false\n\
         tls.server.keyPath=/k.pem\ntls.server.certPath=/c.pem\ntls.server.keyPassword=hush\nuseTLS=true\n\
         tls.ciphers=ECDHE-RSA-AES128-GCM-SHA256, RC4-MD5\ntls.protocols=TLSv1.1,TLSv1.2",
    )
    .unwrap();

    let tls = &loaded.config.tls;
    assert_eq!((tls.mode, tls.need_client_auth, tls.test_mode), (TlsMode::Permissive, ClientAuth::Require, false));
    assert_eq!((tls.key_path.as_path(), tls.cert_path.as_path()), (Path::new("/k.pem"), Path::new("/c.pem")));
    assert_eq!((tls.key_password.reveal(), tls.client.enabled), ("hush", true));
    assert_eq!(
        told(&loaded),
        [
            "1: `tls.server.mode`: `strict` is not disabled, permissive or enforcing; ignored; `tls.mode` stays as it was",
            "8: `tls.ciphers` names `RC4-MD5`, which is not spoken",
            "9: `tls.protocols` names `TLSv1.1`, which is not spoken; did you mean `TLSv1.3`?",
        ]
    );
    assert!(!format!("{loaded:?}").contains("hush"), "the password is shown");
    let unspoken = refused(java("tls.protocols=SSLv3"));
    assert_eq!(unspoken, ["0: `tls.protocols` leaves none that is spoken; there are: TLSv1.3, TLSv1.2"]);
}

#[test]
fn a_password_for_a_key_is_shown_by_nothing() {
    let loaded = java("tls.server.keyPassword=hush\ntls.client.keyPassword=hush").unwrap();

    let shown = format!("{:?} {:?} {:?}", loaded.config, loaded.items(), Settings::new(&loaded).entries());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn javas_properties_file_about_tls_overrides_but_for_the_mode_and_is_asked_for_by_ours() {
    let home = home();
    let tls = home.path().join("tls.properties");
    fs::write(
        &tls,
        "tls.test.mode.enable=false\ntls.server.keyPath=/k\ntls.server.certPath=/c\ntls.server.mode=disabled",
    )
    .unwrap();
    let load_with = |environment: &Environment, name: &str, text: &str| {
        let file = home.path().join(name);
        fs::write(&file, text).unwrap();
        load(Some(&file), environment).unwrap()
    };
    let nobody = at_home(&home);
    let here = Environment { tls_properties: Some(tls.clone()), ..at_home(&home) };
    let counts = |loaded: &Loaded| !loaded.config.tls.test_mode && loaded.config.tls.key_path == Path::new("/k");
    let mode = "4: `tls.server.mode` does not count in this file, as in Java";

    let beside_java = load_with(&here, "a.properties", "tls.server.keyPath=/other");
    assert!(counts(&beside_java) && beside_java.config.tls.mode == TlsMode::Permissive);
    assert_eq!(told(&beside_java).last().unwrap(), mode);
    assert!(counts(&load(None, &here).unwrap()), "without -c it is read too");
    assert!(!counts(&load_with(&here, "a.toml", "")), "ours does not ask for it");
    assert!(counts(&load_with(&nobody, "b.toml", &format!("[tls]\nproperties-file = {tls:?}"))));
    let missing = load_with(&nobody, "b.properties", "tls.config.file=/nowhere/tls.properties");
    assert!(told(&missing)[0].starts_with("1: `tls.config.file` is passed over: cannot read"), "{:?}", told(&missing));
    let file = home.path().join("c.toml");
    fs::write(&file, "[tls]\nproperties-file = '/nowhere/tls.properties'").unwrap();
    assert!(load(Some(&file), &nobody).is_err());
}

#[test]
fn unknown_java_keys_are_kept_and_told_with_what_was_meant() {
    let loaded = java("listenprot=1\nmine=2\nb\\u0007d=3").unwrap();

    assert_eq!(
        told(&loaded),
        [
            "1: unknown key `listenprot`; kept for display only; did you mean `listenPort`?",
            "2: unknown key `mine`; kept for display only",
            "3: unknown key `b\\u{7}d`; kept for display only",
        ]
    );
}

#[test]
fn of_two_equal_keys_the_last_counts_and_a_server_key_beats_its_system_property() {
    let file = "serverSocketSndBufSize=1\ncom.rocketmq.remoting.socket.sndbuf.size=9\nserverSocketSndBufSize=2";

    assert_eq!(java(file).unwrap().config.net.send_buffer_size, ByteSize::new(2));
}

#[test]
fn a_malformed_escape_refuses_a_java_file_with_its_line() {
    let error = java("a=1\nb=\\u12").unwrap_err().to_string();

    assert!(error.ends_with("namesrv.properties:2: malformed \\uXXXX escape"), "{error}");
}

#[test]
fn a_java_file_in_utf_8_is_read_as_latin_1_and_told() {
    let loaded = java("a=1\nkvConfigPath=/données/kv.json").unwrap();

    assert_eq!(loaded.config.kv.path, Path::new("/donnÃ©es/kv.json"));
    assert!(told(&loaded).iter().any(|told| told.starts_with("2: characters beyond ASCII")), "{:?}", told(&loaded));
}

#[test]
fn javas_write_buffer_marks_count_together_or_not_at_all() {
    let marks = |text: &str| {
        let loaded = java(text).unwrap();
        let net = loaded.config.net;
        let told: Vec<_> = loaded.notices.iter().map(|notice| (notice.line, notice.text.clone())).collect();
        (net.reply_bytes_waiting_max, net.reply_bytes_waiting_resume, told)
    };
    let (high, low) = (ByteSize::kib(256), ByteSize::kib(128));

    assert_eq!(marks("writeBufferHighWaterMark=0\nwriteBufferLowWaterMark=0"), (high, low, vec![]));
    assert_eq!(
        marks("writeBufferHighWaterMark=65536\nwriteBufferLowWaterMark=32768"),
        (ByteSize::kib(64), ByteSize::kib(32), vec![])
    );
    let together = "writeBufferHighWaterMark and writeBufferLowWaterMark count only together, as in Java; ignored";
    assert_eq!(marks("\nwriteBufferHighWaterMark=100"), (high, low, vec![(2, together.to_owned())]));
    assert_eq!(marks("writeBufferLowWaterMark=100"), (high, low, vec![(1, together.to_owned())]));
    // Java does not start either.
    let upside_down = refused(java("writeBufferHighWaterMark=100\nwriteBufferLowWaterMark=200"));
    assert_eq!(upside_down.len(), 1, "{upside_down:?}");
    assert!(upside_down[0].starts_with("1: `net.reply-bytes-waiting-max` (100) is smaller"), "{upside_down:?}");
    // Beyond what all peers may have together, which Java does not bound.
    assert_eq!(marks("writeBufferHighWaterMark=1073741824\nwriteBufferLowWaterMark=1").0, ByteSize::mib(1024));
}
