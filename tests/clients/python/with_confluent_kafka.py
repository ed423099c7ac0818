"""confluent-kafka (librdkafka) as a producer and a consumer."""

import sys
import threading
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
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


class Member:
    """A member of a group in a thread of its own, as real members are.

    Two consumers polled in turns by one thread can stand still together: a synchronous commit of the one waits on its
    connection behind a JoinGroup, which waits for the other, which is not polled meanwhile.
    """

    def __init__(self, config, topics, left):
        self.consumer = Consumer(config)
        self.consumer.subscribe(topics, on_revoke=self.on_gone, on_lost=self.on_gone)
        self.left = left
        self.read = {}
        self.failure = None
        self.has_read = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def on_gone(self, _consumer, partitions):
        # What was not committed is read again by whoever gets the partition.
        for one in partitions:
            self.read.pop((one.topic, one.partition), None)

    def run(self):
        try:
            while self.left:
                self.take(self.consumer.consume(200, timeout=0.2))
                self.commit()
            close(self.consumer)
        except Exception as error:
            self.failure = error

    def take(self, messages):
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            place = (message.topic(), message.partition())
            with PRINTING:
                program.print_record(
                    *place,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    message.headers(),
                )
            self.read[place] = message.offset() + 1
            self.has_read.set()

    def commit(self):
        if not self.read:
            return
        offsets = [TopicPartition(*place, offset) for place, offset in self.read.items()]
        try:
            committed = self.consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # The group rebalances: what is still ours is committed by the next round.
            if error.args[0].code() not in REBALANCING:
                raise
            return
        for one in committed:
            place = (one.topic, one.partition)
            if one.error is None:
                self.read.pop(place, None)
                if one.offset >= self.left.get(place, 0):
                    self.left.pop(place, None)
            elif one.error.code() not in REBALANCING:
                raise KafkaException(one.error)


PRINTING = threading.Lock()
REBALANCING = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.UNKNOWN_MEMBER_ID,
}


def close(consumer):
    """Closes without the library's own deadlock: librdkafka issue 4884.

    `close` ends the part of librdkafka that serves assignments and then calls the application about one that came before,
    which waits without end to be served. So the member leaves first and hears of every assignment that came.
    """
    consumer.unsubscribe()
    while consumer.poll(0) is not None or consumer.assignment():
        pass
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
        # Members that join are waited for by all others.
        config.update(
            {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 300}
        )
    left = not_committed(config, topics)
    members = []
    for number in range(2):
        own = {} if instance is None else {"group.instance.id": f"{instance}-{number}"}
        member = Member({**config, **own}, topics, left)
        members.append(member)
        member.thread.start()
        # The second member comes while the first reads: a rebalance.
        while member.thread.is_alive() and not member.has_read.wait(0.05) and number == 0:
            pass
    deadline = time.monotonic() + 60
    for member in members:
        member.thread.join(max(0, deadline - time.monotonic()))
        if member.failure is not None:
            raise member.failure
    if any(member.thread.is_alive() for member in members):
        raise TimeoutError(f"not read and committed in 60 s: {left}")


def not_committed(config, topics):
    """The ends of the partitions that the group has not committed up to."""
    # It asks and never joins.
    consumer = Consumer(config)
    partitions = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in consumer.list_topics(timeout=30).topics[topic].partitions
    ]
    left = {}
    for one in consumer.committed(partitions, timeout=30):
        start, end = consumer.get_watermark_offsets(one, timeout=30)
        if end > max(start, one.offset):
            left[(one.topic, one.partition)] = end
    consumer.close()
    return left


def member(name, strategy, instance, commit, topic, stop):
    config = {
        **BOOTSTRAP,
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": commit == "auto",
        "auto.commit.interval.ms": 300,
        "reconnect.backoff.max.ms": 200,
        "topic.metadata.refresh.interval.ms": 500,
    }
    protocol, _, assignor = strategy.rpartition(":")
    if protocol:
        config.update({"group.protocol": protocol, "group.remote.assignor": assignor})
    else:
        config.update(
            {"partition.assignment.strategy": strategy, "session.timeout.ms": 2000, "heartbeat.interval.ms": 300}
        )
    if instance is not None:
        config["group.instance.id"] = instance
    consumer = Consumer(config)
    # A name that begins with ^ is a pattern.
    consumer.subscribe([topic])
    while not stop.is_set:
        for message in consumer.consume(200, timeout=0.1):
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            program.print_read(message.topic(), message.partition(), message.offset(), message.value())
        commit_as(consumer, commit)
    if commit != "auto":
        commit_as(consumer, "sync")
    close(consumer)


def commit_as(consumer, commit):
    if commit == "auto":
        return
    try:
        consumer.commit(asynchronous=commit == "async")
    except KafkaException as error:
        # The broker is away or the group rebalances: the next turn commits, or others read it again.
        if error.args[0].code() != KafkaError._NO_OFFSET:
            print("commit:", error, file=sys.stderr)


program.run(create, produce, consume, group, member)
