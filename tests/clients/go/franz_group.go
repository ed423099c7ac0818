package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// franzBalancers are the library's, by their names; behind `consumer:` they stand for the broker's.
var franzBalancers = map[string]func() kgo.GroupBalancer{
	"range":              kgo.RangeBalancer,
	"roundrobin":         kgo.RoundRobinBalancer,
	"sticky":             kgo.StickyBalancer,
	"cooperative-sticky": kgo.CooperativeStickyBalancer,
	"consumer:range":     kgo.RangeBalancer,
	"consumer:uniform":   kgo.StickyBalancer,
}

func (f franz) groupOptions(told membership) []kgo.Opt {
	var once sync.Once
	options := []kgo.Opt{
		kgo.ConsumerGroup(told.group),
		kgo.ConsumeTopics(told.topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(franzBalancers[told.assignor]()),
		kgo.SessionTimeout(told.session()),
		kgo.HeartbeatInterval(heartbeat),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { once.Do(told.assigned) }),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	if strings.HasPrefix(told.assignor, "consumer:") {
		options = append(options, kgo.ServerSideBalancer())
	}
	if told.pattern() {
		options = append(options, kgo.ConsumeRegex())
	}
	if told.instance != "" {
		options = append(options, kgo.InstanceID(told.instance))
	}
	switch told.commit {
	case "auto":
		options = append(options, kgo.AutoCommitInterval(heartbeat))
	case "marks":
		options = append(options, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(heartbeat))
	default:
		options = append(options, kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())
	}
	return options
}

func (f franz) join(told membership, each func(string, int64, record)) (func() error, error) {
	client, err := f.open(f.groupOptions(told)...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			fetches := client.PollRecords(ctx, 200)
			fetches.EachError(func(topic string, partition int32, err error) {
				fmt.Fprintln(os.Stderr, topic, partition, err)
			})
			for _, got := range fetches.Records() {
				each(got.Topic, got.Offset, fromFranz(got))
			}
			commitFranz(ctx, client, told.commit, fetches.Records())
		}
	}()
	return func() error {
		stop()
		<-ended
		commitLast(client, told.commit)
		client.CloseAllowingRebalance()
		return nil
	}, nil
}

// commitLast commits what a turn that was cut off did not: automatic commits are the library's to finish when it closes.
func commitLast(client *kgo.Client, commit string) {
	if commit != "sync" && commit != "async" {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "last commit:", err)
	}
}

// commitFranz commits what was polled; what fails is committed by the next turn, or read again.
func commitFranz(ctx context.Context, client *kgo.Client, commit string, got []*kgo.Record) {
	switch commit {
	case "marks":
		client.MarkCommitRecords(got...)
	case "sync":
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "commit:", err)
		}
		client.AllowRebalance()
	case "async":
		client.CommitOffsets(ctx, client.UncommittedOffsets(),
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
				if err != nil {
					fmt.Fprintln(os.Stderr, "commit:", err)
				}
			})
		client.AllowRebalance()
	}
}
