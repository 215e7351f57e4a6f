//! What request 319 shows, what request 318 changes, and what a restart remembers.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::config::{ConfigError, Environment, load};

/// A home directory, with a file to start from.
struct Home {
    dir: TempDir,
    file: Option<PathBuf>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), file: None }
    }

    fn with_file(text: &str) -> Self {
        let home = Self::new();
        let file = home.dir.path().join("operator.properties");
        fs::write(&file, text).unwrap();
        Self { file: Some(file), ..home }
    }

    fn environment(&self) -> Environment {
        let rocketmq_home = Some("/opt/rocketmq".to_owned());
        Environment { home: Some(self.dir.path().to_owned()), rocketmq_home, ..Environment::default() }
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        load(self.file.as_deref(), &self.environment())
    }

    fn start(&self) -> Settings {
        Settings::new(&self.load().unwrap())
    }

    fn overlay(&self) -> PathBuf {
        self.dir.path().join("namesrv/fingerpost-overlay.properties")
    }
}

fn refusals(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused { .. })).map(ToString::to_string).collect()
}

#[test]
fn by_default_319_shows_javas_forty_keys() {
    let home = Home::new();
    let dir = home.dir.path().display();

    let shown: Vec<_> = home.start().entries().iter().map(|(key, value)| format!("{key}={value}")).collect();

    let expected = format!(
        "bindAddress=0.0.0.0
clientRequestThreadPoolNums=8
clientRequestThreadPoolQueueCapacity=50000
clusterTest=false
configBlackList=configBlackList;configStorePath;kvConfigPath
configStorePath={dir}/namesrv/namesrv.properties
defaultThreadPoolNums=16
defaultThreadPoolQueueCapacity=10000
deleteTopicWithBrokerRegistration=false
enableAllTopicList=true
enableControllerInNamesrv=false
enableShutdownGracefully=false
enableTopicList=true
kvConfigPath={dir}/namesrv/kvConfig.json
listenPort=9876
needWaitForService=false
notifyMinBrokerIdChanged=false
orderMessageEnable=false
productEnvName=center
returnOrderTopicConfigToBroker=true
rocketmqHome=/opt/rocketmq
scanNotActiveBrokerInterval=5000
serverAsyncSemaphoreValue=64
serverCallbackExecutorThreads=0
serverChannelMaxIdleTimeSeconds=120
serverNettyWorkerGroupEnable=true
serverOnewaySemaphoreValue=256
serverPooledByteBufAllocatorEnable=true
serverSelectorThreads=3
serverSocketBacklog=1024
serverSocketRcvBufSize=0
serverSocketSndBufSize=0
serverWorkerThreads=8
shutdownWaitTimeSeconds=30
supportActingMaster=false
unRegisterBrokerQueueCapacity=3000
useEpollNativeSelector=false
waitSecondsForService=45
writeBufferHighWaterMark=0
writeBufferLowWaterMark=0"
    );
    assert_eq!(shown.join("\n"), expected);
    assert_eq!(shown.len(), 22 + 18);
}

#[test]
fn without_rocketmq_home_its_key_is_not_shown() {
    let settings = Settings::new(&load(None, &Environment::default()).unwrap());

    assert_eq!(settings.get("rocketmqHome"), None);
    assert_eq!(settings.entries().len(), 39);
}

#[test]
fn keys_of_the_file_are_shown_but_for_secrets() {
    let home = Home::with_file(
        "listenPort=10911\nserverSelectorThreads=+5\nnotifyMinBrokerIdChanged=TRUE\nshutdownWaitTimeSeconds=7\n\
         defaultThreadPoolNums=x\nconnectTimeoutMillis=7 \n\
         mine=\\u4e2d\\n \n\
         configStorePath=/etc/elsewhere\ntls.server.keyPassword=hush\nmyPassword=hush\n\
         com.rocketmq.remoting.frameMaxLength=2048",
    );
    let settings = home.start();
    let get = |key| settings.get(key);

    assert_eq!(get("listenPort").unwrap(), "10911");
    assert_eq!(get("serverSelectorThreads").unwrap(), "5", "as Java read it");
    assert_eq!(get("notifyMinBrokerIdChanged").unwrap(), "true");
    assert_eq!(get("shutdownWaitTimeSeconds").unwrap(), "7");
    assert_eq!(get("defaultThreadPoolNums").unwrap(), "16", "the bad value is ignored");
    assert_eq!(get("configStorePath").unwrap(), home.file.as_ref().unwrap().to_str().unwrap(), "the argument of -c");
    assert_eq!(get("mine").unwrap(), "中\n ");
    assert_eq!(get("com.rocketmq.remoting.frameMaxLength").unwrap(), "2048");
    assert!(!settings.entries().iter().any(|(_, value)| value.contains("hush")));
    assert_eq!((get("myPassword"), get("tls.server.keyPassword")), (None, None));
}

