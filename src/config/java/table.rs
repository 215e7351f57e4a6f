//! The table itself, in the order in which Java declares the fields (`-p` prints them so).

use super::Effect::{AtStart, Live, Nothing};
use super::Group::{Client, Namesrv, Server, System};
use super::Kind::{Bool, Int, Long, Text};
use super::{Effect, Group, JavaKey, Kind, Slot};
use crate::config::{Config, NetConfig};

const INT: (i64, i64) = (i32::MIN as i64, INT_MAX);
const INT_MAX: i64 = i32::MAX as i64;
const DAY_MS: i64 = 86_400_000;
const DAY_S: i64 = 86_400;

const HOME: Effect = Nothing("nothing is read from there");
const STORE: Effect = Nothing("the path given with -c counts; changes are kept in the file `settings.overlay-path`");
const POOLS: Effect = Nothing("one worker per core reads and the write lane writes: there are no such pools or queues");
const AT_ONCE: Effect = Nothing("an unregister is applied in its turn, so none wait in a queue");
const CONTROLLER: Effect = Nothing("a controller has to be run on its own");
const NETTY: Effect = Nothing("it tunes Netty, which is not used");
const SEMAPHORES: Effect = Nothing("it limits calls that only a broker makes");
const NO_CLIENT: Effect = Nothing("the few calls that this server makes itself are not tuned");

