import com.alibaba.fastjson2.JSON;
import io.netty.channel.Channel;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.stream.Collectors;
import org.apache.rocketmq.namesrv.NamesrvController;
import org.apache.rocketmq.namesrv.NamesrvStartup;
import org.apache.rocketmq.namesrv.processor.ClientRequestProcessor;
import org.apache.rocketmq.namesrv.routeinfo.RouteInfoManager;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.header.namesrv.UnRegisterBrokerRequestHeader;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;

/**
 * Hosts one Java NameServer after another in one JVM. Commands come on stdin, one a line; each is answered with one line
 * on stdout. Nothing of the server is replaced: it is started as its own main method starts it, and only its clock and
 * its scan, which nobody wants to wait for, are moved by hand.
 *
 *   start FILE [ROCKETMQ]   a new server, configured by a properties file; answers with its port
 *   age MILLIS              everything that the server remembers happened this much earlier
 *   scan                    what the server does every five seconds
 *   settle                  waits until every unregister that was accepted has been carried out
 *   state                   what the route tables hold, as JSON
 */
public class Host {
    private NamesrvController server;

    public static void main(String[] args) throws Exception {
        // What the server prints for people must not come between the answers.
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        System.setOut(System.err);
        Host host = new Host();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            try {
                answers.println("ok " + host.run(line.split(" ")));
            } catch (Exception e) {
                e.printStackTrace();
                answers.println("failed " + e);
            }
        }
        System.exit(0);
    }

    private String run(String[] words) throws Exception {
        switch (words[0]) {
            case "start":
                return Integer.toString(start(words[1], words.length > 2 ? words[2] : "JSON"));
            case "age":
                age(Long.parseLong(words[1]));
                return "";
            case "scan":
                server.getRouteInfoManager().scanNotActiveBroker();
                return "";
            case "settle":
                settle();
                return "";
            case "state":
                return state();
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private int start(String file, String serializeType) throws Exception {
        if (server != null) {
            NamesrvController old = server;
            Thread end = new Thread(old::shutdown);
            end.setDaemon(true);
            end.start();
        }
        // The system property is read once in the life of a JVM.
        field(RemotingCommand.class, "serializeTypeConfigInThisServer").set(null, SerializeType.valueOf(serializeType));
        NamesrvStartup.parseCommandlineAndConfigFile(new String[] {"-c", file});
        server = NamesrvStartup.createNamesrvController();
        if (!server.initialize()) {
            throw new IllegalStateException("the server does not initialize");
        }
        // It scans when it is told to. `NamesrvStartup.start` would add a shutdown hook as well, which keeps the server.
        ((ExecutorService) field(NamesrvController.class, "scanExecutorService").get(server)).shutdownNow();
        server.start();
        return server.getNettyServerConfig().getListenPort();
    }

    private void age(long millis) throws Exception {
        for (Object live : table("brokerLiveTable").values()) {
            back(live, "lastUpdateTimestamp", millis);
        }
        back(lookups(), "startupTimeMillis", millis);
    }

    private static void back(Object object, String name, long millis) throws Exception {
        Field field = field(object.getClass(), name);
        field.setLong(object, field.getLong(object) - millis);
    }

    private ClientRequestProcessor lookups() {
        return (ClientRequestProcessor) server.getRemotingServer()
            .getProcessorPair(org.apache.rocketmq.remoting.protocol.RequestCode.GET_ROUTEINFO_BY_TOPIC).getObject1();
    }

    /**
     * A request that names no broker goes the way of the others, last, and says when its turn has come. It is lost with
     * the requests that are carried out together with it if one of them fails, so another follows.
     */
    private void settle() throws Exception {
        RouteInfoManager routes = server.getRouteInfoManager();
        for (int tries = 0; tries < 50; tries++) {
            CountDownLatch turn = new CountDownLatch(1);
            UnRegisterBrokerRequestHeader last = new UnRegisterBrokerRequestHeader() {
                @Override
                public String getBrokerName() {
                    turn.countDown();
                    return "";
                }
            };
            last.setBrokerAddr("");
            last.setClusterName("");
            last.setBrokerId(0L);
            if (routes.submitUnRegisterBrokerRequest(last) && turn.await(100, TimeUnit.MILLISECONDS)) {
                // Its turn comes under the lock; whoever is given the lock next sees what was done.
                routes.getAllTopicList();
                return;
            }
        }
        throw new IllegalStateException("the queue does not move");
    }

    /** Under the server's own lock: a scan or an unregister of its own may be at work. */
    private String state() throws Exception {
        ReadWriteLock lock = (ReadWriteLock) field(RouteInfoManager.class, "lock").get(server.getRouteInfoManager());
        lock.readLock().lock();
        try {
            return stateUnderLock();
        } finally {
            lock.readLock().unlock();
        }
    }

    private String stateUnderLock() throws Exception {
        List<Object> live = new ArrayList<>();
        for (Map.Entry<?, ?> entry : table("brokerLiveTable").entrySet()) {
            Object info = entry.getValue();
            Map<String, Object> shown = new HashMap<>();
            shown.put("cluster", value(entry.getKey(), "clusterName"));
            shown.put("address", value(entry.getKey(), "brokerAddr"));
            DataVersion version = (DataVersion) value(info, "dataVersion");
            shown.put("state", version == null ? 0 : version.getStateVersion());
            shown.put("timeout", value(info, "heartbeatTimeoutMillis"));
            shown.put("age", System.currentTimeMillis() - (Long) value(info, "lastUpdateTimestamp"));
            SocketAddress client = ((Channel) value(info, "channel")).remoteAddress();
            shown.put("port", client == null ? 0 : ((InetSocketAddress) client).getPort());
            live.add(shown);
        }
        Map<String, Object> groups = new HashMap<>();
        for (Object data : table("brokerAddrTable").values()) {
            BrokerData group = (BrokerData) data;
            Map<String, Object> shown = new HashMap<>();
            shown.put("cluster", group.getCluster());
            shown.put("members", group.getBrokerAddrs().entrySet().stream()
                .map(member -> Arrays.asList(member.getKey(), member.getValue())).collect(Collectors.toList()));
            groups.put(String.valueOf(group.getBrokerName()), shown);
        }
        Map<String, Object> topics = new HashMap<>();
        for (Map.Entry<?, ?> entry : table("topicQueueTable").entrySet()) {
            topics.put(String.valueOf(entry.getKey()), ((Map<?, ?>) entry.getValue()).entrySet().stream()
                .map(queue -> Arrays.asList(queue.getKey(), ((QueueData) queue.getValue()).getTopicSysFlag()))
                .collect(Collectors.toList()));
        }
        Map<String, Object> mappings = new HashMap<>();
        for (Map.Entry<?, ?> entry : table("topicQueueMappingInfoTable").entrySet()) {
            mappings.put(String.valueOf(entry.getKey()), ((Map<?, ?>) entry.getValue()).keySet());
        }
        Map<String, Object> state = new HashMap<>();
        state.put("live", live);
        state.put("groups", groups);
        state.put("clusters", table("clusterAddrTable"));
        state.put("topics", topics);
        state.put("mappings", mappings);
        return JSON.toJSONString(state);
    }

    private Map<?, ?> table(String name) throws Exception {
        return (Map<?, ?>) field(RouteInfoManager.class, name).get(server.getRouteInfoManager());
    }

    private static Object value(Object object, String name) throws Exception {
        return field(object.getClass(), name).get(object);
    }

    private static Field field(Class<?> type, String name) throws Exception {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
