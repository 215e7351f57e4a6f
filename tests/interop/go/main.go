// Sends and receives through a NameServer with the Go client, the one that
// reads broker ids as bare integers.
//
// Creates a topic on one broker, sends n messages, reads n messages in a fresh
// group, and exits 0 when each of them came back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

func main() {
	servers := flag.String("namesrv", "", "NameServer host:port")
	broker := flag.String("broker", "", "host:port of the master that gets the topic")
	topic := flag.String("topic", "", "topic to create and use")
	count := flag.Int("n", 100, "messages")
	limit := flag.Duration("limit", 90*time.Second, "give up after this long")
	flag.Parse()
	rlog.SetLogLevel("error")

	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	err := exchange(ctx, primitive.NamesrvAddr{*servers}, *broker, *topic, *count)
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Printf("exchanged %d messages\n", *count)
}

func exchange(ctx context.Context, servers primitive.NamesrvAddr, broker, topic string, count int) error {
	if err := createTopic(ctx, servers, broker, topic); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	mark := fmt.Sprintf("%x", time.Now().UnixNano())
	if err := send(ctx, servers, topic, mark, count); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := receive(ctx, servers, topic, mark, count); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

// createTopic also asks the NameServer for the topic list, until the new topic is in it.
func createTopic(ctx context.Context, servers primitive.NamesrvAddr, broker, topic string) error {
	client, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver(servers)))
	if err != nil {
		return err
	}
	if err := client.CreateTopic(ctx, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(broker),
		admin.WithReadQueueNums(4), admin.WithWriteQueueNums(4)); err != nil {
		return err
	}
	return retry(ctx, func() error {
		list, err := client.FetchAllTopicList(ctx)
		if err != nil {
			return err
		}
		for _, name := range list.TopicList {
			if name == topic {
				return nil
			}
		}
		return errors.New("the topic is not in the NameServer's list")
	})
}

func send(ctx context.Context, servers primitive.NamesrvAddr, topic, mark string, count int) error {
	p, err := rocketmq.NewProducer(producer.WithNameServer(servers), producer.WithGroupName("go-producer-"+mark))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	for i := 0; i < count; i++ {
		message := primitive.NewMessage(topic, []byte(fmt.Sprintf("%s/%d", mark, i))).WithTag(mark)
		err := retry(ctx, func() error {
			result, err := p.SendSync(ctx, message)
			if err == nil && result.Status != primitive.SendOK {
				err = fmt.Errorf("status %d", result.Status)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

func receive(ctx context.Context, servers primitive.NamesrvAddr, topic, mark string, count int) error {
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(servers), consumer.WithGroupName("go-consumer-"+mark),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	var lock sync.Mutex
	missing := map[string]bool{}
	for i := 0; i < count; i++ {
		missing[fmt.Sprintf("%s/%d", mark, i)] = true
	}
	all := make(chan struct{})
	err = c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: mark},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			lock.Lock()
			defer lock.Unlock()
			for _, message := range messages {
				if missing[string(message.Body)] {
					delete(missing, string(message.Body))
					if len(missing) == 0 {
						close(all)
					}
				}
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		lock.Lock()
		defer lock.Unlock()
		return fmt.Errorf("%d of %d messages did not arrive", len(missing), count)
	}
}

// retry repeats what a cluster that is still settling may refuse at first.
func retry(ctx context.Context, attempt func() error) error {
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(250 * time.Millisecond):
		}
	}
}
