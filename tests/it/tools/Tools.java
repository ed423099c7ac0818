import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Exit;

/**
 * Apache Kafka's own tools in one process: a line names a tool's class and its arguments, the answer is what it printed,
 * then {@code done STATUS}.
 *
 * <p>{@code member ADDRESS GROUP TOPIC PROTOCOL} is a consumer that stays until the process ends;
 * {@code open ADDRESS TRANSACTIONAL_ID TOPIC PARTITION} leaves a transaction open.
 */
public final class Tools {
    private static final PrintStream OUT = System.out;

    private Tools() {}

    /** What a tool gives instead of ending the process. */
    private static final class Ended extends RuntimeException {
        private final int status;

        private Ended(int status) {
            super("ended", null, false, false);
            this.status = status;
        }
    }

    public static void main(String[] none) throws Exception {
        Exit.setExitProcedure((status, message) -> {
            throw new Ended(status);
        });
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            PrintStream captured = new PrintStream(said, true, StandardCharsets.UTF_8);
            System.setOut(captured);
            System.setErr(captured);
            int status = 0;
            try {
                answer(words);
            } catch (Ended ended) {
                status = ended.status;
            } catch (Exception error) {
                error.printStackTrace();
                status = -1;
            }
            OUT.print(said.toString(StandardCharsets.UTF_8));
            OUT.println("done " + status);
            OUT.flush();
        }
        // Members and producers have threads that would hold it.
        Runtime.getRuntime().halt(0);
    }

    private static void answer(String[] words) throws Exception {
        switch (words[0]) {
            case "member" -> member(words[1], words[2], words[3], words[4]);
            case "open" -> open(words[1], words[2], words[3], Integer.parseInt(words[4]));
            default -> {
                String[] arguments = Arrays.copyOfRange(words, 1, words.length);
                try {
                    Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) arguments);
                } catch (InvocationTargetException thrown) {
                    if (thrown.getCause() instanceof Exception cause) {
                        throw cause;
                    }
                    throw thrown;
                }
            }
        }
    }

    private static void member(String address, String group, String topic, String protocol) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        config.put("group.id", group);
        config.put("client.id", "reader");
        config.put("group.protocol", protocol);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        CountDownLatch hasCommitted = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            StringDeserializer text = new StringDeserializer();
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, text, text)) {
                consumer.subscribe(List.of(topic));
                while (true) {
                    if (!consumer.poll(Duration.ofMillis(100)).isEmpty()) {
                        consumer.commitSync();
                        hasCommitted.countDown();
                    }
                }
            }
        });
        reader.setDaemon(true);
        reader.start();
        hasCommitted.await();
    }

    private static void open(String address, String id, String topic, int partition) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        config.put("transactional.id", id);
        config.put("transaction.timeout.ms", "60000");
        StringSerializer text = new StringSerializer();
        // Never closed: that would abort.
        KafkaProducer<String, String> producer = new KafkaProducer<>(config, text, text);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, partition, null, "open")).get();
    }
}
