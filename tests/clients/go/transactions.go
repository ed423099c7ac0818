package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	accounts   = "accounts"
	partitions = 4
	// lastly bounds one transaction; a broker that was killed is back long before.
	lastly = 20 * time.Second
)

func runOrDie(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	fmt.Println("end")
}

// pipeline does what ../../it/python/pipeline.py does: `pipeline ADDRESS SEED COUNT`.
func pipeline(words []string) error {
	address, draw, count := words[0], randomFrom(words[1]), number(words[2])
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(address),
		kgo.ConsumerGroup("pipeline"),
		kgo.ConsumeTopics("in"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(heartbeat),
		kgo.TransactionalID("pipeline"),
		kgo.TransactionTimeout(10*time.Second),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	admin := kadm.NewClient(session.Client())
	for {
		polling, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		got := session.PollRecords(polling, 10).Records()
		cancel()
		if len(got) == 0 {
			if left, err := notCommitted(context.Background(), admin, membership{group: "pipeline", topics: []string{"in"}}); err == nil && left == 0 {
				return wholly(admin, count)
			}
			continue
		}
		if err := turn(session, draw, got); err != nil {
			return err
		}
	}
}

// wholly says whether the input is as long as whoever wrote it said.
func wholly(admin *kadm.Client, count int) error {
	ends, err := admin.ListEndOffsets(context.Background(), "in")
	if err != nil {
		return err
	}
	ends.Each(func(end kadm.ListedOffset) { count -= int(end.Offset) })
	if count != 0 {
		return fmt.Errorf("%d records are missing in the input", count)
	}
	return nil
}

// turn is one transaction; one of five is aborted, after which the session reads from what was committed.
func turn(session *kgo.GroupTransactSession, draw *rand.Rand, got []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastly)
	defer cancel()
	if err := session.Begin(); err != nil {
		return err
	}
	var failures kgo.FirstErrPromise
	for _, one := range got {
		done := &kgo.Record{Topic: "out", Partition: one.Partition, Key: one.Key, Value: append([]byte("done "), one.Value...)}
		session.Produce(ctx, done, failures.Promise())
	}
	ending := kgo.TryCommit
	if draw.Float64() < 0.2 {
		// What was aborted is to be in the log.
		if err := session.Client().Flush(ctx); err != nil {
			return err
		}
		ending = kgo.TryAbort
	}
	if failures.Err() != nil {
		ending = kgo.TryAbort
	}
	_, err := session.End(ctx, ending)
	return err
}

// transfers does what ../../it/python/transfers.py does: `transfers ADDRESS TRANSACTIONAL_ID SEED FIRST COUNT`.
func transfers(words []string) error {
	address, id, draw, first, count := words[0], words[1], randomFrom(words[2]), number(words[3]), number(words[4])
	open := func() (*kgo.Client, error) {
		return kgo.NewClient(
			kgo.SeedBrokers(address),
			kgo.TransactionalID(id),
			kgo.TransactionTimeout(10*time.Second),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerLinger(0),
		)
	}
	client, err := open()
	if err != nil {
		return err
	}
	for number := first; number < first+count; number++ {
		how, err := transfer(client, fmt.Sprintf("%s-%d", id, number), number, draw)
		fmt.Println(how, number)
		if err != nil {
			fmt.Fprintln(os.Stderr, number, how, err)
			client.Close()
			if client, err = open(); err != nil {
				return err
			}
		}
	}
	client.Close()
	return nil
}

// transfer gives how it ended as far as is known; with an error the client cannot go on.
func transfer(client *kgo.Client, key string, number int, draw *rand.Rand) (string, error) {
	amount := 1 + draw.IntN(999)
	places := draw.Perm(partitions)
	commits := draw.Float64() < 0.7
	ctx, cancel := context.WithTimeout(context.Background(), lastly)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		return "aborted", err
	}
	var failures kgo.FirstErrPromise
	half := func(partition, amount int) {
		value := fmt.Sprintf("%d %d", number, amount)
		one := &kgo.Record{Topic: accounts, Partition: int32(partition), Key: []byte(key), Value: []byte(value)}
		client.Produce(ctx, one, failures.Promise())
	}
	half(places[0], -amount)
	if draw.Float64() < 0.3 {
		if err := client.Flush(ctx); err != nil {
			return "aborted", err
		}
	}
	half(places[1], amount)
	if err := client.Flush(ctx); err != nil {
		return "aborted", err
	}
	if failures.Err() != nil {
		commits = false
	}
	err := client.EndTransaction(ctx, kgo.TransactionEndTry(commits))
	switch {
	case err == nil && commits:
		return "committed", nil
	case !commits:
		return "aborted", err
	case errors.Is(err, kerr.OperationNotAttempted):
		return "aborted", errors.Join(err, client.EndTransaction(ctx, kgo.TryAbort))
	}
	// A commit that nobody answered may have happened.
	return "unknown", err
}

func randomFrom(text string) *rand.Rand {
	seed, _ := strconv.ParseUint(text, 10, 64)
	return rand.New(rand.NewPCG(seed, 0))
}
