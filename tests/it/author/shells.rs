//! Completions and the manual page know every subcommand and option, and their readers take them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{directory, fingerpost, path};

const VERBS: [&str; 6] = ["check", "inspect", "test", "bench", "new", "replay"];
const OTHERS: [&str; 8] = ["plugin", "completions", "man", "conformance", "json", "python", "record", "max-size"];

/// What a program makes of a text on its standard input; none when it is not installed.
fn given_to(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("SKIPPED: there is no {program} on this machine");
        assert!(std::env::var_os("CI").is_none() || program != "bash", "CI has a {program}");
        return None;
    };
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some((output.status.success(), told))
}

#[test]
fn every_shell_is_told_every_subcommand_and_option() {
    for shell in ["bash", "zsh", "fish"] {
        let made = fingerpost(&["completions", shell]);
        assert_eq!(made.code, 0, "{}", made.err);
        for word in VERBS.iter().chain(&OTHERS) {
            assert!(made.out.contains(word), "{word} is not in the completions of {shell}");
        }
        if let Some((is_good, told)) = given_to(shell, &["-n"], &made.out) {
            assert!(is_good, "{shell}: {told}");
        }
    }
    let other = fingerpost(&["completions", "tcsh"]);
    assert_eq!(other.code, 1);
    assert!(other.err.contains("bash, zsh and fish"), "{}", other.err);
}

#[test]
fn bash_completes_what_has_been_begun() {
    let made = fingerpost(&["completions", "bash"]).out;
    let completed = |words: &str| {
        let count = words.split(' ').count() - 1;
        let script = format!(
            "{made}\nCOMP_WORDS=({words})\n[[ '{words}' == *' ' ]] && COMP_WORDS+=('')\nCOMP_CWORD={count}\n_fingerpost\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        given_to("bash", &["-s"], &script).map(|(_, told)| told.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    for (words, expected) in [
        ("fingerpost plug", "plugin"),
        ("fingerpost plugin insp", "inspect"),
        ("fingerpost plugin test a.wasm --conf", "--conformance"),
        ("fingerpost plugin new a --lang py", "python"),
        ("fingerpost plugin replay --rec", "--record"),
        ("fingerpost completions f", "fish"),
        ("fingerpost --print", "--printConfigItem"),
    ] {
        if let Some(told) = completed(words) {
            assert_eq!(told, [expected], "{words}");
        }
    }
}

#[test]
fn the_manual_page_has_every_subcommand_and_no_fault() {
    let page = fingerpost(&["man"]).out;

    for verb in VERBS {
        assert!(page.contains(&format!(".SS fingerpost plugin {verb}\n")), "{verb}");
    }
    assert!(page.contains("\\fB\\-\\-record\\fR \\fIFILE\\fR\n"), "{page}");
    assert!(page.starts_with(".\\\"") && page.contains(".SH EXIT STATUS"));
    let dir = directory(&[("fingerpost.1", page.as_bytes())]);
    if let Some((_, told)) = given_to("mandoc", &["-T", "lint", "-W", "warning", &path(&dir, "fingerpost.1")], "") {
        let faults: Vec<_> = told.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(faults.is_empty(), "{told}");
    }
    if let Some((is_good, told)) = given_to("man", &["--warnings", "-l", &path(&dir, "fingerpost.1")], "") {
        assert!(is_good && !told.contains("warning"), "{told}");
    }
}
