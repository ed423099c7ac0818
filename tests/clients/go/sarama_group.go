package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var saramaStrategies = map[string]func() sarama.BalanceStrategy{
	"range":              sarama.NewBalanceStrategyRange,
	"roundrobin":         sarama.NewBalanceStrategyRoundRobin,
	"sticky":             sarama.NewBalanceStrategySticky,
	"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
}

func (s saramaClient) join(told membership, each func(string, int64, record)) (func() error, error) {
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{saramaStrategies[told.assignor]()}
	config.Consumer.Group.Session.Timeout = told.session()
	config.Consumer.Group.Heartbeat.Interval = heartbeat
	config.Consumer.Group.InstanceId = told.instance
	config.Consumer.Offsets.AutoCommit.Enable = told.commit == "auto"
	config.Consumer.Offsets.AutoCommit.Interval = heartbeat
	// Several members of one program are told apart by it.
	config.ClientID = "sarama"
	group, err := sarama.NewConsumerGroup([]string{s.address}, told.group, config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		for err := range group.Errors() {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	reader := claimReader{each, told.commit == "sync", sync.OnceFunc(told.assigned)}
	go func() {
		defer close(ended)
		// It returns at every rebalance that takes all partitions, and where the broker is away.
		for ctx.Err() == nil {
			err := group.Consume(ctx, told.topics, reader)
			if err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				fmt.Fprintln(os.Stderr, "consume:", err)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return func() error {
		stop()
		<-ended
		return group.Close()
	}, nil
}

// claimReader reads the partitions of one member.
type claimReader struct {
	each func(string, int64, record)
	// commits says whether it commits itself.
	commits bool
	once    func()
}

func (r claimReader) Setup(sarama.ConsumerGroupSession) error {
	r.once()
	return nil
}

func (claimReader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r claimReader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for got := range claim.Messages() {
		r.each(got.Topic, got.Offset, fromSarama(got))
		session.MarkMessage(got, "")
		// Once for what had come together.
		if r.commits && len(claim.Messages()) == 0 {
			session.Commit()
		}
	}
	return nil
}
