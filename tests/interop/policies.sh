# The policies that are off until a chain names them, seen by a real client. Java's NameServer has nothing like them, so
# with --java these steps are left out. Sourced by `run`.
# shellcheck shell=bash

shared=InteropPolicies

policies_start() {
  local port
  ns3=
  [ "$java_mode" = no ] || return 0
  pick_port port; ns3=127.0.0.1:$port
  start_nameserver ns3 "$port" toml '[policies]' 'chain = ["drain", "acting-master", "zone", "canary", "address-map"]'
}

# rule NAMESPACE KEY VALUE, no_rule NAMESPACE KEY: what an operator says to a policy
rule() { step "$1: $2 is \"$3\"" says_at "$ns3" "success" updateKvConfig -s "$1" -k "$2" -v "$3"; }
no_rule() { step "$1: no word about $2" says_at "$ns3" "success" deleteKvConfig -s "$1" -k "$2"; }

# sent_to BROKERS: a client of the third NameServer sends and receives, and these brokers have its messages
sent_to() {
  ask exchange "$ns3" "$shared" 40 >"$state/shown" || { cat "$state/shown"; return 1; }
  cat "$state/shown"
  grep -Fqx "stored by $1" "$state/shown"
}

policies() {
  [ -n "$ns3" ] || { skip "the policies that Java does not have"; return; }
  need "the NameServer with the policies knows all brokers" ask await "$ns3" 60000 listed broker-b 0 "$lone"
  step "updateTopic in one cluster" says "success" updateTopic -c "$cluster" -t "$shared" -r 4 -w 4
  step "and in the other" says "success" updateTopic -c "$other" -t "$shared" -r 4 -w 4
  need "the route has the one broker" ask await "$ns3" 30000 routed "$shared" broker-a 0 "$master"
  need "and the other" ask await "$ns3" 30000 routed "$shared" broker-b 0 "$lone"
  step "without a rule a client sends to both" sent_to "broker-a broker-b"

  rule drain broker-a write
  step "the route shows it read-only" ask await "$ns3" 0 perm "$shared" broker-a 4
  step "a client sends to the other alone" sent_to broker-b
  no_rule drain broker-a

  rule canary broker-b "0%"
  step "the route does not show it" ask await "$ns3" 0 unrouted "$shared" broker-b
  step "a client sends to the old one alone" sent_to broker-a
  rule canary broker-b "0% 127.0.0.0/8"
  step "a client of the named network sends to both" sent_to "broker-a broker-b"
  no_rule canary broker-b

  rule address-map 10-here "127.0.0.0/8 $lone=localhost:${lone#*:}"
  step "the route shows the other address" ask await "$ns3" 0 routed "$shared" broker-b 0 "localhost:${lone#*:}"
  step "with which a client reaches the broker" sent_to "broker-a broker-b"
  no_rule address-map 10-here
  step "without it the route shows what the broker registered" ask await "$ns3" 0 routed "$shared" broker-b 0 "$lone"
}
