//! How the official NameServer is started: with the flags of its own `runserver.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FLAGS: [&str; 12] = [
    "-server",
    "-Xms4g",
    "-Xmx4g",
    "-XX:MetaspaceSize=128m",
    "-XX:MaxMetaspaceSize=320m",
    "-XX:+UseG1GC",
    "-XX:G1HeapRegionSize=16m",
    "-XX:G1ReservePercent=25",
    "-XX:InitiatingHeapOccupancyPercent=30",
    "-XX:SoftRefLRUPolicyMSPerMB=0",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:-UseLargePages",
];

pub(super) fn command(home: &Path, jars: &Path, port: u16) -> Result<Command, String> {
    let file = home.join("namesrv.properties");
    let text = format!(
        "listenPort={port}\nbindAddress=127.0.0.1\nrocketmqHome={0}\nkvConfigPath={0}/kvConfig.json\n\
         configStorePath={0}/stored.properties\n",
        home.display()
    );
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new("java");
    command
        .args(FLAGS)
        .arg(format!("-Duser.home={}", home.display()))
        .arg("-Drmq.logback.configurationFile=rmq.namesrv.logback.xml")
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .args(["org.apache.rocketmq.namesrv.NamesrvStartup", "-c"])
        .arg(file)
        .env("ROCKETMQ_HOME", home)
        .current_dir(home);
    Ok(command)
}

/// The jars of the interop suite, which knows where to get them.
pub(super) fn jars() -> Result<PathBuf, String> {
    if !Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Err("this machine has no `java`".to_owned());
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let jars = match std::env::var_os("FINGERPOST_INTEROP_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => project.join("target/interop/lib"),
    };
    let script = r#"set -eu; . "$here/prepare.sh"; mkdir -p "$(dirname "$lib")"; fetch_jars"#;
    let fetched =
        Command::new("bash").args(["-c", script]).env("here", project.join("tests/interop")).env("lib", &jars).status();
    match fetched {
        Ok(status) if status.success() => Ok(jars),
        _ => Err(format!("no RocketMQ jars in {}, and they could not be fetched", jars.display())),
    }
}
