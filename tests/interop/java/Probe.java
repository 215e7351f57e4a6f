// Asks a NameServer questions frame by frame over a plain socket, so that "gone"
// and "back" are timed to some ten milliseconds and no client library hides a
// retry, a cache or a reconnect.
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;

class Probe implements AutoCloseable {
    private static final int ROUTE = 105;
    private static final int CLUSTER = 106;
    private static final int TOPIC_NOT_EXIST = 17;
    private static final long PAUSE_MILLIS = 20;

    private final String server;
    private Socket socket;
    private DataInputStream in;

    Probe(String server) {
        this.server = server;
    }

    // Polls until the condition holds; prints how long that took, or what was seen last.
    static boolean await(String server, long millis, String[] condition) throws Exception {
        long start = System.nanoTime();
        String seen = "nothing";
        try (Probe probe = new Probe(server)) {
            while (true) {
                try {
                    seen = probe.look(condition);
                } catch (IOException e) {
                    probe.close();
                    seen = e.toString();
                }
                long passed = (System.nanoTime() - start) / 1_000_000;
                if (seen == null) {
                    System.out.println("after " + passed + " ms");
                    return true;
                }
                if (passed > millis) {
                    System.out.println("not within " + millis + " ms; last seen: " + seen);
                    return false;
                }
                Thread.sleep(PAUSE_MILLIS);
            }
        }
    }

    // Null when the condition holds, else what was seen instead.
    private String look(String[] condition) throws Exception {
        switch (condition[0]) {
            case "answers": // the server answers at all
                cluster();
                return null;
            case "listed": { // NAME ID ADDRESS: the cluster information shows this address
                Map<Long, String> addrs = members(condition[1]);
                return condition[3].equals(addrs.get(Long.valueOf(condition[2]))) ? null : condition[1] + addrs;
            }
            case "absent": { // NAME ID: the cluster information does not show it
                Map<Long, String> addrs = members(condition[1]);
                return addrs.containsKey(Long.valueOf(condition[2])) ? condition[1] + addrs : null;
            }
            case "routed": { // TOPIC NAME ID ADDRESS: the route shows this address under this id
                TopicRouteData route = route(condition[1]);
                String at = addresses(route, condition[2]).get(Long.valueOf(condition[3]));
                return condition[4].equals(at) ? null : text(route);
            }
            case "unrouted": { // TOPIC NAME: the route does not show the broker
                TopicRouteData route = route(condition[1]);
                return addresses(route, condition[2]).isEmpty() ? null : text(route);
            }
            case "perm": { // TOPIC NAME PERM: what the route permits on that broker
                TopicRouteData route = route(condition[1]);
                return permits(route, condition[2], Integer.parseInt(condition[3])) ? null : text(route);
            }
            case "order": { // TOPIC TEXT: the route's order configuration; "-" for none
                TopicRouteData route = route(condition[1]);
                String conf = route == null || route.getOrderTopicConf() == null ? "-" : route.getOrderTopicConf();
                return condition[2].equals(conf) ? null : text(route);
            }
            case "same": { // TOPIC OTHER: another server answers an equal route
                TopicRouteData here = route(condition[1]);
                try (Probe other = new Probe(condition[2])) {
                    TopicRouteData there = other.route(condition[1]);
                    return here != null && same(here, there) ? null : text(here) + " but there " + text(there);
                }
            }
            default:
                throw new IllegalArgumentException("no such condition: " + condition[0]);
        }
    }

    private Map<Long, String> members(String brokerName) throws Exception {
        ClusterInfo info = cluster();
        BrokerData data = info.getBrokerAddrTable() == null ? null : info.getBrokerAddrTable().get(brokerName);
        return data == null ? Map.of() : data.getBrokerAddrs();
    }

    private ClusterInfo cluster() throws Exception {
        return RemotingSerializable.decode(ask(CLUSTER, Map.of()).getBody(), ClusterInfo.class);
    }

    // Null when the server knows no route.
    private TopicRouteData route(String topic) throws Exception {
        RemotingCommand answer = ask(ROUTE, Map.of("topic", topic));
        if (answer.getCode() == TOPIC_NOT_EXIST) {
            return null;
        }
        if (answer.getCode() != 0) {
            throw new IOException("code " + answer.getCode() + " " + answer.getRemark());
        }
        return RemotingSerializable.decode(answer.getBody(), TopicRouteData.class);
    }

    private static Map<Long, String> addresses(TopicRouteData route, String brokerName) {
        Map<Long, String> found = new HashMap<>();
        if (route != null) {
            for (BrokerData data : route.getBrokerDatas()) {
                if (data.getBrokerName().equals(brokerName)) {
                    found.putAll(data.getBrokerAddrs());
                }
            }
        }
        return found;
    }

    private static boolean permits(TopicRouteData route, String brokerName, int perm) {
        boolean any = false;
        if (route != null) {
            for (QueueData queues : route.getQueueDatas()) {
                if (queues.getBrokerName().equals(brokerName)) {
                    any = true;
                    if (queues.getPerm() != perm) {
                        return false;
                    }
                }
            }
        }
        return any;
    }

    private static boolean same(TopicRouteData here, TopicRouteData there) {
        return there != null
            && groups(here).equals(groups(there))
            && new HashSet<>(here.getQueueDatas()).equals(new HashSet<>(there.getQueueDatas()))
            && here.getFilterServerTable().equals(there.getFilterServerTable());
    }

    private static Set<String> groups(TopicRouteData route) {
        Set<String> groups = new HashSet<>();
        for (BrokerData data : route.getBrokerDatas()) {
            groups.add(data.getCluster() + "/" + data.getBrokerName() + data.getBrokerAddrs());
        }
        return groups;
    }

    private static String text(TopicRouteData route) {
        return route == null ? "no route" : route.toJson();
    }

    RemotingCommand ask(int code, Map<String, String> fields) throws Exception {
        if (socket == null) {
            int colon = server.lastIndexOf(':');
            socket = new Socket();
            socket.connect(new InetSocketAddress(server.substring(0, colon),
                Integer.parseInt(server.substring(colon + 1))), 2000);
            socket.setSoTimeout(5000);
            socket.setTcpNoDelay(true);
            in = new DataInputStream(socket.getInputStream());
        }
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        fields.forEach(request::addExtField);
        ByteBuffer frame = request.encode();
        socket.getOutputStream().write(frame.array(), frame.position(), frame.remaining());
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        return RemotingCommand.decode(ByteBuffer.wrap(answer));
    }

    @Override
    public void close() throws IOException {
        if (socket != null) {
            socket.close();
            socket = null;
        }
    }
}
