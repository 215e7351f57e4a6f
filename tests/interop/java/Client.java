// What applications do, with the real Java client: send, receive, and go on
// sending while something else happens.
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

class Client {
    private static final int SEND_TIMEOUT_MILLIS = 10_000;
    private static final int RECEIVE_LIMIT_SECONDS = 90;
    private static final AtomicLong SERIAL = new AtomicLong(System.currentTimeMillis());

    // Sends n messages to a topic and receives each of them in a group of its own. Prints which brokers stored them.
    static boolean exchange(String servers, String topic, int n) throws Exception {
        String mark = Long.toHexString(SERIAL.incrementAndGet());
        DefaultMQProducer producer = producer(servers, mark);
        Set<String> brokers = new TreeSet<>();
        for (int i = 0; i < n; i++) {
            String broker = send(producer, new Message(topic, mark, bytes(mark + "/" + i)));
            if (broker == null) {
                System.out.println("message " + i + " was not stored");
                return false;
            }
            brokers.add(broker);
        }
        System.out.println("stored by " + String.join(" ", brokers));
        Set<String> missing = ConcurrentHashMap.newKeySet();
        for (int i = 0; i < n; i++) {
            missing.add(mark + "/" + i);
        }
        CountDownLatch all = new CountDownLatch(1);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("consumer-" + mark);
        consumer.setNamesrvAddr(servers);
        consumer.setInstanceName("consumer-" + mark);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(2);
        consumer.subscribe(topic, mark);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> missing.remove(new String(m.getBody(), StandardCharsets.UTF_8)));
            if (missing.isEmpty()) {
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean arrived = all.await(RECEIVE_LIMIT_SECONDS, TimeUnit.SECONDS);
        System.out.println("sent " + n + ", missing " + missing.size());
        consumer.shutdown();
        producer.shutdown();
        return arrived;
    }

    // Sends one message after another to the topic that the control file names until the file says
    // "stop", and then until ten in a row were stored, though no longer than a minute: who lost a
    // name server may need its next look at routes. Prints how many were stored, how many were not,
    // and how many were stored since the last one that was not.
    static boolean stream(String servers, Path control) throws Exception {
        String mark = Long.toHexString(SERIAL.incrementAndGet());
        DefaultMQProducer producer = producer(servers, mark);
        int stored = 0;
        int failed = 0;
        int since = 0;
        String topic = null;
        long end = 0;
        while (true) {
            String said = Files.readString(control).trim();
            if (!said.equals("stop")) {
                topic = said;
            } else if (end == 0) {
                end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
            } else if (since >= 10 || System.nanoTime() > end) {
                break;
            }
            if (send(producer, new Message(topic, mark, bytes("stream"))) != null) {
                stored++;
                since++;
            } else {
                failed++;
                since = 0;
            }
            Thread.sleep(20);
        }
        System.out.println("stored=" + stored + " failed=" + failed + " since=" + since);
        producer.shutdown();
        return true;
    }

    private static DefaultMQProducer producer(String servers, String mark) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("producer-" + mark);
        producer.setNamesrvAddr(servers);
        producer.setInstanceName("producer-" + mark);
        producer.setSendMsgTimeout(SEND_TIMEOUT_MILLIS);
        producer.start();
        return producer;
    }

    // The name of the broker that stored it; null when none did.
    private static String send(DefaultMQProducer producer, Message message) {
        try {
            SendResult result = producer.send(message);
            SendStatus status = result.getSendStatus();
            // The slave may be down on purpose; the master has the message then.
            boolean stored = status == SendStatus.SEND_OK || status == SendStatus.SLAVE_NOT_AVAILABLE;
            return stored ? result.getMessageQueue().getBrokerName() : null;
        } catch (Exception e) {
            System.out.println(e);
            return null;
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
