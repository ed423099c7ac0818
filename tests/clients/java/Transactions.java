import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Transactions with Apache Kafka's own client: the pipeline and the transfers of ../../it/python, with their arguments.
 *
 * <p>{@code pipeline ADDRESS SEED COUNT} and {@code transfers ADDRESS TRANSACTIONAL_ID SEED FIRST COUNT}.
 */
public final class Transactions {
    private static final int PARTITIONS = 4;

    private final String address;
    private final Random draw;

    private Transactions(String address, String seed) {
        this.address = address;
        draw = new Random(Long.parseLong(seed));
    }

    public static void main(String[] words) {
        try {
            switch (words[0]) {
                case "pipeline" -> new Transactions(words[1], words[2]).pipeline(Long.parseLong(words[3]));
                case "transfers" -> new Transactions(words[1], words[3])
                        .transfers(words[2], Integer.parseInt(words[4]), Integer.parseInt(words[5]));
                default -> throw new IllegalArgumentException("unknown command " + words[0]);
            }
            say("end");
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(3);
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private KafkaProducer<byte[], byte[]> producer(String id) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        config.put("transactional.id", id);
        config.put("transaction.timeout.ms", "10000");
        config.put("max.block.ms", "20000");
        config.put("request.timeout.ms", "5000");
        config.put("delivery.timeout.ms", "15000");
        config.put("reconnect.backoff.max.ms", "200");
        ByteArraySerializer bytes = new ByteArraySerializer();
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes);
        try {
            producer.initTransactions();
        } catch (KafkaException error) {
            producer.close(Duration.ZERO);
            throw error;
        }
        return producer;
    }

    private void pipeline(long count) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        config.put("group.id", "pipeline");
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.put("isolation.level", "read_committed");
        config.put("session.timeout.ms", "6000");
        config.put("heartbeat.interval.ms", "300");
        config.put("max.poll.records", "10");
        config.put("reconnect.backoff.max.ms", "200");
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaProducer<byte[], byte[]> producer = producer("pipeline");
                KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes)) {
            consumer.subscribe(List.of("in"));
            while (true) {
                ConsumerRecords<byte[], byte[]> got = consumer.poll(Duration.ofMillis(300));
                if (!got.isEmpty()) {
                    turn(producer, consumer, got);
                } else if (done(consumer) >= count) {
                    return;
                }
            }
        }
    }

    /** One transaction; one of five is aborted, and what it read is read again from where the group stands. */
    private void turn(
            KafkaProducer<byte[], byte[]> producer,
            KafkaConsumer<byte[], byte[]> consumer,
            ConsumerRecords<byte[], byte[]> got) {
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : got) {
            byte[] value = ("done " + text(record.value())).getBytes(StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>("out", record.partition(), record.key(), value));
            ends.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(ends, consumer.groupMetadata());
        if (draw.nextDouble() < 0.2) {
            // What was aborted is to be in the log.
            producer.flush();
            producer.abortTransaction();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
            consumer.assignment().forEach(place -> {
                OffsetAndMetadata at = committed.get(place);
                consumer.seek(place, at == null ? 0 : at.offset());
            });
        } else {
            producer.commitTransaction();
        }
    }

    private static long done(KafkaConsumer<byte[], byte[]> consumer) {
        List<TopicPartition> places = new ArrayList<>();
        consumer.partitionsFor("in").forEach(one -> places.add(new TopicPartition("in", one.partition())));
        return consumer.committed(new HashSet<>(places)).values().stream()
                .mapToLong(at -> at == null ? 0 : at.offset())
                .sum();
    }

    private static String text(byte[] value) {
        return new String(value, StandardCharsets.UTF_8);
    }

    private void transfers(String id, int first, int count) {
        KafkaProducer<byte[], byte[]> producer = patientProducer(id);
        for (int number = first; number < first + count; number++) {
            boolean[] ending = {false};
            String how;
            try {
                how = transfer(producer, id, number, ending);
            } catch (KafkaException error) {
                error.printStackTrace();
                // A commit that nobody answered may have happened; anything else must not have.
                how = ending[0] ? "unknown" : "aborted";
                producer.close(Duration.ZERO);
                producer = null;
            }
            say(how + " " + number);
            if (producer == null) {
                producer = patientProducer(id);
            }
        }
        producer.close();
    }

    private KafkaProducer<byte[], byte[]> patientProducer(String id) {
        for (int attempt = 1; ; attempt++) {
            try {
                return producer(id);
            } catch (KafkaException error) {
                error.printStackTrace();
                if (attempt == 5) {
                    throw error;
                }
            }
        }
    }

    private String transfer(KafkaProducer<byte[], byte[]> producer, String id, int number, boolean[] ending) {
        int amount = 1 + draw.nextInt(999);
        List<Integer> places = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            places.add(partition);
        }
        Collections.shuffle(places, draw);
        boolean commits = draw.nextDouble() < 0.7;
        producer.beginTransaction();
        producer.send(half(places.get(0), id, number, -amount));
        if (draw.nextDouble() < 0.3) {
            producer.flush();
        }
        producer.send(half(places.get(1), id, number, amount));
        if (!commits) {
            producer.flush();
            producer.abortTransaction();
            return "aborted";
        }
        ending[0] = true;
        producer.commitTransaction();
        return "committed";
    }

    private static ProducerRecord<byte[], byte[]> half(int partition, String id, int number, int amount) {
        byte[] key = (id + "-" + number).getBytes(StandardCharsets.UTF_8);
        byte[] value = (number + " " + amount).getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>("accounts", partition, key, value);
    }
}
