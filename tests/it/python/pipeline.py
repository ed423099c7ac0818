"""Consume, transform, produce, exactly once: each turn's records and offsets are one transaction; some are aborted.

    pipeline.py ADDRESS SEED COUNT

Reads `in` as a member of the group `pipeline`, writes `value -> done value` to the same partition of `out`, and ends when
COUNT records are in `out` as far as it knows from the group's offsets. An error ends it: whoever started it starts it again.
"""

import random
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

ADDRESS, SEED, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
GROUP = "pipeline"


def open_consumer():
    consumer = Consumer(
        {
            "bootstrap.servers": ADDRESS,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
        }
    )
    consumer.subscribe(["in"])
    return consumer


def done(consumer):
    partitions = consumer.list_topics("in", timeout=20).topics["in"].partitions
    committed = consumer.committed([TopicPartition("in", p) for p in partitions], timeout=20)
    return sum(max(one.offset, 0) for one in committed)


def main():
    draw = random.Random(SEED)
    producer = Producer(
        {"bootstrap.servers": ADDRESS, "transactional.id": GROUP, "transaction.timeout.ms": 10_000}
    )
    producer.init_transactions(20)
    consumer = open_consumer()
    idle_since = time.monotonic()
    while True:
        messages = [one for one in consumer.consume(10, timeout=0.3) if one.error() is None]
        if not messages:
            if time.monotonic() - idle_since > 1 and done(consumer) >= COUNT:
                break
            continue
        idle_since = time.monotonic()
        producer.begin_transaction()
        for message in messages:
            value = b"done " + message.value()
            producer.produce("out", value, message.key(), partition=message.partition())
        ends = {}
        for message in messages:
            ends[message.partition()] = message.offset() + 1
        offsets = [TopicPartition("in", partition, end) for partition, end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 20)
        if draw.random() < 0.2:
            producer.abort_transaction(20)
            # What was aborted is read again, from where the group stands.
            for one in consumer.committed(consumer.assignment(), timeout=20):
                consumer.seek(TopicPartition(one.topic, one.partition, max(one.offset, 0)))
        else:
            producer.commit_transaction(20)
    consumer.close()
    print("end", flush=True)


try:
    main()
except KafkaException as error:
    print(error, file=sys.stderr)
    sys.exit(3)
