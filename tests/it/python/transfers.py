"""Transfers between accounts, each a transaction of two records; some are aborted.

    transfers.py ADDRESS TRANSACTIONAL_ID SEED FIRST COUNT

A transfer is a debit to one partition of `accounts` and a credit to another. For each, one line says how it went:
`committed N`, `aborted N`, or `unknown N` when the broker was away at the wrong moment. The program goes on with the next in
any case: with a new producer of the same transactional id where the old one cannot.
"""

import random
import sys
import time

from confluent_kafka import KafkaException, Producer

ADDRESS, ID, SEED, FIRST, COUNT = sys.argv[1], sys.argv[2], *(int(text) for text in sys.argv[3:6])
TOPIC = "accounts"
PARTITIONS = 4


def new_producer():
    while True:
        producer = Producer(
            {
                "bootstrap.servers": ADDRESS,
                "transactional.id": ID,
                "transaction.timeout.ms": 10_000,
                "linger.ms": 0,
                "socket.timeout.ms": 5_000,
            }
        )
        try:
            producer.init_transactions(20)
            return producer
        except KafkaException as error:
            print("init:", error, file=sys.stderr)
            time.sleep(0.1)


def transfer(producer, number, draw):
    """Gives how it ended, and whether the producer can go on."""
    amount = draw.randrange(1, 1000)
    source, target = draw.sample(range(PARTITIONS), 2)
    commit = draw.random() < 0.7
    ending = False
    try:
        producer.begin_transaction()
        producer.produce(TOPIC, f"{number} {-amount}", f"{ID}-{number}", partition=source)
        if draw.random() < 0.3:
            producer.flush(5)
        producer.produce(TOPIC, f"{number} {amount}", f"{ID}-{number}", partition=target)
        if not commit:
            producer.abort_transaction(20)
            return "aborted", True
        ending = True
        producer.commit_transaction(20)
        return "committed", True
    except KafkaException as failure:
        error = failure.args[0]
        print(number, "commit" if ending else "before", error, file=sys.stderr)
        if error.txn_requires_abort():
            try:
                producer.abort_transaction(20)
                return "aborted", True
            except KafkaException as again:
                print(number, "abort", again, file=sys.stderr)
        # A commit that nobody answered may have happened; anything else must not have.
        return ("unknown" if ending else "aborted"), False


def main():
    draw = random.Random(SEED)
    producer = new_producer()
    for number in range(FIRST, FIRST + COUNT):
        how, goes_on = transfer(producer, number, draw)
        print(how, number, flush=True)
        if not goes_on:
            producer = new_producer()
    print("end", flush=True)


main()