#[test]
fn keys_are_sorted_as_java_sorts_text() {
    // U+FF5E comes before U+1F600 in UTF-8, and after its surrogates in UTF-16.
    let settings = Home::with_file("\\uff5e=1\n\\ud83d\\ude00=2\nzz=3\nZZ=4").start();

    let keys: Vec<_> = settings.entries().into_iter().map(|(key, _)| key).collect();

    assert_eq!(keys[0], "ZZ");
    assert_eq!(keys[keys.len() - 3..], ["zz", "😀", "～"]);
}

#[test]
fn flags_are_read_by_javas_names() {
    let settings = Home::with_file("supportActingMaster=true\nuseEpollNativeSelector=true\nmine=true").start();

    assert!(settings.flag("supportActingMaster"));
    assert!(settings.flag("enableTopicList"));
    assert!(settings.flag("useEpollNativeSelector"));
    assert!(!settings.flag("clusterTest"));
    assert!(!settings.flag("mine"), "nobody says that it is a flag");
    assert!(settings.switches().support_acting_master);
}

#[test]
fn an_update_is_seen_at_once_and_after_a_restart() {
    let home = Home::with_file("enableTopicList=true\n# mine\n");
    let settings = home.start();

    let outcomes = settings.update(&[("enableTopicList", "false"), ("serverChannelMaxIdleTimeSeconds", "7")]).unwrap();

    assert_eq!(
        outcomes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`enableTopicList` changes from true to false", "`serverChannelMaxIdleTimeSeconds` changes from 120 to 7"],
    );
    for settings in [settings, home.start()] {
        assert!(!settings.flag("enableTopicList"));
        assert_eq!(settings.switches().idle_timeout, Duration::from_secs(7));
        assert_eq!(settings.get("serverChannelMaxIdleTimeSeconds").unwrap(), "7");
    }
    assert_eq!(fs::read_to_string(home.file.unwrap()).unwrap(), "enableTopicList=true\n# mine\n", "never written");
}

#[test]
fn a_later_update_keeps_what_an_earlier_one_changed() {
    let home = Home::new();
    home.start().update(&[("orderMessageEnable", "true")]).unwrap();

    home.start().update(&[("needWaitForService", "true")]).unwrap();

    assert!(home.start().flag("orderMessageEnable") && home.start().flag("needWaitForService"));
    let left: Vec<_> =
        fs::read_dir(home.overlay().parent().unwrap()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["fingerpost-overlay.properties"], "no temporary file stays");
}

#[test]
fn what_cannot_change_is_left_alone_and_the_rest_is_applied() {
    let settings = Home::new().start();
    let before = settings.entries();

    let outcomes = settings
        .update(&[
            ("enableTopiclist", "false"),
            ("no\nsuch", "1"),
            ("kvConfigPath", "/tmp/x"),
            ("configStorePath", "/tmp/x"),
            ("rocketmqHome", "/tmp/x"),
            ("configBlackList", ""),
            ("listenPort", "1"),
            ("bindAddress", "127.0.0.1"),
            ("clusterTest", "true"),
            ("serverWorkerThreads", "1"),
            ("waitSecondsForService", "47 "),
            ("scanNotActiveBrokerInterval", "0"),
            ("enableControllerInNamesrv", "true"),
            ("supportActingMaster", "true"),
        ])
        .unwrap();

    assert_eq!(
        refusals(&outcomes),
        [
            "`enableTopiclist` is unknown; did you mean `enableTopicList`?",
            "`no\\nsuch` is unknown",
            "`kvConfigPath` does not change at run time: it counts when the server starts",
            "`configStorePath` does not change at run time: the path given with -c counts; \
             changes are kept in the file `settings.overlay-path`",
            "`rocketmqHome` does not change at run time: nothing is read from there",
            "`configBlackList` does not change at run time: it counts when the server starts",
            "`listenPort` does not change at run time: it counts when the server starts",
            "`bindAddress` does not change at run time: it counts when the server starts",
            "`clusterTest` does not change at run time: it counts when the server starts",
            "`serverWorkerThreads` does not change at run time: one worker runs per core; \
             to change that, set `net.workers` in a TOML file",
            "`waitSecondsForService` keeps its value: the new one is not a 32-bit number",
            "`scanNotActiveBrokerInterval` keeps its value: the new one is not between 1 and 86400000",
            "`enableControllerInNamesrv` does not change at run time: a controller has to be run on its own",
        ]
    );
    let after = settings.entries();
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(_, (key, _))| key.as_str()).collect();
    assert_eq!(changed, ["supportActingMaster"]);
}

