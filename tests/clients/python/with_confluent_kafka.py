"""confluent-kafka (librdkafka) as a producer and a consumer."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import program

BOOTSTRAP = {"bootstrap.servers": sys.argv[1]}


def create(topic, partitions, size):
    config = {} if size is None else {"max.message.bytes": str(size)}
    admin = AdminClient(BOOTSTRAP)
    for created in admin.create_topics([NewTopic(topic, partitions, 1, config=config)]).values():
        created.result(30)


def produce(topic, codec, size, records):
    config = {**BOOTSTRAP, "enable.idempotence": True, "compression.type": codec or "none"}
    if size is not None:
        config["message.max.bytes"] = size
    producer = Producer(config)
    failures = []

    def on_delivery(error, _message):
        if error is not None:
            failures.append(error)

    for record in records:
        producer.produce(
            topic,
            record.value,
            record.key,
            partition=record.partition,
            timestamp=record.timestamp,
            headers=record.headers,
            on_delivery=on_delivery,
        )
        producer.poll(0)
    if producer.flush(60) > 0:
        raise TimeoutError("records were not delivered in 60 s")
    if failures:
        raise KafkaException(failures[0])


def consume(topics):
    # The group is demanded by the constructor; assigned partitions never join it.
    consumer = Consumer({**BOOTSTRAP, "group.id": "unused", "enable.auto.commit": False})
    metadata = consumer.list_topics(timeout=30)
    partitions = [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic in topics
        for partition in metadata.topics[topic].partitions
    ]
    left = {}
    for one in partitions:
        start, end = consumer.get_watermark_offsets(one, timeout=30)
        if end > start:
            left[(one.topic, one.partition)] = end
    consumer.assign(partitions)
    deadline = time.monotonic() + 30
    while left:
        messages = consumer.consume(500, timeout=0.1)
        if messages:
            deadline = time.monotonic() + 30
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came for 30 s; still expected {left}")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            place = (message.topic(), message.partition())
            program.print_record(
                *place,
                message.offset(),
                message.timestamp()[1],
                message.key(),
                message.value(),
                message.headers(),
            )
            if message.offset() + 1 >= left.get(place, 0):
                left.pop(place, None)
    consumer.close()


def group(name, strategy, instance, topics):
    config = {
        **BOOTSTRAP,
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    protocol, _, assignor = strategy.rpartition(":")
    if protocol:
        config.update({"group.protocol": protocol, "group.remote.assignor": assignor})
    else:
        config.update({"partition.assignment.strategy": strategy, "session.timeout.ms": 6000})

    def member(number):
        own = {} if instance is None else {"group.instance.id": f"{instance}-{number}"}
        consumer = Consumer({**config, **own})
        consumer.subscribe(topics)
        return consumer

    first = member(0)
    partitions = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in first.list_topics(timeout=30).topics[topic].partitions
    ]
    left = {}
    for one in first.committed(partitions, timeout=30):
        start, end = first.get_watermark_offsets(one, timeout=30)
        if end > max(start, one.offset):
            left[(one.topic, one.partition)] = end
    members = [first]
    deadline = time.monotonic() + 60
    while left:
        for consumer in members:
            messages = consumer.consume(200, timeout=0.2)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                place = (message.topic(), message.partition())
                program.print_record(
                    *place,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    message.headers(),
                )
                if message.offset() + 1 >= left.get(place, 0):
                    left.pop(place, None)
            if messages:
                consumer.commit(asynchronous=False)
        if len(members) == 1 and first.assignment():
            # The second member comes while the first reads: a rebalance.
            members.append(member(1))
        if time.monotonic() > deadline:
            raise TimeoutError(f"not read in 60 s: {left}")
    for consumer in members:
        consumer.close()


program.run(create, produce, consume, group)
