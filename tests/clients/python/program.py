"""The loop that the Python client programs share: one command a line in, its answer out.

The commands, the record file and the canonical lines are described in ../README.md.
"""

import hashlib
import json
import sys
import threading
import traceback


class Record:
    """One record of the workload, as its file says."""

    def __init__(self, line, values):
        partition, timestamp, key, value, *headers = line.split(" ")
        self.partition = int(partition)
        self.timestamp = int(timestamp)
        self.key = nullable_bytes(key)
        self.value = None
        if value != "-":
            start, length = (int(number) for number in value.split("+"))
            self.value = values[start : start + length]
        self.headers = []
        for header in headers:
            name, content = header.split("=")
            self.headers.append((name, nullable_bytes(content)))


def nullable_bytes(text):
    """`-` is null, `x` and hexadecimal digits are bytes."""
    return None if text == "-" else bytes.fromhex(text[1:])


def read_records(path):
    with open(path + ".values", "rb") as file:
        values = file.read()
    with open(path, encoding="utf-8") as file:
        return [Record(line.rstrip("\n"), values) for line in file]


def hexadecimal(content):
    return None if content is None else bytes(content).hex()


def print_record(topic, partition, offset, timestamp, key, value, headers):
    described = None
    if value is not None:
        described = {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    line = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": hexadecimal(key),
        "value": described,
        "headers": [[name, hexadecimal(content)] for name, content in headers or []],
    }
    print(json.dumps(line, separators=(",", ":"), ensure_ascii=False))


class Stop:
    """Set by the next line, or by the input's end: until then a member reads."""

    def __init__(self):
        self.is_set = False
        threading.Thread(target=self.wait, daemon=True).start()

    def wait(self):
        sys.stdin.readline()
        self.is_set = True


def print_read(topic, partition, offset, value):
    """What a member has read: a line at once."""
    print("read", topic, partition, offset, value.decode(), flush=True)


def run(create, produce, consume, group, member):
    """Answers commands until the input ends.

    `member` is one member of a group until the next line: what it is told, and when it is to stop.
    """
    commands = {
        "create": lambda topic, partitions, size: create(topic, int(partitions), number(size)),
        "produce": lambda topic, codec, size, path: produce(
            topic, None if codec == "none" else codec, number(size), read_records(path)
        ),
        "consume": lambda topics: consume(topics.split(",")),
        "group": lambda name, strategy, instance, topics: group(
            name, strategy, None if instance == "-" else instance, topics.split(",")
        ),
        "member": lambda name, strategy, instance, commit, topic: member(
            name, strategy, None if instance == "-" else instance, commit, topic, Stop()
        ),
    }
    # Not by iteration, which reads ahead what is meant for a member.
    while line := sys.stdin.readline():
        name, *arguments = line.split()
        try:
            commands[name](*arguments)
            print("done", flush=True)
        except Exception as error:
            traceback.print_exc()
            said = " ".join(repr(error).split())
            print("failed", said, flush=True)


def number(text):
    return None if text == "-" else int(text)
