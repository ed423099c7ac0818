"""Schemas with confluent-kafka's own serializers: registered, produced, consumed, read back, over references and evolution,
in topics in which the broker holds records against them.

Usage: schemas.py BOOTSTRAP REGISTRY [FORMAT...]; says `ok FORMAT` for each.
"""

import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

bootstrap, url, *formats = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
# One that has not registered what it reads: a client keeps the text that a registration was answered with, and gives it
# where a descriptor is asked for.
reader = SchemaRegistryClient({"url": url})
admin = AdminClient({"bootstrap.servers": bootstrap})
producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.partition.eof": False, "fetch.wait.max.ms": 20})

HEADER = {"schema.id.serializer": header_schema_id_serializer}


def create(topic, mode="payload"):
    config = {"confluent.value.schema.validation": "true", "thalweg.schema.validation.mode": mode}
    admin.create_topics([NewTopic(topic, 1, config=config)])[topic].result(30)


def serialized(topic, serializer, value):
    context = SerializationContext(topic, MessageField.VALUE, [])
    data = serializer(value, context)
    return data, context.headers


def produced(topic, data, headers=()):
    """The error's code, or none."""
    codes = []
    producer.produce(topic, data, headers=list(headers), on_delivery=lambda error, _: codes.append(error.code() if error else None))
    assert producer.flush(30) == 0
    return codes[0]


def round_trip(topic, serializer, deserializer, values):
    """Writes the values to the topic, reads the topic from its start, and gives what was read last."""
    for value in values:
        assert produced(topic, *serialized(topic, serializer, value)) is None
    _, wanted = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    read = []
    while len(read) < wanted:
        message = consumer.poll(30)
        assert message is not None, f"{len(read)} of {wanted} records"
        assert not message.error(), message.error()
        read.append(deserializer(message.value(), SerializationContext(topic, MessageField.VALUE, message.headers())))
    return read[-len(values):]


def held(kind, serializer, value):
    """The broker takes what fits its schema, and no other: by payload and by id."""
    refusal = KafkaError.INVALID_RECORD
    for mode in ["payload", "id"]:
        topic = f"py-{kind}-{mode}"
        create(topic, mode)
        data, headers = serialized(topic, serializer, value)
        assert produced(topic, data, headers) is None
        cut = produced(topic, data[:-1], headers)
        assert cut == (refusal if mode == "payload" else None), (kind, mode, cut)
        if not headers:
            assert produced(topic, b"\x00\x7f\xff\xff\xff" + data[5:]) == refusal
            assert produced(topic, data[5:]) == refusal


