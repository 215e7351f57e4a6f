# The steps, in an order that lets the waits of one part overlap the work of another.
# Sourced by `run`.
# shellcheck shell=bash

cluster=interop other=interop-other topic=Interop

all_steps() {
  start_everything
  tls_starts
  while_the_brokers_start
  files_are_exchanged
  brokers_and_topics
  policies
  freeze_begins
  clients
  tour
  tls
  freeze_ends
  broker_stops
  name_server_restarts
  name_server_goes_away
  two_name_servers
  brokers_die
}

# says PATTERN COMMAND ARGS...: mqadmin against the first NameServer prints PATTERN
says() {
  local pattern=$1 command=$2
  shift 2
  shows "$pattern" admin "$command" -n "$ns1" "$@"
}

# says_at SERVER PATTERN COMMAND ARGS...: the same against another NameServer
says_at() {
  shows "$2" admin "$3" -n "$1" "${@:4}"
}

start_everything() {
  local port servers
  pick_port port; ns1=127.0.0.1:$port
  pick_port port; ns2=127.0.0.1:$port
  pick_port port; master=127.0.0.1:$port
  pick_port port; slave=127.0.0.1:$port
  pick_port port; lone=127.0.0.1:$port
  start_nameserver ns1 "${ns1#*:}" properties
  start_nameserver ns2 "${ns2#*:}" toml
  policies_start
  servers="$ns1;$ns2${ns3:+;$ns3}"
  start_broker broker-a "$cluster" 0 "${master#*:}" "$servers"
  start_broker broker-a "$cluster" 1 "${slave#*:}" "$servers"
  start_broker broker-b "$other" 0 "${lone#*:}" "$servers"
  start_driver
}

# A broker registers about ten seconds after it says that it has started: time for what needs none.
while_the_brokers_start() {
  need "the first NameServer answers" ask await "$ns1" 60000 answers
  need "the second NameServer answers" ask await "$ns2" 60000 answers
  step "updateKvConfig" says "create or update kv config to namespace success" \
    updateKvConfig -s INTEROP -k key -v "some value"
  step "deleteKvConfig" says "delete kv config from namespace success" deleteKvConfig -s INTEROP -k key
  step "getNamesrvConfig" says "^listenPort += +${ns1#*:}" getNamesrvConfig
  step "updateNamesrvConfig refuses a path" says "CODE: 16 " updateNamesrvConfig -k kvConfigPath -v /nowhere
}

# The same KV file under one server and then under the other. With --java both are Java's.
files_are_exchanged() {
  local port kv
  pick_port port; kv=127.0.0.1:$port
  start_nameserver kv "$port" properties
  need "a NameServer of its own for the KV file" ask await "$kv" 60000 answers
  step "odd texts are stored as namespaces, keys and values" ask kv put "$kv" "1 "
  step "and found" ask kv check "$kv" "1 "
  stop kv
  java_mode=yes start_nameserver kv "$port" properties
  need "the Java NameServer starts on that file" ask await "$kv" 60000 answers
  step "the Java NameServer finds every text in it" ask kv check "$kv" "1 "
  step "and stores others" ask kv put "$kv" "2 "
  stop kv
  start_nameserver kv "$port" properties
  need "the NameServer starts on the file that Java wrote" ask await "$kv" 60000 answers
  step "it finds every text that Java stored" ask kv check "$kv" "2 "
  stop kv
}

brokers_and_topics() {
  local a b c
  later a await "$ns1" 90000 listed broker-a 0 "$master"
  later b await "$ns1" 90000 listed broker-a 1 "$slave"
  later c await "$ns1" 90000 listed broker-b 0 "$lone"
  need "the master registers" answer "$a"
  need "the slave registers" answer "$b"
  need "a broker of another cluster registers" answer "$c"
  step "all of them register with the second NameServer" registered_with_the_second
  step "clusterList shows master and slave" both_in_cluster_list
  need "updateTopic" says "create topic to $master success" updateTopic -c "$cluster" -t "$topic" -r 4 -w 4
  step "the topic is routed to master and slave" ask await "$ns1" 20000 routed "$topic" broker-a 1 "$slave"
}

registered_with_the_second() {
  ask await "$ns2" 30000 listed broker-a 0 "$master" && ask await "$ns2" 30000 listed broker-a 1 "$slave" &&
    ask await "$ns2" 30000 listed broker-b 0 "$lone"
}

both_in_cluster_list() {
  says "$cluster +broker-a +0 +$master" clusterList && says "$cluster +broker-a +1 +$slave" clusterList
}

clients() {
  local json
  step "updateTopic, for the second client" says "success" updateTopic -c "$cluster" -t InteropBinary -r 4 -w 4
  launch rocketmq-client drive -Drocketmq.serialize.type=ROCKETMQ -- exchange "$ns1" InteropBinary 1000
  [ "$have_go" = no ] ||
    launch go-client "$work/goclient" -namesrv "$ns1" -broker "$master" -topic InteropGo -n 200
  later json exchange "$ns1" "$topic" 1000
  step "1000 messages with the Java client, JSON headers" answer "$json"
  step "1000 messages with the Java client, ROCKETMQ headers" ends_with rocketmq-client "sent 1000, missing 0"
  if [ "$have_go" = yes ]; then
    step "200 messages with the Go client" ends_with go-client "exchanged 200 messages"
  else
    skip "the Go client"
  fi
}

