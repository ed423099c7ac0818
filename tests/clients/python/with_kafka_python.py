"""kafka-python as a producer and a consumer."""

import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError

import program

BOOTSTRAP = sys.argv[1]


def create(topic, partitions, size):
    configs = {} if size is None else {"max.message.bytes": str(size)}
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    admin.create_topics({topic: wanted})
    admin.close()


def produce(topic, codec, size, records):
    config = {} if size is None else {"max_request_size": size}
    producer = KafkaProducer(
        bootstrap_servers=BOOTSTRAP, enable_idempotence=True, compression_type=codec, **config
    )
    sent = [
        producer.send(
            topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
            partition=record.partition,
            timestamp_ms=record.timestamp,
        )
        for record in records
    ]
    producer.flush(60)
    for one in sent:
        one.get(60)
    producer.close()


def consume(topics):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    partitions = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in consumer.partitions_for_topic(topic)
    ]
    starts = consumer.beginning_offsets(partitions)
    left = {
        place: end
        for place, end in consumer.end_offsets(partitions).items()
        if end > starts[place]
    }
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    deadline = time.monotonic() + 30
    while left:
        for place, records in consumer.poll(timeout_ms=1000).items():
            deadline = time.monotonic() + 30
            for record in records:
                program.print_record(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers,
                )
            if records[-1].offset + 1 >= left.get(place, 0):
                left.pop(place, None)
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came for 30 s; still expected {left}")
    consumer.close()


STRATEGIES = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


def group(name, strategy, instance, topics):
    """One member alone: the library's consumers must not be polled in turns by one thread."""
    consumer = KafkaConsumer(
        *topics,
        bootstrap_servers=BOOTSTRAP,
        group_id=name,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[STRATEGIES[strategy]],
        heartbeat_interval_ms=300,
    )
    deadline = time.monotonic() + 60
    while not consumer.assignment():
        collect(consumer, {}, deadline)
    left = {}
    for place, end in consumer.end_offsets(list(consumer.assignment())).items():
        start = consumer.beginning_offsets([place])[place]
        if end > max(start, consumer.committed(place) or 0):
            left[place] = end
    consumer.seek_to_beginning(*[place for place in left if not consumer.committed(place)])
    while left:
        collect(consumer, left, deadline)
        consumer.commit()
    consumer.close()


def collect(consumer, left, deadline):
    for place, records in consumer.poll(timeout_ms=1000).items():
        for record in records:
            if place in left:
                program.print_record(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers,
                )
        if records[-1].offset + 1 >= left.get(place, 0):
            left.pop(place, None)
    if time.monotonic() > deadline:
        raise TimeoutError(f"not read in 60 s: {left}")


def member(name, strategy, instance, commit, topic, stop):
    consumer = KafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=name,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        enable_auto_commit=commit == "auto",
        auto_commit_interval_ms=300,
        partition_assignment_strategy=[STRATEGIES[strategy]],
        session_timeout_ms=2000,
        heartbeat_interval_ms=300,
        metadata_max_age_ms=500,
        reconnect_backoff_max_ms=200,
    )
    if topic.startswith("^"):
        consumer.subscribe(pattern=topic)
    else:
        consumer.subscribe([topic])
    while not stop.is_set:
        try:
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    program.print_read(record.topic, record.partition, record.offset, record.value)
            if commit == "sync":
                consumer.commit()
            elif commit == "async":
                consumer.commit_async()
        except KafkaError as error:
            # The broker is away, which a poll tells too, or the group rebalances: the next turn commits, or others read it
            # again.
            print("poll or commit:", error, file=sys.stderr)
    if commit == "async":
        consumer.commit()
    consumer.close()


program.run(create, produce, consume, group, member)
