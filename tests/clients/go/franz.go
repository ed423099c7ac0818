package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz drives franz-go.
type franz struct{ address string }

func (f franz) open(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(f.address))...)
}

func (f franz) create(topic string, partitions int, size int) error {
	client, err := f.open()
	if err != nil {
		return err
	}
	defer client.Close()
	configs := map[string]*string{}
	if size > 0 {
		text := strconv.Itoa(size)
		configs["max.message.bytes"] = &text
	}
	_, err = kadm.NewClient(client).CreateTopic(context.Background(), int32(partitions), 1, configs, topic)
	return err
}

func (f franz) produce(topic, codec string, size int, records []record) error {
	codecs := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	if size > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(int32(size)))
	}
	client, err := f.open(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var sent []*kgo.Record
	for _, one := range records {
		record := &kgo.Record{
			Topic:     topic,
			Partition: one.partition,
			Timestamp: time.UnixMilli(one.timestamp),
			Key:       one.key,
			Value:     one.value,
		}
		for _, header := range one.headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.name, Value: header.content})
		}
		sent = append(sent, record)
	}
	return client.ProduceSync(ctx, sent...).FirstErr()
}

func (f franz) consume(topics []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := f.open()
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	if err := ends.Error(); err != nil {
		return err
	}
	left := map[string]map[int32]int64{}
	partitions := 0
	wanted := map[string]map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		if wanted[end.Topic] == nil {
			wanted[end.Topic], left[end.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
		}
		wanted[end.Topic][end.Partition] = kgo.NewOffset().AtStart()
		if start, _ := starts.Lookup(end.Topic, end.Partition); end.Offset > start.Offset {
			left[end.Topic][end.Partition] = end.Offset
			partitions++
		}
	})
	client.AddConsumePartitions(wanted)
	for partitions > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("still expected %v: %w", left, err)
		}
		for _, got := range fetches.Records() {
			if err := printFranz(got); err != nil {
				return err
			}
			if end, ok := left[got.Topic][got.Partition]; ok && got.Offset+1 >= end {
				delete(left[got.Topic], got.Partition)
				partitions--
			}
		}
	}
	return nil
}

func printFranz(got *kgo.Record) error {
	return printRecord(got.Topic, got.Offset, fromFranz(got))
}

func fromFranz(got *kgo.Record) record {
	one := record{got.Partition, got.Timestamp.UnixMilli(), got.Key, got.Value, nil}
	for _, its := range got.Headers {
		one.headers = append(one.headers, header{its.Key, its.Value})
	}
	return one
}