# ends_with NAME TEXT: the process ends by itself, having said TEXT
ends_with() {
  if ! gone_within 150 "$1"; then
    echo "still running"
    return 1
  fi
  tail -n 5 "$state/$1.log"
  grep -Fqx "$2" "$state/$1.log"
}

# Thirty mqadmin calls that a NameServer has a part in; the ones about KV and the configuration are above.
tour() {
  local t=InteropTour
  step "mqadmin: a topic to try things on" says "create topic to $master success" updateTopic -c "$cluster" -t $t -r 4 -w 4
  step "mqadmin: topicRoute" says '"readQueueNums": ?4' topicRoute -t $t
  step "mqadmin: topicRoute as a list" says "broker-a" topicRoute -t $t -l
  step "mqadmin: topicRoute of no topic" says "CODE: 17 " topicRoute -t NoSuchTopic
  step "mqadmin: topicList" says "^$t" topicList
  step "mqadmin: topicList by cluster" says "^$cluster +$t" topicList -c
  step "mqadmin: topicClusterList" says "^$cluster" topicClusterList -t $t
  step "mqadmin: topicStatus" says "broker-a" topicStatus -t $t
  step "mqadmin: updateTopicPerm" says "success" updateTopicPerm -t $t -p 4 -c "$cluster"
  step "mqadmin: topicRoute shows the permission" says '"perm": ?4' topicRoute -t $t
  step "mqadmin: brokerStatus" says "boot" brokerStatus -b "$master"
  step "mqadmin: sendMessage" says "SEND_OK" sendMessage -t "$topic" -p hello
  step "mqadmin: statsAll" says "^#Topic" statsAll -a -t "$topic"
  step "mqadmin: haStatus" says "^#SlaveNum[[:space:]]+1$" haStatus -b "$master"
  write_permission
  static_topic
  order_configuration $t
  step "mqadmin: deleteTopic" says "delete topic \[$t\] from NameServer success" deleteTopic -c "$cluster" -t $t
  step "mqadmin: topicRoute after deleteTopic" says "CODE: 17 " topicRoute -t $t
}

write_permission() {
  step "mqadmin: wipeWritePerm" says "wipe write perm of broker\[broker-a\].*OK" wipeWritePerm -b broker-a
  step "a wiped broker is read-only in the route" ask await "$ns1" 0 perm "$topic" broker-a 4
  step "mqadmin: addWritePerm" says "add write perm of broker\[broker-a\].*OK" addWritePerm -b broker-a
  step "the write permission is back in the route" ask await "$ns1" 0 perm "$topic" broker-a 6
}

static_topic() {
  step "mqadmin: updateStaticTopic" says "new mapping data is written" updateStaticTopic -t InteropStatic -qn 4 -c "$cluster"
  step "mqadmin: topicRoute shows the queue mapping" says '"topicQueueMappingByBroker": ?\{' topicRoute -t InteropStatic
  step "messages through the static topic" ask exchange "$ns1" InteropStatic 50
}

order_configuration() {
  local t=$1
  step "mqadmin: updateOrderConf put" says "success" updateOrderConf -t "$t" -m put -v "broker-a:4"
  step "mqadmin: updateOrderConf get" says "broker-a:4" updateOrderConf -t "$t" -m get
  step "routes hide order configuration while it is switched off" ask await "$ns1" 0 order "$t" -
  step "mqadmin: updateNamesrvConfig" says "success" updateNamesrvConfig -k orderMessageEnable -v true
  step "mqadmin: getNamesrvConfig shows the change" says "^orderMessageEnable += +true" getNamesrvConfig
  step "routes show order configuration when it is switched on" ask await "$ns1" 0 order "$t" broker-a:4
  step "mqadmin: updateKvConfig changes it" says "success" updateKvConfig -s ORDER_TOPIC_CONFIG -k "$t" -v "broker-a:3"
  step "routes show the changed order configuration" ask await "$ns1" 0 order "$t" broker-a:3
  step "mqadmin: updateOrderConf delete" says "success" updateOrderConf -t "$t" -m delete
  step "routes have no order configuration any more" ask await "$ns1" 0 order "$t" -
}

# A frozen broker keeps its connections, so only its silence gives it away: ten seconds by its own word,
# and up to five more until the next scan. It is frozen during the tour, which leaves its cluster alone.
freeze_begins() {
  kill -STOP "${pids[broker-b-0]}"
  later frozen_gone await "$ns1" 40000 absent broker-b 0
}

freeze_ends() {
  step "a frozen broker is forgotten" answer "$frozen_gone"
  step "but not before its ten seconds are over" slower_than 8000 "$frozen_gone"
  kill -CONT "${pids[broker-b-0]}"
  step "it is back when it runs again" ask await "$ns1" 60000 listed broker-b 0 "$lone"
}

