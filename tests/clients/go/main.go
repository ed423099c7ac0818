// The Go client programs: `clients franz-go|sarama ADDRESS` answers one command a line; `clients pipeline` and `clients
// transfers` do transactions with franz-go.
//
// The commands, the record file and the canonical lines are described in ../README.md.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// client is what each library implements; size is 0 where the stock limit holds.
type client interface {
	create(topic string, partitions int, size int) error
	produce(topic, codec string, size int, records []record) error
	consume(topics []string) error
	// join makes a member of a group, which reads in a thread of its own until it is told to leave.
	join(told membership, each func(topic string, offset int64, one record)) (leave func() error, err error)
}

// record is one record of the workload, as its file says.
type record struct {
	partition int32
	timestamp int64
	key       []byte
	value     []byte
	headers   []header
}

type header struct {
	name    string
	content []byte
}

// nullable reads `-` as null, and `x` with hexadecimal digits as bytes.
func nullable(text string) ([]byte, error) {
	if text == "-" {
		return nil, nil
	}
	return hex.DecodeString(text[1:])
}

func readRecords(path string) ([]record, error) {
	values, err := os.ReadFile(path + ".values")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var records []record
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		one, err := parseRecord(line, values)
		if err != nil {
			return nil, fmt.Errorf("record %q: %w", line, err)
		}
		records = append(records, one)
	}
	return records, nil
}

func parseRecord(line string, values []byte) (one record, err error) {
	fields := strings.Split(line, " ")
	partition, err := strconv.ParseInt(fields[0], 10, 32)
	if err != nil {
		return one, err
	}
	one.partition = int32(partition)
	if one.timestamp, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return one, err
	}
	if one.key, err = nullable(fields[2]); err != nil {
		return one, err
	}
	if fields[3] != "-" {
		var start, length int
		if _, err = fmt.Sscanf(fields[3], "%d+%d", &start, &length); err != nil {
			return one, err
		}
		one.value = values[start : start+length]
	}
	for _, field := range fields[4:] {
		name, text, _ := strings.Cut(field, "=")
		content, err := nullable(text)
		if err != nil {
			return one, err
		}
		one.headers = append(one.headers, header{name, content})
	}
	return one, nil
}

// line is the canonical form of a consumed record, its fields in the order that they are printed.
type line struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Timestamp int64   `json:"timestamp"`
	Key       *string `json:"key"`
	Value     *value  `json:"value"`
	Headers   [][]any `json:"headers"`
}

type value struct {
	Bytes  int    `json:"bytes"`
	Sha256 string `json:"sha256"`
}

var out = bufio.NewWriter(os.Stdout)

func hexadecimal(content []byte) *string {
	if content == nil {
		return nil
	}
	text := hex.EncodeToString(content)
	return &text
}

func printRecord(topic string, offset int64, one record) error {
	shown := line{topic, one.partition, offset, one.timestamp, hexadecimal(one.key), nil, [][]any{}}
	if one.value != nil {
		sum := sha256.Sum256(one.value)
		shown.Value = &value{len(one.value), hex.EncodeToString(sum[:])}
	}
	for _, header := range one.headers {
		shown.Headers = append(shown.Headers, []any{header.name, hexadecimal(header.content)})
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(shown)
}

// number reads `-` as 0, the stock limit.
func number(text string) int {
	value, _ := strconv.Atoi(text)
	return value
}

// nothing reads `-` as an empty text.
func nothing(text string) string {
	if text == "-" {
		return ""
	}
	return text
}

func answer(client client, address string, input *bufio.Scanner, words []string) error {
	switch words[0] {
	case "create":
		return client.create(words[1], number(words[2]), number(words[3]))
	case "produce":
		records, err := readRecords(words[4])
		if err != nil {
			return err
		}
		return client.produce(words[1], words[2], number(words[3]), records)
	case "consume":
		return client.consume(strings.Split(words[1], ","))
	case "group":
		topics := strings.Split(words[4], ",")
		return runGroup(client, address, membership{words[1], words[2], nothing(words[3]), "sync", topics, nil, false})
	case "member":
		topics := []string{words[5]}
		return runMember(client, input, membership{words[1], words[2], nothing(words[3]), words[4], topics, func() {}, true})
	}
	return fmt.Errorf("unknown command %q", words[0])
}

func main() {
	var chosen client
	switch os.Args[1] {
	case "franz-go":
		chosen = franz{os.Args[2]}
	case "pipeline":
		runOrDie(pipeline(os.Args[2:]))
		return
	case "transfers":
		runOrDie(transfers(os.Args[2:]))
		return
	case "sarama":
		chosen = saramaClient{os.Args[2]}
	default:
		fmt.Fprintln(os.Stderr, "usage: clients franz-go|sarama|pipeline|transfers ADDRESS ...")
		os.Exit(2)
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		if err := answer(chosen, os.Args[2], input, strings.Fields(input.Text())); err != nil {
			fmt.Fprintln(out, "failed", strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Fprintln(out, "done")
		}
		out.Flush()
	}
}
