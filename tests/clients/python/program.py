"""The loop that the Python client programs share: one command a line in, its answer out.

The commands, the record file and the canonical lines are described in ../README.md.
"""

import hashlib
import json
import sys
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


def run(create, produce, consume, group):
    """Answers commands until the input ends."""
    commands = {
        "create": lambda topic, partitions, size: create(topic, int(partitions), number(size)),
        "produce": lambda topic, codec, size, path: produce(
            topic, None if codec == "none" else codec, number(size), read_records(path)
        ),
        "consume": lambda topics: consume(topics.split(",")),
        "group": lambda name, strategy, instance, topics: group(
            name, strategy, None if instance == "-" else instance, topics.split(",")
        ),
    }
    for line in sys.stdin:
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