broker_stops() {
  local place
  step "the second NameServer knows it too" ask await "$ns2" 60000 listed broker-b 0 "$lone"
  later place await "$ns1" 30000 absent broker-b 0
  kill -TERM "${pids[broker-b-0]}"
  # It unregisters while it shuts down; were it noticed by the lost connection, the process would be gone.
  step "a broker that is stopped unregisters" answer "$place"
  step "before its process ends" alive broker-b-0
}

name_server_restarts() {
  local control=$state/stream-1 stream
  step "an order configuration to be remembered" says "success" updateOrderConf -t "$topic" -m put -v "broker-a:2"
  tell "$control" "$topic"
  later stream stream "$ns1" "$control"
  kill -TERM "${pids[ns1]}"
  step "the NameServer stops" gone_within 45 ns1
  start_nameserver ns1 "${ns1#*:}" properties
  need "the NameServer starts again on its port" ask await "$ns1" 60000 answers
  step "it remembers the KV" says "broker-a:2" updateOrderConf -t "$topic" -m get
  step "it remembers the changed setting" says "^orderMessageEnable += +true" getNamesrvConfig
  step "the master registers again by itself" ask await "$ns1" 60000 listed broker-a 0 "$master"
  step "the slave registers again by itself" ask await "$ns1" 60000 listed broker-a 1 "$slave"
  step "a new client sends and receives" ask exchange "$ns1" "$topic" 50
  tell "$control" stop
  # Brokers register again one by one, each within ten seconds. A client that happens to ask in between, when the slave is
  # back and the master is not, has nowhere to send until the master is: so it is with the Java NameServer too.
  step "a producer that sent all the while goes on by itself" answer_has "$stream" "since=[0-9]{2,}"
}

# within_tries N COMMAND...
within_tries() {
  local left=$1
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
  done
}

# answer_has PLACE PATTERN
answer_has() { answer "$1" >"$state/shown"; cat "$state/shown"; grep -Eq "$2" "$state/shown"; }

# A server that stops gracefully tells clients to go to another for a while: the route of a new topic has to be asked for,
# those that are known go on being used. Three clients, because each picks its first server by chance.
name_server_goes_away() {
  local control=$state/stream-3 streams=() stream n
  step "both NameServers know the brokers again" ask await "$ns1" 60000 same "$topic" "$ns2"
  step "a graceful stop is switched on" says_at "$ns2" "success" updateNamesrvConfig -k enableShutdownGracefully -v true
  step "of ten seconds" says_at "$ns2" "success" updateNamesrvConfig -k shutdownWaitTimeSeconds -v 10
  tell "$control" "$topic"
  for n in 0 1 2; do
    later stream stream "$ns2;$ns1" "$control"
    streams+=("$stream")
  done
  sleep 2
  kill -TERM "${pids[ns2]}"
  step "who asks the NameServer that stops is sent away" \
    within_tries 20 says_at "$ns2" "send request to </?$ns2> failed" topicRoute -t "$topic"
  step "it stops" gone_within 45 ns2
  step "a topic is created at the other" says "create topic to $master success" \
    updateTopic -c "$cluster" -t InteropAway -r 4 -w 4
  tell "$control" InteropAway
  sleep 2
  tell "$control" stop
  for n in 0 1 2; do
    step "client $n that knows both goes on, with a topic it had not seen" \
      answer_has "${streams[n]}" "failed=0 since=[0-9]{3,}"
  done
  start_nameserver ns2 "${ns2#*:}" toml
  need "the NameServer that went away is started again" ask await "$ns2" 60000 answers
}

two_name_servers() {
  local control=$state/stream-2 stream
  step "both NameServers answer the same route" ask await "$ns1" 60000 same "$topic" "$ns2"
  tell "$control" "$topic"
  later stream stream "$ns2;$ns1" "$control"
  sleep 1
  kill -KILL "${pids[ns2]}"
  gone_within 5 ns2
  step "one NameServer is killed; a topic is created at the other" says "create topic to $master success" \
    updateTopic -c "$cluster" -t InteropAfter -r 4 -w 4
  tell "$control" InteropAfter
  # A Java consumer refuses to start when the server that it happens to ask first is dead; applications start it again.
  step "a client that knows both starts and works" within_tries 10 ask exchange "$ns2;$ns1" "$topic" 50
  tell "$control" stop
  step "a client that used both goes on, with a topic it had not seen" answer_has "$stream" "since=[0-9]{2,}"
}

brokers_die() {
  local place
  later place await "$ns1" 30000 absent broker-a 0
  kill -KILL "${pids[broker-a-0]}"
  step "a killed master is gone" answer "$place"
  step "at once" faster_than 3000 "$place"
  step "its slave is shown as acting master" ask await "$ns1" 20000 routed "$topic" broker-a 0 "$slave"
  step "which can be read, not written" ask await "$ns1" 20000 perm "$topic" broker-a 4
  later place await "$ns1" 30000 unrouted "$topic" broker-a
  kill -KILL "${pids[broker-a-1]}"
  step "when the slave is killed too, the route is gone" answer "$place"
  step "at once as well" faster_than 3000 "$place"
}
