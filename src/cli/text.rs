//! What is printed, letter by letter as Java prints it: scripts wait for these lines.

use std::fmt::Write;
use std::path::Path;

use crate::config::{BindAddress, Loaded, SerializeType};

/// What `-h` prints.
pub fn usage() -> &'static str {
    "\
usage: mqnamesrv [-c <arg>] [-h] [-n <arg>] [-p]
 -c,--configFile <arg>    Name server config properties file
 -h,--help                Print help
 -n,--namesrvAddr <arg>   Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'
 -p,--printConfigItem     Print all config items
"
}

/// The line on stdout once connections are accepted, without its end.
// Java: `NamesrvStartup.createAndStartNamesrvController`.
pub fn boot_success_line(serialize: SerializeType, address: &BindAddress, port: u16) -> String {
    // Java shows the address as it was configured, and the port that was free.
    format!("The Name Server boot success. serializeType={}, address {address}:{port}", serialize.name())
}

/// The line on stdout once the file that `-c` names has been read, without its end.
pub fn config_loaded_line(file: &Path) -> String {
    format!("load config properties file OK, {}", file.display())
}

/// What `-p` prints: one `key=value` for each field of Java's configuration objects.
pub fn print_config_items(loaded: &Loaded) -> String {
    loaded.items().into_iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, "{key}={value}").expect("a string takes what is written");
        text
    })
}
