//! What shells are told about the subcommands, so that they can complete them. Made of the [table](super::words) of
//! those.

use std::fmt::Write as _;

use lexopt::Parser;

use super::words::{Given, Opt, Verb, all};
use super::{exit, plugin};

/// The options of the server itself, which takes no word.
const SERVER_OPTIONS: &str = "-c -h -n -p --configFile --help --namesrvAddr --printConfigItem";

/// The shells that there are completions for, and who writes them.
const SHELLS: [(&str, Writer); 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];

type Writer = fn() -> String;

/// `fingerpost completions SHELL`
pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, &[], (1, 1))?;
    let shell = given.arguments[0].to_string_lossy().into_owned();
    let Some((_, completions)) = SHELLS.iter().find(|(known, _)| *known == shell) else {
        let text = format!("there are completions for bash, zsh and fish, not for {shell:?}");
        return Err(lexopt::Error::from(text).into());
    };
    plugin::print(completions().trim_end());
    Ok(exit::OK)
}

/// For bash.
fn bash() -> String {
    let mut text = String::from(
        "# Completions of fingerpost for bash. Made by `fingerpost completions bash`.\n\
         _fingerpost() {\n    \
             local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n    \
             local command=${COMP_WORDS[1]-}\n    \
             COMPREPLY=()\n    \
             if ((COMP_CWORD == 1)); then\n",
    );
    line(
        &mut text,
        &format!("        COMPREPLY=($(compgen -W '{} {SERVER_OPTIONS}' -- \"$word\"))", firsts().join(" ")),
    );
    line(&mut text, "        return\n    fi");
    for group in groups() {
        let seconds = seconds(group).join(" ");
        line(&mut text, &format!("    if [[ $command == {group} ]]; then"));
        line(&mut text, "        if ((COMP_CWORD == 2)); then");
        line(&mut text, &format!("            COMPREPLY=($(compgen -W '{seconds}' -- \"$word\"))"));
        line(&mut text, "            return\n        fi\n        command+=\" ${COMP_WORDS[2]}\"\n    fi");
    }
    line(&mut text, "    case \"$command $before\" in");
    for (name, word) in all() {
        for option in word.options.iter().filter(|option| !option.choices.is_empty()) {
            let choices = option.choices.join(" ");
            line(&mut text, &format!("        '{name} --{}')", option.name));
            line(&mut text, &format!("            COMPREPLY=($(compgen -W '{choices}' -- \"$word\")); return ;;"));
        }
    }
    line(&mut text, "    esac\n    case $command in");
    for (name, word) in all() {
        let options: Vec<_> = word.options.iter().map(|option| format!("--{}", option.name)).collect();
        let words = [options.join(" "), "--help".to_owned(), arguments(word).join(" ")].join(" ");
        line(&mut text, &format!("        '{name}') COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;", words.trim()));
    }
    line(&mut text, "    esac\n}\ncomplete -o default -o bashdefault -F _fingerpost fingerpost");
    text
}

/// For zsh.
fn zsh() -> String {
    let mut text = String::from("#compdef fingerpost\n# Made by `fingerpost completions zsh`.\n_fingerpost() {\n");
    line(&mut text, "    local command=${words[2]-}");
    line(&mut text, "    if ((CURRENT == 2)); then");
    line(&mut text, &format!("        compadd -- {} {SERVER_OPTIONS}", firsts().join(" ")));
    line(&mut text, "        return\n    fi");
    for group in groups() {
        line(&mut text, &format!("    if [[ $command == {group} ]]; then\n        if ((CURRENT == 3)); then"));
        line(&mut text, "            local -a commands=(");
        for (_, word) in all().filter(|(name, _)| name.split(' ').next() == Some(group)) {
            line(&mut text, &format!("                {}", single_quoted(&format!("{}:{}", word.name, word.about))));
        }
        line(&mut text, "            )\n            _describe command commands\n            return\n        fi");
        line(&mut text, "        command+=\" ${words[3]}\"\n    fi");
    }
    line(&mut text, "    case $command in");
    for (name, word) in all() {
        let options = word.options.iter().map(|option| single_quoted(&zsh_option(option)));
        let options: Vec<_> = options.chain(["'--help[tell more]'".to_owned()]).collect();
        let rest = match &arguments(word)[..] {
            [] => "'*:file:_files'".to_owned(),
            choices => format!("'*:argument:({})'", choices.join(" ")),
        };
        line(&mut text, &format!("        {}) _arguments -S {} {rest} ;;", single_quoted(&name), options.join(" ")));
    }
    line(
        &mut text,
        "    esac\n}\n[[ ${funcstack[1]-} == _fingerpost ]] && _fingerpost \"$@\" || compdef _fingerpost fingerpost",
    );
    text
}

fn zsh_option(option: &Opt) -> String {
    let about = option.about.replace([':', '[', ']'], " ");
    match (option.value, option.choices) {
        (None, _) => format!("--{}[{about}]", option.name),
        (Some(value), []) => format!("*--{}=[{about}]:{value}:_files", option.name),
        (Some(value), choices) => format!("--{}=[{about}]:{value}:({})", option.name, choices.join(" ")),
    }
}

/// For fish.
fn fish() -> String {
    let mut text = String::from("# Completions of fingerpost for fish. Made by `fingerpost completions fish`.\n");
    for first in firsts() {
        let about = all().find(|(name, _)| name == first).map_or("Commands about plugins", |(_, word)| word.about);
        let about = single_quoted(about);
        line(&mut text, &format!("complete -c fingerpost -n __fish_use_subcommand -f -a {first} -d {about}"));
    }
    for (name, word) in all() {
        let seen = match name.split_once(' ') {
            None => format!("__fish_seen_subcommand_from {name}"),
            Some((group, second)) => {
                let siblings = seconds(group).join(" ");
                let before =
                    format!("__fish_seen_subcommand_from {group}; and not __fish_seen_subcommand_from {siblings}");
                line(
                    &mut text,
                    &format!("complete -c fingerpost -n '{before}' -f -a {second} -d {}", single_quoted(word.about)),
                );
                format!("__fish_seen_subcommand_from {group}; and __fish_seen_subcommand_from {second}")
            }
        };
        for option in word.options {
            let takes = match (option.value, option.choices) {
                (None, _) => String::new(),
                (Some(_), []) => " -r".to_owned(),
                (Some(_), choices) => format!(" -x -a '{}'", choices.join(" ")),
            };
            let about = single_quoted(option.about);
            line(&mut text, &format!("complete -c fingerpost -n '{seen}' -l {}{takes} -d {about}", option.name));
        }
        for argument in arguments(word) {
            line(&mut text, &format!("complete -c fingerpost -n '{seen}' -f -a {argument}"));
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes what is written");
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "’"))
}

/// What can be the first word.
fn firsts() -> Vec<&'static str> {
    groups().into_iter().chain(all().filter(|(name, _)| !name.contains(' ')).map(|(_, word)| word.name)).collect()
}

/// The first words that have a second.
fn groups() -> Vec<&'static str> {
    vec!["plugin"]
}

fn seconds(group: &str) -> Vec<&'static str> {
    all()
        .filter(|(name, _)| name.split_once(' ').is_some_and(|(first, _)| first == group))
        .map(|(_, word)| word.name)
        .collect()
}

/// The arguments that are one of a few.
fn arguments(word: &Verb) -> Vec<&'static str> {
    if word.arguments == "SHELL" { SHELLS.iter().map(|(shell, _)| *shell).collect() } else { Vec::new() }
}
