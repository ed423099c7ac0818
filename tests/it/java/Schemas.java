import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.confluent.kafka.schemaregistry.ParsedSchema;
import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import io.confluent.kafka.schemaregistry.avro.AvroSchemaProvider;
import io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.rest.entities.SchemaReference;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import io.confluent.kafka.schemaregistry.protobuf.ProtobufSchema;
import io.confluent.kafka.schemaregistry.protobuf.ProtobufSchemaProvider;
import io.confluent.kafka.serializers.KafkaAvroDeserializer;
import io.confluent.kafka.serializers.KafkaAvroSerializer;
import io.confluent.kafka.serializers.protobuf.KafkaProtobufDeserializer;
import io.confluent.kafka.serializers.protobuf.KafkaProtobufSerializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Schemas with Confluent's own serializers for Java: registered, produced, consumed, read back, over references and evolution.
 *
 * <p>Usage: Schemas BOOTSTRAP REGISTRY FORMAT...; says {@code ok FORMAT} for each. Of JSON it has no serializer: the wheel that
 * carries these classes lacks it.
 */
public final class Schemas {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static String bootstrap;
    private static String url;

    private Schemas() {}

    /** A schema, and a value of it in JSON. */
    private record Step(String schema, String value) {}

    /** A format's classes, and how a value is made from JSON and turned into it. */
    private interface Format {
        Map<String, Object> producer();

        Map<String, Object> consumer();

        Object value(ParsedSchema schema, String json) throws Exception;

        String json(Object value) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        url = arguments[1];
        for (String format : List.of(arguments).subList(2, arguments.length)) {
            switch (format) {
                case "avro" -> avro();
                case "protobuf" -> protobuf();
                default -> throw new IllegalArgumentException(format);
            }
            System.out.println("ok " + format);
        }
    }

    private static SchemaRegistryClient client() {
        return new CachedSchemaRegistryClient(
            List.of(url), 100, List.of(new AvroSchemaProvider(), new ProtobufSchemaProvider()), Map.of(), Map.of());
    }

    private static String record(String name, String... fields) {
        return "{\"type\":\"record\",\"name\":\"" + name + "\",\"fields\":[" + String.join(",", fields) + "]}";
    }

    private static String field(String name, String rest) {
        return "{\"name\":\"" + name + "\",\"type\":" + rest + "}";
    }

    private static void avro() throws Exception {
        var format = new Format() {
            @Override
            public Map<String, Object> producer() {
                return Map.of(
                    "value.serializer", KafkaAvroSerializer.class, "auto.register.schemas", false, "use.latest.version", true);
            }

            @Override
            public Map<String, Object> consumer() {
                return Map.of("value.deserializer", KafkaAvroDeserializer.class);
            }

            @Override
            public Object value(ParsedSchema schema, String json) throws Exception {
                var avro = ((AvroSchema) schema).rawSchema();
                return new GenericDatumReader<>(avro).read(null, DecoderFactory.get().jsonDecoder(avro, json));
            }

            @Override
            public String json(Object value) {
                return value.toString().replace(" ", "");
            }
        };
        var client = client();
        client.register("java-avro-money", parsed(client, "AVRO", record("Money", field("cents", "\"long\"")), List.of()));
        var references = List.of(new SchemaReference("Money", "java-avro-money", 1));
        goRound(format, "AVRO", "java-avro-user", List.of(), List.of(
            new Step(record("User", field("id", "\"int\"")), "{\"id\":1}"),
            new Step(
                record("User", field("id", "\"long\""), field("name", "\"string\",\"default\":\"nobody\"")),
                "{\"id\":2,\"name\":\"x\"}")), record("User", field("id", "\"string\"")));
        goRound(format, "AVRO", "java-avro-order", references, List.of(
            new Step(record("Order", field("total", "\"Money\"")), "{\"total\":{\"cents\":5}}"),
            new Step(
                record("Order", field("total", "\"Money\""), field("note", "\"string\",\"default\":\"\"")),
                "{\"total\":{\"cents\":7},\"note\":\"y\"}")), record("Order", field("total", "\"string\"")));
        refused(42206, () -> client.deleteSubject("java-avro-money"));

        // An older record to a reader that has the newer schema.
        var newer = parsed(client, "AVRO", record("User", field("name", "\"string\",\"default\":\"nobody\"")), List.of());
        try (var serializer = new KafkaAvroSerializer(client, Map.of("schema.registry.url", url));
            var deserializer = new KafkaAvroDeserializer(client())) {
            var older = parsed(client, "AVRO", record("User", field("id", "\"int\"")), List.of());
            byte[] bytes = serializer.serialize("java-avro-user", format.value(older, "{\"id\":1}"));
            Object read = deserializer.deserialize("java-avro-user", bytes, ((AvroSchema) newer).rawSchema());
            equal(format.json(read), "{\"name\":\"nobody\"}");
        }
    }

    private static String file(String... lines) {
        return "syntax = \"proto3\";\npackage shop;\n" + String.join("\n", lines) + "\n";
    }

