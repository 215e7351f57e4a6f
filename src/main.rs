//! The `fingerpost` command: reads the command line, then prints or serves. The exit code is decided here.

use std::process::ExitCode;

use fingerpost::cli::{self, Command, exit};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(wrong) => {
            eprintln!("{wrong}");
            print!("{}", cli::usage());
            return exit::USAGE.into();
        }
    };
    let done = match command {
        Command::Help => {
            print!("{}", cli::usage());
            Ok(exit::OK)
        }
        Command::PrintConfig { config } => cli::print_config(config.as_deref()).map(|()| exit::OK),
        Command::Serve { config } => cli::serve(config.as_deref()).map(|()| exit::OK),
        Command::Plugin { arguments } => cli::plugin(arguments),
        Command::Why { arguments } => cli::why(arguments),
        Command::Single { name, arguments } => cli::single(name, arguments),
        _ => Ok(exit::OK),
    };
    match done {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("fingerpost: {error}");
            exit::FATAL.into()
        }
    }
}
