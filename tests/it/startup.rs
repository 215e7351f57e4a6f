//! The program from outside: its options, its exit codes, its lines on standard output, its end.

use std::net::TcpListener;
use std::path::Path;

use crate::harness::Client;
use crate::process::{Ended, program, run, serve, start, start_in, write_properties};
use crate::requests::{Reply, cluster_info, kv_get, kv_put};

const USAGE: &str = "\
usage: mqnamesrv [-c <arg>] [-h] [-n <arg>] [-p]
 -c,--configFile <arg>    Name server config properties file
 -h,--help                Print help
 -n,--namesrvAddr <arg>   Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'
 -p,--printConfigItem     Print all config items
";

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

fn run_with(home: &Path, arguments: &[&str]) -> Ended {
    let mut command = program(home);
    command.args(arguments);
    run(command)
}

/// Runs with this text as its TOML file.
fn run_with_toml(text: &str) -> Ended {
    let home = home();
    std::fs::write(home.path().join("namesrv.toml"), text).expect("the temporary directory is writable");
    run_with(home.path(), &["-c", "namesrv.toml"])
}

#[test]
fn help_is_printed_with_success() {
    let ended = run_with(home().path(), &["-h"]);

    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), USAGE, ""));
}

#[test]
fn a_wrong_command_line_is_told_with_the_usage() {
    let home = home();

    let unknown = run_with(home.path(), &["-zz"]);
    let missing = run_with(home.path(), &["-c"]);

    assert_eq!((unknown.code, &*unknown.stdout, &*unknown.stderr), (Some(1), USAGE, "Unrecognized option: -zz\n"));
    assert_eq!(
        (missing.code, &*missing.stdout, &*missing.stderr),
        (Some(1), USAGE, "Missing argument for option: c\n")
    );
}

#[test]
fn the_configuration_is_printed_without_a_home_and_without_serving() {
    let home = home();
    let file = write_properties(home.path(), &[("orderMessageEnable", "true")]);

    let defaults = run_with(home.path(), &["-p"]);
    let changed = run_with(home.path(), &["-p", "-c", &file.to_string_lossy()]);

    assert_eq!((defaults.code, changed.code), (Some(0), Some(0)), "{defaults:?}");
    assert!(defaults.stdout.contains("\norderMessageEnable=false\n"), "{}", defaults.stdout);
    assert!(defaults.stdout.contains("\nlistenPort=9876\n"), "{}", defaults.stdout);
    assert!(changed.stdout.contains("\norderMessageEnable=true\n"), "{}", changed.stdout);
    assert!(!home.path().join("namesrv").exists(), "nothing is written to print");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let ended = run_with(home().path(), &["-c", "nowhere.properties"]);

    assert_eq!(ended.code, Some(255));
    assert!(ended.stderr.contains("cannot read nowhere.properties: "), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
    let ended = run_with_toml("[net]\nlisten-port = 0\n\n[liveness]\nscan-intervall = \"5s\"\n");

    assert_eq!(ended.code, Some(255));
    let complaint = "namesrv.toml:5: unknown key `liveness.scan-intervall`; did you mean `liveness.scan-interval`?";
    assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told_at_once() {
    let ended = run_with_toml("[net]\nlisten-port = 0\nframe-size-max = 1\n[kv]\npath = \"/\"\n");

    assert_eq!(ended.code, Some(255));
    assert!(ended.stderr.contains("namesrv.toml:3: `net.frame-size-max`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("namesrv.toml:5: `kv.path`"), "{}", ended.stderr);
}

#[test]
fn javas_files_may_hold_keys_that_nobody_knows() {
    let server = start(&[("noSuchKey", "1"), ("waitSecondsForService", "47 "), ("scanNotActiveBrokerInterval", "x")]);

    assert_eq!(Client::connect(server.addr).ask(cluster_info()).code, 0);
    let log = server.log();
    assert!(log.contains("namesrv.properties:4") && log.contains("noSuchKey"), "{log}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = taken.local_addr().expect("it has an address");
    let home = home();
    let file = write_properties(home.path(), &[("listenPort", &address.port().to_string())]);

    let ended = run_with(home.path(), &["-c", &file.to_string_lossy()]);

    assert_eq!(ended.code, Some(255));
    assert!(ended.stderr.contains(&format!("cannot listen on {address}: ")), "{}", ended.stderr);
    assert!(!ended.stdout.contains("boot success"), "{}", ended.stdout);
}

#[test]
fn nothing_in_the_environment_is_needed() {
    let home = home();
    std::fs::write(home.path().join("my.properties"), "listenPort=0\nbindAddress=127.0.0.1\n")
        .expect("the temporary directory is writable");
    let mut command = program(home.path());
    command.env_clear().args(["-c", "my.properties"]);

    let server = serve(command, home);

    let mut client = Client::connect(server.addr);
    assert_eq!(client.ask(kv_put("n", "k", "v")).code, 0);
    assert!(server.home().join("namesrv/kvConfig.json").is_file(), "where it was started is home");
}

#[test]
fn the_start_is_announced_as_java_announces_it() {
    let home = home();
    let file = write_properties(home.path(), &[]);
    let mut command = program(home.path());
    command.arg("-c").arg(&file);
    let mut server = serve(command, home);

    server.signal("TERM");
    server.wait();

    let loaded = format!("load config properties file OK, {}", file.display());
    let boot = format!("The Name Server boot success. serializeType=JSON, address {}", server.addr);
    assert_eq!(server.stdout(), format!("{loaded}\n{boot}\n"), "and nothing else");
}

#[test]
fn either_signal_ends_it_with_success_while_peers_are_connected() {
    for signal in ["TERM", "INT"] {
        let mut server = start(&[]);
        let mut client = Client::connect(server.addr);
        assert_eq!(client.ask(cluster_info()).code, 0);

        server.signal(signal);
        let status = server.wait();

        assert_eq!(status.code(), Some(0), "{signal}: {}", server.log());
        assert!(client.receive().is_none(), "its connections are closed");
    }
}

#[test]
fn what_was_answered_before_the_end_is_there_afterwards() {
    const PUTS: i32 = 200;
    let mut server = start(&[]);
    let mut client = Client::connect(server.addr);
    for at in 1..=PUTS {
        client.send(&kv_put("n", &at.to_string(), "v"));
    }
    let mut answered = vec![client.receive().expect("the first answer comes before the end").opaque];

    server.signal("TERM");
    while let Some(reply) = client.receive() {
        assert_eq!(reply.code, 0, "{}", reply.remark_text());
        answered.push(reply.opaque);
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());

    let server = start_in(server.into_home(), &[]);
    let mut client = Client::connect(server.addr);
    for key in answered {
        assert_eq!(client.ask(kv_get("n", &key.to_string())).code, 0, "{key} was answered, and is lost");
    }
}

#[test]
fn a_second_server_on_the_same_file_is_refused() {
    let server = start(&[]);
    let other = home();
    let kv = server.home().join("kvConfig.json");
    let file = write_properties(other.path(), &[("kvConfigPath", &kv.to_string_lossy())]);

    let ended = run_with(other.path(), &["-c", &file.to_string_lossy()]);

    assert_eq!(ended.code, Some(255));
    assert!(ended.stderr.contains("is in use by another server"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&*kv.to_string_lossy()), "{}", ended.stderr);
    assert_eq!(Client::connect(server.addr).ask(kv_put("n", "k", "v")).code, 0, "the first one goes on");
}
