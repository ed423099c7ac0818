import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Apache Kafka's own client as a producer and a consumer: one command a line in, its answer out.
 *
 * <p>The commands, the record file and the canonical lines are described in ../README.md.
 */
public final class Clients {
    private static final HexFormat HEX = HexFormat.of();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private final Map<String, Object> bootstrap;

    private Clients(String address) {
        bootstrap = Map.of("bootstrap.servers", address);
    }

    public static void main(String[] arguments) throws IOException {
        Clients clients = new Clients(arguments[0]);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                clients.answer(line.split(" "), input);
                OUT.println("done");
            } catch (Exception error) {
                error.printStackTrace();
                OUT.println("failed " + error.toString().replaceAll("\\s+", " "));
            }
            OUT.flush();
        }
    }

    private void answer(String[] words, BufferedReader input) throws Exception {
        switch (words[0]) {
            case "create" -> create(words[1], Integer.parseInt(words[2]), words[3]);
            case "produce" -> produce(words[1], words[2], words[3], readRecords(words[1], words[4]));
            case "consume" -> consume(words[1].split(","));
            case "group" -> group(words[1], words[2], words[3], List.of(words[4].split(",")));
            case "member" -> member(words, input);
            default -> throw new IllegalArgumentException("unknown command " + words[0]);
        }
    }

    private void create(String topic, int partitions, String size) throws Exception {
        NewTopic wanted = new NewTopic(topic, partitions, (short) 1);
        if (!size.equals("-")) {
            wanted.configs(Map.of("max.message.bytes", size));
        }
        try (Admin admin = Admin.create(bootstrap)) {
            admin.createTopics(List.of(wanted)).all().get();
        }
    }

    private void produce(String topic, String codec, String size, List<ProducerRecord<byte[], byte[]>> records)
            throws Exception {
        Map<String, Object> config = new HashMap<>(bootstrap);
        config.put("compression.type", codec);
        if (!size.equals("-")) {
            config.put("max.request.size", size);
        }
        ByteArraySerializer bytes = new ByteArraySerializer();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes)) {
            for (ProducerRecord<byte[], byte[]> record : records) {
                sent.add(producer.send(record));
            }
        }
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
    }

    private void consume(String[] topics) throws Exception {
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(bootstrap, bytes, bytes)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics) {
                consumer.partitionsFor(topic).forEach(one -> partitions.add(new TopicPartition(topic, one.partition())));
            }
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
            Map<TopicPartition, Long> left = new HashMap<>(consumer.endOffsets(partitions));
            left.entrySet().removeIf(end -> end.getValue() <= starts.get(end.getKey()));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (!left.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    print(record);
                    left.remove(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
                }
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("not read in 60 s: " + left);
                }
            }
        }
    }

    private void group(String name, String strategy, String instance, List<String> topics) throws Exception {
        List<KafkaConsumer<byte[], byte[]>> members = new ArrayList<>();
        Map<KafkaConsumer<byte[], byte[]>, Map<TopicPartition, OffsetAndMetadata>> read = new HashMap<>();
        try {
            members.add(member(name, strategy, instance, 0, topics));
            Map<TopicPartition, Long> left = notCommitted(members.get(0), topics);
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            boolean isRead = left.isEmpty();
            // A static member does not leave: one that went while the other joins would be waited for.
            while (!isRead && (!left.isEmpty() || members.size() < 2 || members.get(1).assignment().isEmpty())) {
                for (KafkaConsumer<byte[], byte[]> consumer : members) {
                    Map<TopicPartition, OffsetAndMetadata> its = read.computeIfAbsent(consumer, any -> new HashMap<>());
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(300))) {
                        print(record);
                        TopicPartition place = new TopicPartition(record.topic(), record.partition());
                        its.put(place, new OffsetAndMetadata(record.offset() + 1));
                    }
                    commit(consumer, its, left);
                }
                if (members.size() == 1 && !members.get(0).assignment().isEmpty()) {
                    // The second member comes while the first reads: a rebalance.
                    members.add(member(name, strategy, instance, 1, topics));
                }
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("not read in 60 s: " + left);
                }
            }
        } finally {
            members.forEach(KafkaConsumer::close);
        }
    }

    /** Commits what one member read; a partition is done when its end is committed. */
    private static void commit(
            KafkaConsumer<byte[], byte[]> consumer,
            Map<TopicPartition, OffsetAndMetadata> read,
            Map<TopicPartition, Long> left) {
        // What went to another member is read again by that one.
        read.keySet().retainAll(consumer.assignment());
        if (read.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(read);
        } catch (RebalanceInProgressException | CommitFailedException rebalancing) {
            // What is still ours is committed by the next round.
            return;
        }
        read.forEach((place, offset) -> left.remove(place, offset.offset()));
        read.clear();
    }

    /** A member until a line comes: {@code member GROUP ASSIGNOR INSTANCE COMMIT TOPIC}; what it reads it prints at once. */
    private void member(String[] words, BufferedReader input) throws Exception {
        String commit = words[4];
        Map<String, Object> config = memberConfig(words[1], words[2]);
        if (!words[2].startsWith("consumer:")) {
            config.put("session.timeout.ms", "2000");
        }
        config.put("reconnect.backoff.max.ms", "200");
        config.put("metadata.max.age.ms", "500");
        config.put("enable.auto.commit", String.valueOf(commit.equals("auto")));
        config.put("auto.commit.interval.ms", "300");
        if (!words[3].equals("-")) {
            config.put("group.instance.id", words[3]);
        }
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        // The input's end stops it too.
        CompletableFuture<Void> stop = CompletableFuture.runAsync(() -> {
            try {
                input.readLine();
            } catch (IOException gone) {
                gone.printStackTrace();
            }
        });
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes)) {
            subscribe(consumer, words[2], words[5]);
            while (!stop.isDone()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    String value = new String(record.value(), StandardCharsets.UTF_8);
                    OUT.println("read " + record.topic() + " " + record.partition() + " " + record.offset() + " " + value);
                }
                OUT.flush();
                try {
                    switch (commit) {
                        case "sync" -> consumer.commitSync();
                        case "async" -> consumer.commitAsync();
                        default -> { }
                    }
                } catch (RetriableException | CommitFailedException again) {
                    // Committed by the next turn, or read again by whoever has it then.
                    again.printStackTrace();
                }
            }
            if (commit.equals("async")) {
                // What was asked for last may still be under way.
                consumer.commitSync();
            }
        }
    }

    /** A pattern is the broker's to match where the broker assigns; that class is younger than the oldest client. */
    private static void subscribe(KafkaConsumer<byte[], byte[]> consumer, String strategy, String topic) throws Exception {
        if (!topic.startsWith("^")) {
            consumer.subscribe(List.of(topic));
        } else if (strategy.startsWith("consumer:")) {
            Class<?> kind = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
            Object pattern = kind.getConstructor(String.class).newInstance(topic);
            KafkaConsumer.class.getMethod("subscribe", kind).invoke(consumer, pattern);
        } else {
            consumer.subscribe(Pattern.compile(topic));
        }
    }

    private KafkaConsumer<byte[], byte[]> member(
            String name, String strategy, String instance, int number, List<String> topics) {
        Map<String, Object> config = memberConfig(name, strategy);
        if (!instance.equals("-")) {
            config.put("group.instance.id", instance + "-" + number);
        }
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes);
        consumer.subscribe(topics);
        return consumer;
    }

    private Map<String, Object> memberConfig(String name, String strategy) {
        Map<String, Object> config = new HashMap<>(bootstrap);
        config.put("group.id", name);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        if (strategy.startsWith("consumer:")) {
            config.put("group.protocol", "consumer");
            config.put("group.remote.assignor", strategy.substring("consumer:".length()));
        } else {
            config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + strategy);
            // Members that join are waited for by all others.
            config.put("heartbeat.interval.ms", "300");
        }
        return config;
    }

    /** The ends of the partitions that the group has not read to their ends. */
    private static Map<TopicPartition, Long> notCommitted(KafkaConsumer<byte[], byte[]> consumer, List<String> topics) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (String topic : topics) {
            consumer.partitionsFor(topic).forEach(one -> partitions.add(new TopicPartition(topic, one.partition())));
        }
        Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(new HashSet<>(partitions));
        Map<TopicPartition, Long> left = new HashMap<>(consumer.endOffsets(partitions));
        left.entrySet().removeIf(end -> {
            OffsetAndMetadata kept = committed.get(end.getKey());
            return end.getValue() <= (kept == null ? starts.get(end.getKey()) : kept.offset());
        });
        return left;
    }

    private static List<ProducerRecord<byte[], byte[]>> readRecords(String topic, String path) throws IOException {
        ByteBuffer values = ByteBuffer.wrap(Files.readAllBytes(Path.of(path + ".values")));
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(path))) {
            String[] fields = line.split(" ");
            List<Header> headers = new ArrayList<>();
            for (int at = 4; at < fields.length; at++) {
                String[] header = fields[at].split("=");
                headers.add(new RecordHeader(header[0], nullableBytes(header[1])));
            }
            records.add(new ProducerRecord<>(
                    topic,
                    Integer.valueOf(fields[0]),
                    Long.valueOf(fields[1]),
                    nullableBytes(fields[2]),
                    value(fields[3], values),
                    headers));
        }
        return records;
    }

    /** {@code -} is null, {@code x} and hexadecimal digits are bytes. */
    private static byte[] nullableBytes(String text) {
        return text.equals("-") ? null : HEX.parseHex(text.substring(1));
    }

    private static byte[] value(String text, ByteBuffer values) {
        if (text.equals("-")) {
            return null;
        }
        String[] place = text.split("\\+");
        byte[] value = new byte[Integer.parseInt(place[1])];
        values.get(Integer.parseInt(place[0]), value);
        return value;
    }

    private static void print(ConsumerRecord<byte[], byte[]> record) throws Exception {
        StringBuilder line = new StringBuilder();
        line.append("{\"topic\":\"").append(record.topic());
        line.append("\",\"partition\":").append(record.partition());
        line.append(",\"offset\":").append(record.offset());
        line.append(",\"timestamp\":").append(record.timestamp());
        line.append(",\"key\":").append(hexadecimal(record.key()));
        line.append(",\"value\":").append(described(record.value()));
        line.append(",\"headers\":[");
        String comma = "";
        for (Header header : record.headers()) {
            line.append(comma).append("[\"").append(header.key()).append("\",");
            line.append(hexadecimal(header.value())).append(']');
            comma = ",";
        }
        OUT.println(line.append("]}"));
    }

    private static String hexadecimal(byte[] content) {
        return content == null ? "null" : '"' + HEX.formatHex(content) + '"';
    }

    private static String described(byte[] value) throws Exception {
        if (value == null) {
            return "null";
        }
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(value);
        return "{\"bytes\":" + value.length + ",\"sha256\":" + hexadecimal(sum) + "}";
    }
}
