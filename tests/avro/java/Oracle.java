import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.Incompatibility;

/**
 * What Java's Avro and Confluent's AvroSchema say of pairs of schemas: a reader and a writer a line in, a verdict a line out.
 *
 * <p>In: reader TAB writer, each a schema's text and the texts that it refers to, separated by the character 1. Out, separated
 * by tabs: for each of the two its canonical text and its normal form, each empty if Java refuses it; then each
 * incompatibility as kind, place and message, separated by the character 1.
 */
public final class Oracle {
    private Oracle() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        try (BufferedReader input = Files.newBufferedReader(Path.of(arguments[0]))) {
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                out.println(verdict(line.split("\t", -1)));
            }
        }
        out.flush();
    }

    private static String verdict(String[] pair) {
        AvroSchema reader = parsed(pair[0]);
        AvroSchema writer = parsed(pair[1]);
        StringBuilder out = new StringBuilder();
        out.append(canonical(reader)).append('\t').append(normalized(reader));
        out.append('\t').append(canonical(writer)).append('\t').append(normalized(writer));
        if (reader != null && writer != null) {
            compare(reader, writer, out);
        }
        return out.toString();
    }

    private static void compare(AvroSchema reader, AvroSchema writer, StringBuilder out) {
        int told = reader.isBackwardCompatible(writer).size();
        try {
            var result = SchemaCompatibility.checkReaderWriterCompatibility(reader.rawSchema(), writer.rawSchema());
            var found = result.getResult().getIncompatibilities();
            if (found.size() != told) {
                throw new IllegalStateException("AvroSchema and SchemaCompatibility disagree");
            }
            for (Incompatibility one : found) {
                out.append('\t').append(one.getType()).append('\u0001').append(one.getLocation());
                out.append('\u0001').append(one.getMessage());
            }
        } catch (RuntimeException error) {
            out.append('\t').append("EXCEPTION\u0001").append('\u0001');
            out.append(String.valueOf(error.getMessage()).replaceAll("\\s+", " "));
        }
    }

    private static AvroSchema parsed(String texts) {
        String[] parts = texts.split("\u0001", -1);
        Map<String, String> references = new LinkedHashMap<>();
        for (int at = 1; at < parts.length; at++) {
            references.put("reference " + at, parts[at]);
        }
        try {
            return new AvroSchema(parts[0], Collections.emptyList(), references, null, true);
        } catch (RuntimeException error) {
            return null;
        }
    }

    private static String canonical(AvroSchema schema) {
        return schema == null ? "" : schema.canonicalString();
    }

    private static String normalized(AvroSchema schema) {
        try {
            return schema == null ? "" : schema.normalize().canonicalString();
        } catch (RuntimeException error) {
            return "";
        }
    }
}
