package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// membership is what one member of a group is told.
type membership struct {
	group    string
	assignor string
	// instance is its group.instance.id, or empty.
	instance string
	// commit is one of the library's ways: sync, async, auto, marks.
	commit string
	// topics are names, or one pattern that begins with ^.
	topics []string
	// assigned is called at the first assignment.
	assigned func()
	// hasty members keep short sessions, so that a group soon misses one that was killed.
	hasty bool
}

func (m membership) pattern() bool { return strings.HasPrefix(m.topics[0], "^") }

// heartbeat is short everywhere: members that join are waited for by all others.
const heartbeat = 300 * time.Millisecond

func (m membership) session() time.Duration {
	if m.hasty {
		return 2 * time.Second
	}
	return 45 * time.Second
}

// printing is held while a line is written: members print from threads of their own.
var printing sync.Mutex

// runGroup reads topics as a group: a second member joins once the first has read. It ends when all is committed.
func runGroup(client client, address string, told membership) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	asking, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer asking.Close()
	admin := kadm.NewClient(asking)
	left, err := notCommitted(ctx, admin, told)
	if err != nil || left == 0 {
		return err
	}
	var failure error
	hasRead := make(chan struct{})
	var once sync.Once
	each := func(topic string, offset int64, one record) {
		printing.Lock()
		defer printing.Unlock()
		failure = errors.Join(failure, printRecord(topic, offset, one))
		once.Do(func() { close(hasRead) })
	}
	var leaves []func() error
	// A static member does not leave: one that went while the other joins would be waited for until its session ends.
	assigned := make(chan struct{}, 1000)
	told.assigned = func() { assigned <- struct{}{} }
	for number := range 2 {
		its := told
		if told.instance != "" {
			its.instance = fmt.Sprintf("%s-%d", told.instance, number)
		}
		leave, err := client.join(its, each)
		if err != nil {
			return err
		}
		leaves = append(leaves, leave)
		select {
		case <-hasRead:
		case <-ctx.Done():
			return errors.New("nothing was read in a minute")
		}
		select {
		case <-assigned:
		case <-ctx.Done():
			return errors.New("nothing was assigned in a minute")
		}
	}
	for left > 0 {
		if left, err = notCommitted(ctx, admin, told); err != nil {
			return fmt.Errorf("%d records are not committed: %w", left, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, leave := range leaves {
		failure = errors.Join(failure, leave())
	}
	return failure
}

// notCommitted counts the records that the group has not committed.
func notCommitted(ctx context.Context, admin *kadm.Client, told membership) (int64, error) {
	starts, err := admin.ListStartOffsets(ctx, told.topics...)
	if err != nil {
		return 0, err
	}
	ends, err := admin.ListEndOffsets(ctx, told.topics...)
	if err != nil {
		return 0, err
	}
	committed, err := admin.FetchOffsets(ctx, told.group)
	if err != nil {
		return 0, err
	}
	var left int64
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		from := start.Offset
		if at, ok := committed.Lookup(end.Topic, end.Partition); ok {
			from = max(from, at.At)
		}
		left += end.Offset - from
	})
	return left, nil
}

// runMember is one member until a line comes; each record that it reads is a line at once.
func runMember(client client, input *bufio.Scanner, told membership) error {
	each := func(topic string, offset int64, one record) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Fprintln(out, "read", topic, one.partition, offset, string(one.value))
		out.Flush()
	}
	leave, err := client.join(told, each)
	if err != nil {
		return err
	}
	input.Scan()
	return leave()
}
