//! What a command line means, and what it says when it means nothing.

use super::*;
use crate::config::{self, Environment, SerializeType};

fn serve(config: Option<&str>) -> Result<Command, Usage> {
    Ok(Command::Serve { config: config.map(PathBuf::from) })
}

fn parsed(line: &str) -> Result<Command, Usage> {
    parse(line.split_whitespace())
}

#[test]
fn without_options_the_server_serves() {
    assert_eq!(parsed(""), serve(None));
    assert_eq!(parsed("start now -"), serve(None));
}

#[test]
fn a_configuration_file_can_be_named_in_every_way_java_takes() {
    for line in [
        "-c a.properties",
        "-ca.properties",
        "-c=a.properties",
        "--configFile a.properties",
        "--configFile=a.properties",
        "--config a.properties",
        "-configFile a.properties",
        "-config=a.properties",
        "word -c a.properties word",
        "-c a.properties -c b.properties",
        "-n 10.0.0.1:9876;10.0.0.2:9876 -c a.properties",
        "-c a.properties -- -zz",
    ] {
        assert_eq!(parsed(line), serve(Some("a.properties")), "{line}");
    }
    assert_eq!(parsed("-c -zz"), serve(Some("-zz")));
}

#[test]
fn help_and_the_configuration_are_printed_on_request() {
    for line in ["-h", "--help", "-help", "--he", "-ph", "-c x -h", "-h -p"] {
        assert_eq!(parsed(line), Ok(Command::Help), "{line}");
    }
    for line in ["-p", "--printConfigItem", "-p word"] {
        assert_eq!(parsed(line), Ok(Command::PrintConfig { config: None }), "{line}");
    }
    assert_eq!(parsed("-p -c x"), Ok(Command::PrintConfig { config: Some("x".into()) }));
    assert_eq!(parsed("-pc x"), Ok(Command::PrintConfig { config: Some("x".into()) }));
}

#[test]
fn an_unknown_option_is_named_as_it_was_written() {
    for (line, word) in [
        ("-zz", "-zz"),
        ("-h -zz", "-zz"),
        ("--colour", "--colour"),
        ("--colour=red", "--colour=red"),
        ("-pz", "-pz"),
        ("--help=me", "--help=me"),
        ("-c x --configFiles y", "--configFiles"),
    ] {
        assert_eq!(parsed(line).unwrap_err().to_string(), format!("Unrecognized option: {word}"), "{line}");
    }
}

#[test]
fn an_option_without_its_argument_is_named_by_its_letter() {
    for line in ["-c", "--configFile", "-c -p", "-c --help", "-h -c"] {
        assert_eq!(parsed(line).unwrap_err().to_string(), "Missing argument for option: c", "{line}");
    }
    assert_eq!(parsed("-n"), Err(Usage::MissingArgument('n')));
}

#[test]
fn a_subcommand_is_the_first_word_and_reads_the_rest_by_itself() {
    let arguments = ["list", "-zz"].map(OsString::from).to_vec();
    assert_eq!(parsed("plugin list -zz"), Ok(Command::Plugin { arguments: arguments.clone() }));
    assert_eq!(parsed("why list -zz"), Ok(Command::Why { arguments }));
    assert_eq!(parsed("-c x plugin"), serve(Some("x")), "anywhere else it is a word, as in Java");
    let arguments = vec![OsString::from("bash")];
    assert_eq!(parsed("completions bash"), Ok(Command::Single { name: "completions", arguments }));
    assert_eq!(parsed("-c x man"), serve(Some("x")));
}

#[cfg(unix)]
#[test]
fn a_file_name_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    let name = OsString::from_vec(b"\xff.properties".to_vec());

    assert_eq!(parse([OsString::from("-c"), name.clone()]), Ok(Command::Serve { config: Some(name.into()) }));
}

#[test]
fn the_lines_that_scripts_wait_for_are_javas() {
    let line = |address: &str| boot_success_line(SerializeType::Json, &address.parse().unwrap(), 9876);

    assert_eq!(line("0.0.0.0"), "The Name Server boot success. serializeType=JSON, address 0.0.0.0:9876");
    assert_eq!(line("::"), "The Name Server boot success. serializeType=JSON, address :::9876");
    assert_eq!(line("[::1]"), "The Name Server boot success. serializeType=JSON, address [::1]:9876");
    assert_eq!(line("localhost"), "The Name Server boot success. serializeType=JSON, address localhost:9876");
    assert_eq!(config_loaded_line("/etc/a.conf".as_ref()), "load config properties file OK, /etc/a.conf");
    assert!(usage().starts_with("usage: mqnamesrv [-c <arg>] [-h] [-n <arg>] [-p]\n -c,"));
}

#[test]
fn the_configuration_is_printed_object_by_object_in_javas_order() {
    let environment = Environment { home: Some("/home/ann".into()), ..Environment::default() };
    let loaded = config::load(None, &environment).unwrap();

    let printed = print_config_items(&loaded);

    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 22 + 18 + 20);
    assert_eq!(lines[0], "rocketmqHome=");
    assert_eq!(lines[1], "kvConfigPath=/home/ann/namesrv/kvConfig.json");
    assert_eq!(lines[22], "bindAddress=0.0.0.0");
    assert_eq!(lines[40], "clientWorkerThreads=4");
    assert_eq!(lines[59], "enableReconnectForGoAway=true");
}