#[test]
fn the_version_rises_when_something_changed_and_only_then() {
    let settings = Home::new().start();
    assert_eq!(settings.version(), 1);

    settings.update(&[("enableTopicList", "true"), ("nothing", "1")]).unwrap();
    assert_eq!(settings.version(), 1, "it was true before");
    settings.update(&[("enableTopicList", "false"), ("orderMessageEnable", "true")]).unwrap();
    assert_eq!(settings.version(), 2, "one update is one change");
    settings.update::<&str, &str>(&[]).unwrap();
    assert_eq!(settings.version(), 2);
}

#[test]
fn a_snapshot_does_not_move() {
    let settings = Home::new().start();
    let before = settings.snapshot();

    settings.update(&[("enableTopicList", "false")]).unwrap();

    assert!(before.flag("enableTopicList") && before.switches().enable_topic_list);
    assert_eq!((before.version(), settings.snapshot().version()), (1, 2));
}

#[test]
fn an_update_that_cannot_be_remembered_changes_nothing() {
    let home = Home::new();
    let settings = home.start();
    // A file where the directory should be.
    fs::write(home.dir.path().join("namesrv"), "").unwrap();

    let error = settings.update(&[("enableTopicList", "false")]).unwrap_err();

    assert!(error.to_string().contains("fingerpost-overlay.properties"), "{error}");
    assert!(settings.flag("enableTopicList"));
    assert_eq!(settings.version(), 1);
    settings.update(&[("kvConfigPath", "x")]).expect("nothing to remember, so nothing fails");
}

#[test]
fn without_an_overlay_changes_last_until_the_server_stops() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    fs::write(&file, "[settings]\noverlay-path = 'none'").unwrap();
    let environment = Environment { home: Some(dir.path().to_owned()), ..Environment::default() };
    let start = || Settings::new(&load(Some(&file), &environment).unwrap());
    let settings = start();

    settings.update(&[("enableTopicList", "false")]).unwrap();

    assert!(!settings.flag("enableTopicList"));
    assert!(start().flag("enableTopicList"));
}

#[test]
fn an_overlay_applies_live_keys_only_and_tells_what_it_does() {
    let home = Home::with_file("orderMessageEnable=false");
    fs::create_dir(home.overlay().parent().unwrap()).unwrap();
    fs::write(home.overlay(), "orderMessageEnable=true\nkvConfigPath=/tmp/x\nwaitSecondsForService=x\n").unwrap();

    let loaded = home.load().unwrap();

    assert!(loaded.config.requests.order_message_enable);
    assert_eq!(loaded.config.kv.path, home.dir.path().join("namesrv/kvConfig.json"));
    let told: Vec<_> = loaded.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!(
        told,
        [
            "`orderMessageEnable` is true, as set at run time",
            "`kvConfigPath` does not change at run time; ignored",
            "`waitSecondsForService` is not a 32-bit number; ignored",
        ]
    );
}

#[test]
fn what_a_crash_left_behind_is_not_read() {
    let home = Home::new();
    home.start().update(&[("enableTopicList", "false")]).unwrap();
    let half_written = home.overlay().with_file_name("fingerpost-overlay.properties.4711.tmp");
    fs::write(half_written, "enableTopicList=true\nb=\\u12").unwrap();

    assert!(!home.start().flag("enableTopicList"));
}

#[test]
fn a_damaged_overlay_stops_the_start_with_its_line() {
    let home = Home::new();
    fs::create_dir(home.overlay().parent().unwrap()).unwrap();
    fs::write(home.overlay(), "a=1\nb=\\u12").unwrap();

    let error = home.load().unwrap_err().to_string();

    assert!(error.ends_with("fingerpost-overlay.properties:2: malformed \\uXXXX escape"), "{error}");
}

#[test]
fn updates_from_many_threads_are_all_remembered() {
    let home = Home::new();
    let settings = home.start();
    let keys = ["orderMessageEnable", "needWaitForService", "supportActingMaster", "deleteTopicWithBrokerRegistration"];

    std::thread::scope(|scope| {
        for key in keys {
            let settings = &settings;
            scope.spawn(move || settings.update(&[(key, "true")]).unwrap());
        }
    });

    assert_eq!(settings.version(), 5);
    let restarted = home.start();
    assert!(keys.iter().all(|key| settings.flag(key) && restarted.flag(key)));
}
