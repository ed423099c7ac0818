"""Reads every partition of a topic to its end and prints what is there.

    ledger.py ADDRESS TOPIC ISOLATION

A line for each record: partition, offset, key, value. With read_committed only what was committed is there.
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

ADDRESS, TOPIC, ISOLATION = sys.argv[1:4]


def main():
    consumer = Consumer(
        {
            "bootstrap.servers": ADDRESS,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": ISOLATION,
            # Control records and aborted ones take offsets too: the end is told, not counted.
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, partition, OFFSET_BEGINNING) for partition in partitions])
    left = set(partitions)
    deadline = time.monotonic() + 60
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end of {left} in 60 s")
        for message in consumer.consume(500, timeout=0.2):
            if message.error() is None:
                key, value = (message.key() or b"").decode(), message.value().decode()
                print(message.partition(), message.offset(), key, value)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    print("end", flush=True)


main()