    private static void protobuf() throws Exception {
        var format = new Format() {
            @Override
            public Map<String, Object> producer() {
                // Registers what it finds in the message: the same schema, printed by Confluent's own printer.
                return Map.of("value.serializer", KafkaProtobufSerializer.class, "auto.register.schemas", true);
            }

            @Override
            public Map<String, Object> consumer() {
                return Map.of("value.deserializer", KafkaProtobufDeserializer.class);
            }

            @Override
            public Object value(ParsedSchema schema, String json) throws Exception {
                DynamicMessage.Builder builder = ((ProtobufSchema) schema).newMessageBuilder();
                JsonFormat.parser().merge(json, builder);
                return builder.build();
            }

            @Override
            public String json(Object value) throws Exception {
                return JsonFormat.printer().omittingInsignificantWhitespace().print((Message) value);
            }
        };
        var client = client();
        client.register("money.proto", parsed(client, "PROTOBUF", file("message Money {", "  int32 cents = 1;", "}"), List.of()));
        var references = List.of(new SchemaReference("money.proto", "money.proto", 1));
        goRound(format, "PROTOBUF", "java-protobuf-user", List.of(), List.of(
            new Step(file("message User {", "  int32 id = 1;", "}"), "{\"id\":1}"),
            new Step(file("message User {", "  int32 id = 1;", "  string name = 2;", "}"), "{\"id\":2,\"name\":\"x\"}")),
            file("message User {", "  string id = 1;", "}"));
        String imports = "import \"money.proto\";";
        goRound(format, "PROTOBUF", "java-protobuf-order", references, List.of(
            new Step(file(imports, "message Order {", "  Money total = 1;", "}"), "{\"total\":{\"cents\":5}}"),
            new Step(
                file(imports, "message Order {", "  Money total = 1;", "  string note = 2;", "}"),
                "{\"total\":{\"cents\":7},\"note\":\"y\"}")), file(imports, "message Order {", "  string total = 1;", "  Money x = 2;", "}"));
        refused(42206, () -> client.deleteSubject("money.proto"));
    }

    private static ParsedSchema parsed(
        SchemaRegistryClient client, String type, String text, List<SchemaReference> references) {
        return client.parseSchema(type, text, references).orElseThrow(() -> new AssertionError("not parsed: " + text));
    }

    private static void goRound(
        Format format, String type, String topic, List<SchemaReference> references, List<Step> steps, String unfit)
        throws Exception {
        String subject = topic + "-value";
        for (Step step : steps) {
            var client = client();
            ParsedSchema schema = parsed(client, type, step.schema(), references);
            int id = client.register(subject, schema);
            equal(client.getId(subject, schema), id);
            equal(client.getSchemaById(id).references(), references);
            write(format, topic, format.value(schema, step.value()));
        }
        var client = client();
        equal(client.getAllVersions(subject), List.of(1, 2));
        ParsedSchema wrong = parsed(client, type, unfit, references);
        equal(client.testCompatibility(subject, wrong), false);
        equal(client.testCompatibility(subject, client.getSchemaBySubjectAndId(subject, client.getLatestSchemaMetadata(subject).getId())), true);
        refused(409, () -> client.register(subject, wrong));
        List<String> read = new ArrayList<>();
        for (Object value : read(format, topic, steps.size())) {
            read.add(format.json(value));
        }
        equal(read, steps.stream().map(Step::value).toList());
    }

    private static Map<String, Object> with(Map<String, Object> more, Map<String, Object> basic) {
        var all = new HashMap<>(basic);
        all.putAll(more);
        all.put("bootstrap.servers", bootstrap);
        all.put("schema.registry.url", url);
        return all;
    }

    private static void write(Format format, String topic, Object value) throws Exception {
        var settings = with(format.producer(), Map.of("key.serializer", ByteArraySerializer.class));
        try (var producer = new KafkaProducer<byte[], Object>(settings)) {
            producer.send(new ProducerRecord<>(topic, value)).get();
        }
    }

    private static List<Object> read(Format format, String topic, int count) {
        var settings = with(format.consumer(), Map.of("key.deserializer", ByteArrayDeserializer.class));
        List<Object> values = new ArrayList<>();
        try (var consumer = new KafkaConsumer<byte[], Object>(settings)) {
            var partitions = consumer.partitionsFor(topic).stream()
                .map(one -> new TopicPartition(topic, one.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (values.size() < count && System.nanoTime() < until) {
                for (ConsumerRecord<byte[], Object> record : consumer.poll(PATIENCE)) {
                    values.add(record.value());
                }
            }
        }
        return values;
    }

    private interface Call {
        void make() throws Exception;
    }

    private static void refused(int code, Call call) throws Exception {
        try {
            call.make();
        } catch (RestClientException error) {
            // A conflict's code is its status.
            equal(error.getErrorCode(), code);
            return;
        }
        throw new AssertionError("not refused with " + code);
    }

    private static void equal(Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new AssertionError(found + " is not " + expected);
        }
    }
}
