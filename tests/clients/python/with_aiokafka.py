"""aiokafka as a producer and a consumer."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, for_code

import program

BOOTSTRAP = sys.argv[1]


async def create(topic, partitions, size):
    configs = {} if size is None else {"max.message.bytes": str(size)}
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        for name, code, *_ in answer.topic_errors:
            if code != 0:
                raise for_code(code)(name)
    finally:
        await admin.close()


async def produce(topic, codec, size, records):
    config = {} if size is None else {"max_request_size": size}
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, enable_idempotence=True, compression_type=codec, **config
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp,
                headers=record.headers,
            )
            for record in records
        ]
        await asyncio.wait_for(asyncio.gather(*sent), 60)
    finally:
        await producer.stop()


async def consume(topics):
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False)
    await consumer.start()
    try:
        # Partitions are known only of topics in the client's metadata set.
        metadata = await consumer._client.fetch_all_metadata()
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in metadata.partitions_for_topic(topic)
        ]
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        left = {place: end for place, end in ends.items() if end > starts[place]}
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        while left:
            fetched = await asyncio.wait_for(consumer.getmany(timeout_ms=60_000), 30)
            for place, records in fetched.items():
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
    finally:
        await consumer.stop()


STRATEGIES = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


async def group(name, strategy, instance, topics):
    def member(number):
        return AIOKafkaConsumer(
            *topics,
            bootstrap_servers=BOOTSTRAP,
            group_id=name,
            group_instance_id=None if instance is None else f"{instance}-{number}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=(STRATEGIES[strategy],),
            heartbeat_interval_ms=300,
        )

    members = [member(0)]
    await members[0].start()
    try:
        places = sorted(members[0].assignment())
        starts = await members[0].beginning_offsets(places)
        left = {}
        for place, end in (await members[0].end_offsets(places)).items():
            committed = await members[0].committed(place) or 0
            if end > max(starts[place], committed):
                left[place] = end
        read = [{}, {}]
        deadline = time.monotonic() + 60
        while left and time.monotonic() < deadline:
            for consumer, its in zip(members, read):
                fetched = await consumer.getmany(timeout_ms=500, max_records=50)
                for place, records in fetched.items():
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
                    its[place] = records[-1].offset + 1
                await commit(consumer, its, left)
            if len(members) == 1 and left:
                # The second member comes while the first reads: a rebalance.
                members.append(member(1))
                await members[1].start()
        if left:
            raise TimeoutError(f"not read: {left}")
    finally:
        for consumer in members:
            await consumer.stop()


async def commit(consumer, read, left):
    """Commits what one member read; a partition is done when its end is committed."""
    for place in read.keys() - consumer.assignment():
        # It is read again by whoever has it now.
        del read[place]
    if not read:
        return
    try:
        await consumer.commit(dict(read))
    except (CommitFailedError, IllegalStateError):
        # The group rebalances: what is still ours is committed by the next round.
        return
    for place, offset in read.items():
        if offset >= left.get(place, 0):
            left.pop(place, None)
    read.clear()


async def member(name, strategy, instance, mode, topic, stop):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=name,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        enable_auto_commit=mode == "auto",
        auto_commit_interval_ms=300,
        partition_assignment_strategy=(STRATEGIES[strategy],),
        session_timeout_ms=2000,
        heartbeat_interval_ms=300,
        metadata_max_age_ms=500,
        retry_backoff_ms=100,
    )
    if topic.startswith("^"):
        consumer.subscribe(pattern=topic)
    else:
        consumer.subscribe([topic])
    await consumer.start()
    try:
        while not stop.is_set:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    program.print_read(record.topic, record.partition, record.offset, record.value)
            if mode == "sync":
                try:
                    await consumer.commit()
                except (KafkaError, IllegalStateError) as error:
                    # The broker is away or the group rebalances: the next turn commits, or others read it again.
                    print("commit:", error, file=sys.stderr)
    finally:
        await consumer.stop()


def blocking(command):
    return lambda *arguments: asyncio.run(command(*arguments))


program.run(blocking(create), blocking(produce), blocking(consume), blocking(group), blocking(member))
