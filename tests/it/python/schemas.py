"""Schemas with confluent-kafka's own serializers: registered, produced, consumed, read back, over references and evolution.

Usage: schemas.py BOOTSTRAP REGISTRY [FORMAT...]; says `ok FORMAT` for each.
"""

import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

bootstrap, url, *formats = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})


def round_trip(topic, serializer, deserializer, values):
    """Writes the values to the topic, reads the topic from its start, and gives what was read last."""
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": bootstrap})
    failed = []
    for value in values:
        producer.produce(topic, serializer(value, context), on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0 and not failed, failed
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": f"{topic}-{len(values)}-{id(serializer)}",
        "auto.offset.reset": "earliest",
        "enable.partition.eof": False,
    })
    consumer.subscribe([topic])
    read = []
    wanted = sum(high - low for low, high in [consumer.get_watermark_offsets(partition, timeout=30) for partition in partitions(consumer, topic)])
    while len(read) < wanted:
        message = consumer.poll(30)
        assert message is not None, f"{len(read)} of {wanted} records"
        assert not message.error(), message.error()
        read.append(deserializer(message.value(), context))
    consumer.close()
    return read[-len(values):]


def partitions(consumer, topic):
    from confluent_kafka import TopicPartition
    return [TopicPartition(topic, number) for number in consumer.list_topics(topic, 30).topics[topic].partitions]


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
    write = AvroSerializer(registry, one)
    assert round_trip("py-avro", write, AvroDeserializer(registry), [{"id": 1}, {"id": 2}]) == [{"id": 1}, {"id": 2}]
    # A newer reader reads what an older writer wrote.
    newer = AvroDeserializer(registry, two)
    assert round_trip("py-avro", write, newer, [{"id": 3}]) == [{"id": 3, "name": "nobody"}]
    assert round_trip("py-avro", AvroSerializer(registry, two), newer, [{"id": 4, "name": "x"}]) == [{"id": 4, "name": "x"}]
    assert registry.get_versions("py-avro-value") == [1, 2]
    refused(409, lambda: registry.register_schema("py-avro-value", Schema('"string"', "AVRO")))
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
    order_id = registry.register_schema("py-order-value", order)
    assert registry.get_schema(order_id).references == order.references
    value = {"total": {"cents": 5}}
    assert round_trip("py-order", AvroSerializer(registry, order), AvroDeserializer(registry, order), [value]) == [value]
    refused(42206, lambda: registry.delete_subject("py-money"))


def json():
    one = '{"$schema":"http://json-schema.org/draft-07/schema#","title":"User","type":"object","properties":{"id":{"type":"integer"}},"additionalProperties":false}'
    two = '{"$schema":"http://json-schema.org/draft-07/schema#","title":"User","type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}},"additionalProperties":false}'
    assert round_trip("py-json", JSONSerializer(one, registry), JSONDeserializer(one, schema_registry_client=registry), [{"id": 1}]) == [{"id": 1}]
    value = {"id": 2, "name": "x"}
    assert round_trip("py-json", JSONSerializer(two, registry), JSONDeserializer(two, schema_registry_client=registry), [value]) == [value]
    assert registry.get_versions("py-json-value") == [1, 2]
    refused(409, lambda: registry.register_schema("py-json-value", Schema('{"type":"string"}', "JSON")))


def protobuf():
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from google.protobuf import timestamp_pb2, wrappers_pb2
    options = {"use.deprecated.format": False}
    for message in [wrappers_pb2.StringValue(value="x"), timestamp_pb2.Timestamp(seconds=7)]:
        kind = type(message)
        topic = f"py-{kind.__name__.lower()}"
        write, read = ProtobufSerializer(kind, registry, options), ProtobufDeserializer(kind, options, registry)
        assert round_trip(topic, write, read, [message]) == [message]


for name in formats or ["avro"]:
    globals()[name]()
    print("ok", name, flush=True)