/// Every key that this server knows of.
pub static KEYS: &[JavaKey] = &[
    key(Namesrv, Text, "rocketmqHome").does(HOME),
    key(Namesrv, Text, "kvConfigPath").is(AtStart, "kv.path", |c| Slot::Path(&mut c.kv.path)),
    key(Namesrv, Text, "configStorePath").does(STORE),
    key(Namesrv, Text, "productEnvName")
        .or("center")
        .is(AtStart, "cluster-test.product-env-name", |c| Slot::Text(&mut c.cluster_test.product_env_name)),
    key(Namesrv, Bool, "clusterTest")
        .or("false")
        .is(AtStart, "cluster-test.enabled", |c| Slot::Flag(&mut c.cluster_test.enabled)),
    key(Namesrv, Bool, "orderMessageEnable")
        .or("false")
        .is(Live, "requests.order-message-enable", |c| Slot::Flag(&mut c.requests.order_message_enable)),
    key(Namesrv, Bool, "returnOrderTopicConfigToBroker").or("true").is(
        Live,
        "requests.return-order-topic-config-to-broker",
        |c| Slot::Flag(&mut c.requests.return_order_topic_config_to_broker),
    ),
    key(Namesrv, Int, "clientRequestThreadPoolNums").or("8").does(POOLS),
    key(Namesrv, Int, "defaultThreadPoolNums").or("16").does(POOLS),
    key(Namesrv, Int, "clientRequestThreadPoolQueueCapacity").or("50000").does(POOLS),
    key(Namesrv, Int, "defaultThreadPoolQueueCapacity").or("10000").does(POOLS),
    key(Namesrv, Long, "scanNotActiveBrokerInterval").or("5000").within(1, DAY_MS).is(
        Live,
        "liveness.scan-interval",
        |c| Slot::Millis(&mut c.liveness.scan_interval),
    ),
    key(Namesrv, Int, "unRegisterBrokerQueueCapacity").or("3000").does(AT_ONCE),
    key(Namesrv, Bool, "supportActingMaster")
        .or("false")
        .is(Live, "route.support-acting-master", |c| Slot::Flag(&mut c.route.support_acting_master)),
    key(Namesrv, Bool, "enableAllTopicList")
        .or("true")
        .is(Live, "requests.enable-all-topic-list", |c| Slot::Flag(&mut c.requests.enable_all_topic_list)),
    key(Namesrv, Bool, "enableTopicList")
        .or("true")
        .is(Live, "requests.enable-topic-list", |c| Slot::Flag(&mut c.requests.enable_topic_list)),
    key(Namesrv, Bool, "notifyMinBrokerIdChanged")
        .or("false")
        .is(Live, "route.notify-min-broker-id-changed", |c| Slot::Flag(&mut c.route.notify_min_broker_id_changed)),
    key(Namesrv, Bool, "enableControllerInNamesrv").or("false").does(CONTROLLER),
    key(Namesrv, Bool, "needWaitForService")
        .or("false")
        .is(Live, "requests.need-wait-for-service", |c| Slot::Flag(&mut c.requests.need_wait_for_service)),
    key(Namesrv, Int, "waitSecondsForService").or("45").within(0, DAY_S).is(
        Live,
        "requests.wait-for-service-time",
        |c| Slot::Seconds(&mut c.requests.wait_for_service_time),
    ),
    key(Namesrv, Bool, "deleteTopicWithBrokerRegistration").or("false").is(
        Live,
        "route.delete-topic-with-broker-registration",
        |c| Slot::Flag(&mut c.route.delete_topic_with_broker_registration),
    ),
    key(Namesrv, Text, "configBlackList").or("configBlackList;configStorePath;kvConfigPath").is(
        AtStart,
        "requests.config-black-list",
        |c| Slot::Text(&mut c.requests.config_black_list),
    ),
    //
    key(Server, Text, "bindAddress")
        .or("0.0.0.0")
        .is(AtStart, "net.bind-address", |c| Slot::Address(&mut c.net.bind_address)),
    key(Server, Int, "listenPort")
        .or("9876")
        .within(0, 65535)
        .is(AtStart, "net.listen-port", |c| Slot::Port(&mut c.net.listen_port)),
    key(Server, Int, "serverWorkerThreads")
        .or("8")
        .does(Nothing("one worker runs per core; to change that, set `net.workers` in a TOML file")),
    key(Server, Int, "serverCallbackExecutorThreads").or("0").does(POOLS),
    key(Server, Int, "serverSelectorThreads").or("3").does(NETTY),
    key(Server, Int, "serverOnewaySemaphoreValue").or("256").does(SEMAPHORES),
    key(Server, Int, "serverAsyncSemaphoreValue").or("64").does(SEMAPHORES),
    key(Server, Int, "serverChannelMaxIdleTimeSeconds").or("120").within(0, INT_MAX).is(
        Live,
        "net.idle-timeout",
        |c| Slot::Seconds(&mut c.net.idle_timeout),
    ),
    key(Server, Int, "serverSocketSndBufSize")
        .or("0")
        .within(0, INT_MAX)
        .is(AtStart, "net.send-buffer-size", |c| Slot::Size(&mut c.net.send_buffer_size)),
    key(Server, Int, "serverSocketRcvBufSize")
        .or("0")
        .within(0, INT_MAX)
        .is(AtStart, "net.receive-buffer-size", |c| Slot::Size(&mut c.net.receive_buffer_size)),
    key(Server, Int, "writeBufferHighWaterMark").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.reply-bytes-waiting-max",
        |c| Slot::Mark(&mut c.net.reply_bytes_waiting_max, NetConfig::REPLY_BYTES_WAITING_MAX),
    ),
    key(Server, Int, "writeBufferLowWaterMark").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.reply-bytes-waiting-resume",
        |c| Slot::Mark(&mut c.net.reply_bytes_waiting_resume, NetConfig::REPLY_BYTES_WAITING_RESUME),
    ),
    key(Server, Int, "serverSocketBacklog")
        .or("1024")
        .within(1, INT_MAX)
        .is(AtStart, "net.backlog", |c| Slot::Count(&mut c.net.backlog)),
    key(Server, Bool, "serverNettyWorkerGroupEnable").or("true").does(NETTY),
    key(Server, Bool, "serverPooledByteBufAllocatorEnable").or("true").does(NETTY),
    key(Server, Bool, "enableShutdownGracefully")
        .or("false")
        .is(Live, "net.shutdown-gracefully", |c| Slot::Flag(&mut c.net.shutdown_gracefully)),
    key(Server, Int, "shutdownWaitTimeSeconds")
        .or("30")
        .within(0, DAY_S)
        .is(Live, "net.shutdown-wait-time", |c| Slot::Seconds(&mut c.net.shutdown_wait_time)),
    key(Server, Bool, "useEpollNativeSelector").or("false").does(NETTY),
    //
    key(Client, Int, "clientWorkerThreads").or("4").does(NO_CLIENT),
    key(Client, Int, "clientCallbackExecutorThreads").does(NO_CLIENT),
    key(Client, Int, "clientOnewaySemaphoreValue").or("65535").does(NO_CLIENT),
    key(Client, Int, "clientAsyncSemaphoreValue").or("65535").does(NO_CLIENT),
    key(Client, Int, "connectTimeoutMillis").or("3000").does(NO_CLIENT),
    key(Client, Long, "channelNotActiveInterval").or("60000").does(NO_CLIENT),
    key(Client, Bool, "isScanAvailableNameSrv").or("true").does(NO_CLIENT),
    key(Client, Int, "clientChannelMaxIdleTimeSeconds").or("120").does(NO_CLIENT),
    key(Client, Int, "clientSocketSndBufSize").or("0").does(NO_CLIENT),
    key(Client, Int, "clientSocketRcvBufSize").or("0").does(NO_CLIENT),
    key(Client, Bool, "clientPooledByteBufAllocatorEnable").or("false").does(NO_CLIENT),
    key(Client, Bool, "clientCloseSocketIfTimeout").or("true").does(NO_CLIENT),
    key(Client, Bool, "useTLS")
        .or("false")
        .is(AtStart, "tls.client.enabled", |c| Slot::Flag(&mut c.tls.client.enabled)),
    key(Client, Text, "socksProxyConfig").or("{}").secret().does(NO_CLIENT),
    key(Client, Int, "writeBufferHighWaterMark").or("0").does(NO_CLIENT),
    key(Client, Int, "writeBufferLowWaterMark").or("0").does(NO_CLIENT),
    key(Client, Bool, "disableCallbackExecutor").or("false").does(NO_CLIENT),
    key(Client, Bool, "disableNettyWorkerGroup").or("false").does(NO_CLIENT),
    key(Client, Long, "maxReconnectIntervalTimeSeconds").or("60").does(NO_CLIENT),
    key(Client, Bool, "enableReconnectForGoAway").or("true").does(NO_CLIENT),
    //
    key(System, Text, "rocketmq.home.dir").does(HOME),
    key(System, Text, "user.home").does(Nothing("the home directory is the environment's")),
    key(System, Text, "rocketmq.namesrv.addr")
        .is(AtStart, "cluster-test.name-servers", |c| Slot::Servers(&mut c.cluster_test.name_servers)),
    key(System, Text, "rocketmq.namesrv.domain").or("jmenv.tbsite.net").is(
        AtStart,
        "cluster-test.address-server",
        |c| Slot::Text(&mut c.cluster_test.address_server),
    ),
    key(System, Text, "rocketmq.namesrv.domain.subgroup").or("nsaddr").is(
        AtStart,
        "cluster-test.address-server-group",
        |c| Slot::Text(&mut c.cluster_test.address_server_group),
    ),
    key(System, Text, "rocketmq.serialize.type")
        .or("JSON")
        .is(AtStart, "net.serialize-type", |c| Slot::Format(&mut c.net.serialize_type)),
    key(System, Int, "com.rocketmq.remoting.frameMaxLength").or("16777216").within(1024, INT_MAX).is(
        AtStart,
        "net.frame-size-max",
        |c| Slot::Size(&mut c.net.frame_size_max),
    ),
    key(System, Int, "com.rocketmq.remoting.socket.sndbuf.size").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.send-buffer-size",
        |c| Slot::Size(&mut c.net.send_buffer_size),
    ),
    key(System, Int, "com.rocketmq.remoting.socket.rcvbuf.size").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.receive-buffer-size",
        |c| Slot::Size(&mut c.net.receive_buffer_size),
    ),
    key(System, Int, "com.rocketmq.remoting.socket.backlog").or("1024").within(1, INT_MAX).is(
        AtStart,
        "net.backlog",
        |c| Slot::Count(&mut c.net.backlog),
    ),
    key(System, Int, "com.rocketmq.remoting.write.buffer.high.water.mark").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.reply-bytes-waiting-max",
        |c| Slot::Mark(&mut c.net.reply_bytes_waiting_max, NetConfig::REPLY_BYTES_WAITING_MAX),
    ),
    key(System, Int, "com.rocketmq.remoting.write.buffer.low.water.mark").or("0").within(0, INT_MAX).is(
        AtStart,
        "net.reply-bytes-waiting-resume",
        |c| Slot::Mark(&mut c.net.reply_bytes_waiting_resume, NetConfig::REPLY_BYTES_WAITING_RESUME),
    ),
    key(System, Bool, "com.rocketmq.remoting.nettyPooledByteBufAllocatorEnable").or("false").does(NETTY),
    key(System, Int, "com.rocketmq.remoting.clientAsyncSemaphoreValue").or("65535").does(NO_CLIENT),
    key(System, Int, "com.rocketmq.remoting.clientOnewaySemaphoreValue").or("65535").does(NO_CLIENT),
    key(System, Int, "com.rocketmq.remoting.client.worker.size").or("4").does(NO_CLIENT),
    key(System, Int, "com.rocketmq.remoting.client.connect.timeout").or("3000").does(NO_CLIENT),
    key(System, Int, "com.rocketmq.remoting.client.channel.maxIdleTimeSeconds").or("120").does(NO_CLIENT),
    key(System, Bool, "com.rocketmq.remoting.client.closeSocketIfTimeout").or("true").does(NO_CLIENT),
    // No property, but the name under which a file sets `isScanAvailableNameSrv`: Java names it after its setter.
    key(System, Bool, "scanAvailableNameSrv").or("true").does(NO_CLIENT),
    key(System, Text, "tls.server.mode").or("permissive").is(AtStart, "tls.mode", |c| Slot::TlsMode(&mut c.tls.mode)),
    key(System, Bool, "tls.enable")
        .or("false")
        .is(AtStart, "tls.client.enabled", |c| Slot::Flag(&mut c.tls.client.enabled)),
    key(System, Text, "tls.config.file")
        .is(AtStart, "tls.properties-file", |c| Slot::Place(&mut c.tls.properties_file)),
    key(System, Bool, "tls.test.mode.enable")
        .or("true")
        .is(AtStart, "tls.test-mode", |c| Slot::Flag(&mut c.tls.test_mode)),
    key(System, Text, "tls.server.need.client.auth")
        .or("none")
        .is(AtStart, "tls.need-client-auth", |c| Slot::ClientAuth(&mut c.tls.need_client_auth)),
    key(System, Text, "tls.server.keyPath").is(AtStart, "tls.key-path", |c| Slot::MaybePath(&mut c.tls.key_path)),
    key(System, Text, "tls.server.keyPassword")
        .secret()
        .is(AtStart, "tls.key-password", |c| Slot::Secret(&mut c.tls.key_password)),
    key(System, Text, "tls.server.certPath").is(AtStart, "tls.cert-path", |c| Slot::MaybePath(&mut c.tls.cert_path)),
    key(System, Bool, "tls.server.authClient")
        .or("false")
        .is(AtStart, "tls.auth-client", |c| Slot::Flag(&mut c.tls.auth_client)),
    key(System, Text, "tls.server.trustCertPath")
        .is(AtStart, "tls.trust-cert-path", |c| Slot::MaybePath(&mut c.tls.trust_cert_path)),
    key(System, Text, "tls.client.keyPath")
        .is(AtStart, "tls.client.key-path", |c| Slot::MaybePath(&mut c.tls.client.key_path)),
    key(System, Text, "tls.client.keyPassword")
        .secret()
        .is(AtStart, "tls.client.key-password", |c| Slot::Secret(&mut c.tls.client.key_password)),
    key(System, Text, "tls.client.certPath")
        .is(AtStart, "tls.client.cert-path", |c| Slot::MaybePath(&mut c.tls.client.cert_path)),
    key(System, Bool, "tls.client.authServer")
        .or("false")
        .is(AtStart, "tls.client.auth-server", |c| Slot::Flag(&mut c.tls.client.auth_server)),
    key(System, Text, "tls.client.trustCertPath")
        .is(AtStart, "tls.client.trust-cert-path", |c| Slot::MaybePath(&mut c.tls.client.trust_cert_path)),
    key(System, Text, "tls.ciphers").is(AtStart, "tls.ciphers", |c| Slot::Names(&mut c.tls.ciphers)),
    key(System, Text, "tls.protocols").is(AtStart, "tls.protocols", |c| Slot::Names(&mut c.tls.protocols)),
];

const fn key(group: Group, kind: Kind, name: &'static str) -> JavaKey {
    let range = match kind {
        Long => (i64::MIN, i64::MAX),
        Bool | Int | Text => INT,
    };
    JavaKey { name, group, kind, default: None, range, secret: false, effect: AtStart, ours: None, slot: None }
}

impl JavaKey {
    const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn within(self, min: i64, max: i64) -> Self {
        Self { range: (min, max), ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn does(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    const fn is(self, effect: Effect, ours: &'static str, slot: fn(&mut Config) -> Slot<'_>) -> Self {
        Self { effect, ours: Some(ours), slot: Some(slot), ..self }
    }
}