def refused(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert error.error_code == code, error
        return
    raise AssertionError(f"not refused with {code}")


def avro():
    one = '{"type":"record","name":"User","fields":[{"name":"id","type":"int"}]}'
    two = '{"type":"record","name":"User","fields":[{"name":"id","type":"long"},{"name":"name","type":"string","default":"nobody"}]}'
    create("py-avro")
    write = AvroSerializer(registry, one)
    assert round_trip("py-avro", write, AvroDeserializer(registry), [{"id": 1}, {"id": 2}]) == [{"id": 1}, {"id": 2}]
    # A newer reader reads what an older writer wrote.
    newer = AvroDeserializer(registry, two)
    assert round_trip("py-avro", write, newer, [{"id": 3}]) == [{"id": 3, "name": "nobody"}]
    assert round_trip("py-avro", AvroSerializer(registry, two), newer, [{"id": 4, "name": "x"}]) == [{"id": 4, "name": "x"}]
    # The deserializer wants six bytes, although the id is in the header.
    long = {"id": 5, "name": "somebody"}
    assert round_trip("py-avro", AvroSerializer(registry, two, conf=HEADER), newer, [long]) == [long]
    assert registry.get_versions("py-avro-value") == [1, 2]
    refused(409, lambda: registry.register_schema("py-avro-value", Schema('"string"', "AVRO")))
    # Another format does not fit.
    refused(409, lambda: registry.register_schema("py-avro-value", Schema('{"type":"object"}', "JSON")))
    assert registry.test_compatibility("py-avro-value", Schema(two, "AVRO")) is True
    # An int does not hold what was written as a long.
    assert registry.test_compatibility("py-avro-value", Schema(one, "AVRO")) is False
    # A schema that another one refers to.
    registry.register_schema("py-money", Schema('{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}', "AVRO"))
    order = Schema(
        '{"type":"record","name":"Order","fields":[{"name":"total","type":"Money"}]}',
        "AVRO",
        [SchemaReference("Money", "py-money", 1)],
    )
    order_id = registry.register_schema("py-avro-payload-value", order)
    assert registry.get_schema(order_id).references == order.references
    value = {"total": {"cents": 500}}
    held("avro", AvroSerializer(registry, order), value)
    create("py-order")
    assert round_trip("py-order", AvroSerializer(registry, order), AvroDeserializer(registry, order), [value]) == [value]
    refused(42206, lambda: registry.delete_subject("py-money"))


def json():
    def schema(title, properties, **more):
        import json
        draft = "http://json-schema.org/draft-07/schema#"
        return json.dumps({"$schema": draft, "title": title, "type": "object", "properties": properties, "additionalProperties": False, **more})

    one = schema("User", {"id": {"type": "integer"}})
    two = schema("User", {"id": {"type": "integer"}, "name": {"type": "string"}})
    create("py-json")
    read = JSONDeserializer(two, schema_registry_client=registry)
    assert round_trip("py-json", JSONSerializer(one, registry), read, [{"id": 1}]) == [{"id": 1}]
    value = {"id": 2, "name": "x"}
    assert round_trip("py-json", JSONSerializer(two, registry), read, [value]) == [value]
    assert round_trip("py-json", JSONSerializer(two, registry, conf=HEADER), read, [value]) == [value]
    assert registry.get_versions("py-json-value") == [1, 2]
    refused(409, lambda: registry.register_schema("py-json-value", Schema('{"type":"string"}', "JSON")))
    assert registry.test_compatibility("py-json-value", Schema(one, "JSON")) is False
    registry.register_schema("py-json-money", Schema(schema("Money", {"cents": {"type": "integer"}}, required=["cents"]), "JSON"))
    order = Schema(schema("Order", {"total": {"$ref": "money.json"}}), "JSON", [SchemaReference("money.json", "py-json-money", 1)])
    value = {"total": {"cents": 500}}
    held("json", JSONSerializer(order, registry), value)
    create("py-json-order")
    write = JSONSerializer(order, registry)
    assert round_trip("py-json-order", write, JSONDeserializer(order, schema_registry_client=registry), [value]) == [value]
    assert registry.lookup_schema("py-json-order-value", order).version == 1
    # What it refers to counts at the broker, too.
    data, _ = serialized("py-json-order", write, value)
    assert produced("py-json-order", data.replace(b"cents", b"scent")) == KafkaError.INVALID_RECORD
    refused(42206, lambda: registry.delete_subject("py-json-money"))


def protobuf():
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, timestamp_pb2
    options = {"use.deprecated.format": False}

    def kinds(order):
        """The messages of a file that imports another one, with these fields in its `Order`."""
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        files = [
            'name: "money.proto" package: "shop" syntax: "proto3" message_type { name: "Money" field { name: "cents" number: 1 label: LABEL_OPTIONAL type: TYPE_INT64 } }',
            'name: "order.proto" package: "shop" syntax: "proto3" dependency: "money.proto" dependency: "google/protobuf/timestamp.proto"'
            f' message_type {{ name: "Order" {order} }} message_type {{ name: "Refund" field {{ name: "back" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".shop.Money" }} }}',
        ]
        for text in files:
            pool.Add(text_format.Parse(text, descriptor_pb2.FileDescriptorProto()))
        return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shop.{name}")) for name in ["Order", "Refund", "Money"]]

    total = 'field { name: "total" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".shop.Money" }'
    at = 'field { name: "at" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" }'
    wrong = 'field { name: "total" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }'
    order, refund, money = kinds(total)
    later = kinds(total + at)[0]

    def writer(kind, **more):
        return ProtobufSerializer(kind, registry, {**options, **more})

    value = order(total=money(cents=500))
    create("py-protobuf")
    read = ProtobufDeserializer(order, options, reader)
    assert round_trip("py-protobuf", writer(order), read, [value]) == [value]
    # An older reader reads what a newer writer wrote.
    new = later()
    new.total.cents = 7
    new.at.seconds = 8
    assert [old.total.cents for old in round_trip("py-protobuf", writer(later), read, [new])] == [7]
    assert round_trip("py-protobuf", writer(later, **HEADER), ProtobufDeserializer(later, options, reader), [new]) == [new]
    assert registry.get_versions("py-protobuf-value") == [1, 2]
    unlike = kinds(wrong)[0]
    refused(409, lambda: serialized("py-protobuf", writer(unlike), unlike()))
    # The second message of a file, by its index; in front of the bytes and in the header.
    back = refund(back=money(cents=3))
    create("py-refund")
    for more in [{}, HEADER]:
        assert round_trip("py-refund", writer(refund, **more), ProtobufDeserializer(refund, options, reader), [back]) == [back]
    held("protobuf", writer(order), value)
    refused(42206, lambda: registry.delete_subject("money.proto"))
    stored = registry.get_latest_version("py-protobuf-value").schema
    assert "import \"money.proto\";" in stored.schema_str, stored.schema_str
    assert registry.lookup_schema("py-protobuf-value", stored).version == 2


for name in formats or ["avro", "json", "protobuf"]:
    globals()[name]()
    print("ok", name, flush=True)
