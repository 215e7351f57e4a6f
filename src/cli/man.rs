//! The manual page. Made of the [table](super::words) of subcommands and of what the server itself takes.

use std::fmt::Write as _;

use lexopt::Parser;

use super::words::{Given, Verb, all};
use super::{exit, plugin, usage};

/// `fingerpost man`
pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    Given::read(words, &[], (0, 0))?;
    plugin::print(page().trim_end());
    Ok(exit::OK)
}

/// The page, as `man` reads it.
fn page() -> String {
    let mut page = String::from(
        ".\\\" Made by `fingerpost man`.\n\
         .TH FINGERPOST 1 \"\" \"Fingerpost\" \"User Commands\"\n\
         .SH NAME\n\
         fingerpost \\- a NameServer for Apache RocketMQ whose request processors and route policies are plugins\n\
         .SH SYNOPSIS\n\
         .B fingerpost\n\
         [\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-n\\fR \\fIADDRESSES\\fR] [\\fB\\-p\\fR] [\\fB\\-h\\fR]\n",
    );
    for (name, word) in all() {
        line(&mut page, format!(".br\n.B fingerpost {}\n{}", escaped(&name), synopsis(word)).trim_end());
    }
    line(
        &mut page,
        ".SH DESCRIPTION\n\
         Without a subcommand, the server runs until SIGINT or SIGTERM. Its options are those of mqnamesrv:\n\
         .PP\n.nf",
    );
    usage().lines().skip(1).for_each(|text| line(&mut page, &escaped(text)));
    line(&mut page, ".fi\n.SH COMMANDS");
    for (name, word) in all() {
        line(&mut page, &format!(".SS fingerpost {}\n{}.", escaped(&name), escaped(word.about)));
        if !word.more.is_empty() {
            line(&mut page, &escaped(word.more));
        }
        for option in word.options {
            let choices = match option.choices {
                [] => String::new(),
                choices => format!(" One of: {}.", choices.join(", ")),
            };
            let value = option.value.map_or_else(String::new, |value| format!(" \\fI{}\\fR", escaped(value)));
            line(&mut page, &format!(".TP\n\\fB\\-\\-{}\\fR{value}", escaped(option.name)));
            line(&mut page, &format!("{}.{}", escaped(&capitalized(option.about)), escaped(&choices)));
        }
    }
    line(
        &mut page,
        ".SH EXIT STATUS\n\
         0 when all is well, and of the server after a signal; 1 when the answer of a subcommand is no, or the command \
         line is wrong; 130 when a SIGINT came while the server was stopping; 255 when the server could not start, or \
         a subcommand could not be tried.\n\
         .SH ENVIRONMENT\n.TP\n.B RUST_LOG\nWhat is logged, in place of what is configured.",
    );
    page
}

fn synopsis(word: &Verb) -> String {
    let options = word.options.iter().map(|option| match option.value {
        None => format!("[\\fB\\-\\-{}\\fR]", escaped(option.name)),
        Some(value) => format!("[\\fB\\-\\-{}\\fR \\fI{}\\fR]", escaped(option.name), escaped(value)),
    });
    let takes = (!word.arguments.is_empty()).then(|| format!("\\fI{}\\fR", escaped(word.arguments)));
    takes.into_iter().chain(options).collect::<Vec<_>>().join(" ")
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a string takes what is written");
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// Backslashes and dashes mean themselves, and no line is a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
