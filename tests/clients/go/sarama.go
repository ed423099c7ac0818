package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaClient drives sarama.
type saramaClient struct{ address string }

func (s saramaClient) create(topic string, partitions int, size int) error {
	admin, err := sarama.NewClusterAdmin([]string{s.address}, sarama.NewConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}
	if size > 0 {
		text := strconv.Itoa(size)
		detail.ConfigEntries = map[string]*string{"max.message.bytes": &text}
	}
	return admin.CreateTopic(topic, detail, false)
}

func (s saramaClient) produce(topic, codec string, size int, records []record) error {
	config := sarama.NewConfig()
	if err := config.Producer.Compression.UnmarshalText([]byte(codec)); err != nil {
		return err
	}
	// What the library demands of an idempotent producer.
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	if size > 0 {
		config.Producer.MaxMessageBytes = size
	}
	producer, err := sarama.NewSyncProducer([]string{s.address}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, one := range records {
		messages = append(messages, message(topic, one))
	}
	return producer.SendMessages(messages)
}

func message(topic string, one record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{
		Topic:     topic,
		Partition: one.partition,
		Timestamp: time.UnixMilli(one.timestamp),
	}
	// A nil slice in the interface would be an empty key, not a null one.
	if one.key != nil {
		message.Key = sarama.ByteEncoder(one.key)
	}
	if one.value != nil {
		message.Value = sarama.ByteEncoder(one.value)
	}
	for _, its := range one.headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(its.name), Value: its.content})
	}
	return message
}

func (s saramaClient) consume(topics []string) error {
	client, err := sarama.NewClient([]string{s.address}, sarama.NewConfig())
	if err != nil {
		return err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer consumer.Close()
	var parts []*part
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			one, err := openPart(client, consumer, topic, partition)
			if err != nil {
				return fmt.Errorf("%s/%d: %w", topic, partition, err)
			}
			if one != nil {
				parts = append(parts, one)
			}
		}
	}
	return readParts(parts)
}

// part is one partition that is being read, up to the end that it had when it was opened.
type part struct {
	reader sarama.PartitionConsumer
	end    int64
}

// openPart gives nothing for an empty partition.
func openPart(client sarama.Client, consumer sarama.Consumer, topic string, partition int32) (*part, error) {
	start, err := client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil || end <= start {
		return nil, err
	}
	reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	return &part{reader, end}, err
}

// readParts reads all partitions at once: the library serves them from one fetch loop a broker.
func readParts(parts []*part) error {
	messages := make(chan *sarama.ConsumerMessage, 256)
	var readers sync.WaitGroup
	for _, one := range parts {
		readers.Go(func() {
			for got := range one.reader.Messages() {
				messages <- got
				if got.Offset+1 >= one.end {
					return
				}
			}
		})
	}
	go func() {
		readers.Wait()
		close(messages)
	}()
	deadline := time.After(time.Minute)
	for {
		select {
		case got, open := <-messages:
			if !open {
				return closeParts(parts)
			}
			if err := printSarama(got); err != nil {
				return err
			}
		case <-deadline:
			return fmt.Errorf("%d partitions were not read in a minute", len(parts))
		}
	}
}

func closeParts(parts []*part) error {
	for _, one := range parts {
		one.reader.AsyncClose()
	}
	for _, one := range parts {
		for range one.reader.Messages() {
		}
		for err := range one.reader.Errors() {
			return err
		}
	}
	return nil
}

func printSarama(got *sarama.ConsumerMessage) error {
	return printRecord(got.Topic, got.Offset, fromSarama(got))
}

func fromSarama(got *sarama.ConsumerMessage) record {
	one := record{got.Partition, got.Timestamp.UnixMilli(), got.Key, got.Value, nil}
	for _, its := range got.Headers {
		one.headers = append(one.headers, header{string(its.Key), its.Value})
	}
	return one
}
