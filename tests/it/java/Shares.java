import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidRecordStateException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Share groups with Apache Kafka's own client, each story in a group and a topic of its own: {@code Shares ADDRESS STORY...}.
 *
 * <p>The broker allows locks of three seconds. Of {@code killed} the line "kill" asks for the broker to be killed and started again.
 */
public final class Shares {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final long PATIENCE_MS = 60_000;

    private final String address;
    private final String name;

    private Shares(String address, String name) {
        this.address = address;
        this.name = name;
    }

    public static void main(String[] words) throws Exception {
        for (int at = 1; at < words.length; at++) {
            Shares shares = new Shares(words[0], words[at]);
            shares.prepare();
            switch (words[at]) {
                case "implicit" -> shares.implicit();
                case "explicit" -> shares.explicit();
                case "expired" -> shares.expired();
                case "committed" -> shares.committed();
                case "killed" -> shares.killed();
                default -> throw new IllegalArgumentException(words[at]);
            }
            System.out.println("done " + words[at]);
        }
    }

    private void prepare() throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", address))) {
            admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all().get();
            ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, name);
            List<AlterConfigOp> settings = new ArrayList<>();
            settings.add(new AlterConfigOp(
                new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET));
            if (name.equals("committed")) {
                settings.add(new AlterConfigOp(
                    new ConfigEntry("share.isolation.level", "read_committed"), AlterConfigOp.OpType.SET));
            }
            if (name.equals("expired")) {
                settings.add(new AlterConfigOp(
                    new ConfigEntry("share.record.lock.duration.ms", "3000"), AlterConfigOp.OpType.SET));
            }
            admin.incrementalAlterConfigs(Map.of(group, settings)).all().get();
        }
    }

    /** Writes values, in batches of so many. */
    private void produce(int from, int count, int batch) {
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "linger.ms", 1000);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int sent = 1; sent <= count; sent++) {
                producer.send(new ProducerRecord<>(name, Integer.toString(from + sent - 1)));
                if (sent % batch == 0) {
                    producer.flush();
                }
            }
        }
    }

    private KafkaShareConsumer<String, String> member(String mode, int most) {
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "group.id", name,
            "share.acknowledgement.mode", mode, "max.poll.records", most);
        var member = new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        member.subscribe(List.of(name));
        return member;
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static long until() {
        return System.currentTimeMillis() + PATIENCE_MS;
    }

    /** Polls until there are records, or the time is over. */
    private static List<ConsumerRecord<String, String>> next(
            KafkaShareConsumer<String, String> member, long until) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        while (records.isEmpty() && System.currentTimeMillis() < until) {
            member.poll(POLL).forEach(records::add);
        }
        return records;
    }

    /** All that was acknowledged is kept, of every partition. */
    private static void commit(KafkaShareConsumer<String, String> member) {
        member.commitSync().forEach((partition, error) -> error.ifPresent(e -> {
            throw e;
        }));
    }

    /** Two members of one partition: each record is delivered once, and nothing is left for a third. */
    private void implicit() throws Exception {
        int written = 0;
        Map<String, Integer> seen = new TreeMap<>();
        Set<String> readers = new HashSet<>();
        long until = until();
        try (var one = member("implicit", 20); var other = member("implicit", 20)) {
            while (seen.size() < written || written < 200 || readers.size() < 2) {
                check(System.currentTimeMillis() < until, seen.size() + " records, read by " + readers);
                if (written < 200 || readers.size() < 2) {
                    produce(written, 20, 5);
                    written += 20;
                }
                for (ConsumerRecord<String, String> record : one.poll(POLL)) {
                    seen.merge(record.value(), 1, Integer::sum);
                    readers.add("one");
                }
                for (ConsumerRecord<String, String> record : other.poll(POLL)) {
                    seen.merge(record.value(), 1, Integer::sum);
                    readers.add("other");
                }
            }
            commit(one);
            commit(other);
        }
        seen.forEach((value, times) -> check(times == 1, value + " was delivered " + times + " times"));
        produce(written, 1, 1);
        try (var third = member("implicit", 20)) {
            List<ConsumerRecord<String, String>> left = next(third, until());
            String last = Integer.toString(written);
            check(left.size() == 1 && left.get(0).value().equals(last), "left: " + left);
        }
    }

    /** Accepted and rejected records do not come again, a released one does. */
    private void explicit() throws Exception {
        produce(0, 6, 6);
        try (var member = member("explicit", 100)) {
            List<ConsumerRecord<String, String>> records = next(member, until());
            check(records.size() == 6, records.size() + " records");
            for (ConsumerRecord<String, String> record : records) {
                check(record.deliveryCount().equals(Optional.of((short) 1)), "delivered before");
                member.acknowledge(record, switch (record.value()) {
                    case "2" -> AcknowledgeType.RELEASE;
                    case "3" -> AcknowledgeType.REJECT;
                    default -> AcknowledgeType.ACCEPT;
                });
            }
            commit(member);
            records = next(member, until());
            check(records.size() == 1 && records.get(0).value().equals("2"), records.toString());
            check(records.get(0).deliveryCount().equals(Optional.of((short) 2)), "the second delivery");
            member.acknowledge(records.get(0), AcknowledgeType.ACCEPT);
            commit(member);
            check(next(member, System.currentTimeMillis() + 500).isEmpty(), "something was left");
        }
    }

    /** What a member has had for too long goes to another, and is not its own to acknowledge any more. */
    private void expired() throws Exception {
        produce(0, 3, 3);
        try (var slow = member("explicit", 100); var other = member("explicit", 100)) {
            List<ConsumerRecord<String, String>> held = next(slow, until());
            check(held.size() == 3, held.size() + " records");
            held.forEach(record ->
                check(record.deliveryCount().equals(Optional.of((short) 1)), "delivered before"));
            List<ConsumerRecord<String, String>> again = next(other, until());
            check(again.size() == 3, again.size() + " records");
            int times = again.get(0).deliveryCount().orElseThrow();
            for (ConsumerRecord<String, String> record : again) {
                check(record.deliveryCount().equals(Optional.of((short) times)), again.toString());
                // Not the first: of what is before the start of the group nothing is refused.
                if (!record.value().equals("0")) {
                    other.acknowledge(record, AcknowledgeType.ACCEPT);
                }
            }
            commit(other);
            held.forEach(record -> slow.acknowledge(record, AcknowledgeType.ACCEPT));
            Map<TopicIdPartition, Optional<KafkaException>> late = slow.commitSync();
            check(late.size() == 1, late.toString());
            late.values().forEach(error ->
                check(error.orElse(null) instanceof InvalidRecordStateException, error.toString()));
            // After a poll that had its records too a member may ask on in the background, until it is given something
            // (ShareConsumeRequestManager.fetchMoreRecords): then the second delivery lies with the slow one, unseen.
            check(times == 2 || times == 3, "delivered " + times + " times");
            if (times == 3) {
                List<ConsumerRecord<String, String>> unseen = next(slow, until());
                check(unseen.size() == 3, "the second delivery went to nobody: " + unseen);
                unseen.forEach(record ->
                    check(record.deliveryCount().equals(Optional.of((short) 2)), unseen.toString()));
            }
        }
    }

    /** Of transactions only the committed ones are delivered, and those after an open one when it ends. */
    private void committed() throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "transactional.id", name);
        List<String> seen = new ArrayList<>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
                var member = member("implicit", 100)) {
            producer.initTransactions();
            for (String value : List.of("committed", "aborted", "last")) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(name, value)).get();
                if (value.equals("last")) {
                    next(member, until()).forEach(record -> seen.add(record.value()));
                    check(seen.equals(List.of("committed")), "while one is open: " + seen);
                }
                if (value.equals("aborted")) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
            next(member, until()).forEach(record -> seen.add(record.value()));
            commit(member);
        }
        check(seen.equals(List.of("committed", "last")), seen.toString());
    }

    /** The broker is killed amid it all: nothing is lost, and nothing that was acknowledged comes again. */
    private void killed() throws Exception {
        int count = 400;
        produce(0, count, 5);
        Set<String> acknowledged = new HashSet<>();
        // Whether it was kept, nobody told: if it was, it does not come again.
        Set<String> unsure = new HashSet<>();
        long until = until();
        long quietSince = System.currentTimeMillis();
        boolean asked = false;
        try (var member = member("explicit", 5)) {
            while (acknowledged.size() + unsure.size() < count
                    || !unsure.isEmpty() && System.currentTimeMillis() < quietSince + 3000) {
                check(System.currentTimeMillis() < until, acknowledged.size() + " records acknowledged");
                List<String> values = new ArrayList<>();
                for (ConsumerRecord<String, String> record : member.poll(POLL)) {
                    check(!acknowledged.contains(record.value()), record.value() + " came again");
                    member.acknowledge(record, AcknowledgeType.ACCEPT);
                    unsure.remove(record.value());
                    values.add(record.value());
                    quietSince = System.currentTimeMillis();
                }
                boolean kept = member.commitSync().values().stream().allMatch(Optional::isEmpty);
                (kept ? acknowledged : unsure).addAll(values);
                if (!asked && acknowledged.size() >= count / 4) {
                    System.out.println("kill");
                    asked = true;
                }
            }
            check(unsure.size() <= 10, unsure.size() + " records were never acknowledged");
        }
    }
}
