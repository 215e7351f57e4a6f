# What `run` stands on: programs that are started, remembered and stopped, and
# steps that are counted. Sourced; expects $here, $state, $lib, $java, $java_mode, $binary.
# shellcheck shell=bash

# --- processes ---------------------------------------------------------------

declare -A pids=() # name -> pid of everything started and not yet seen to end

# launch NAME COMMAND...: COMMAND in the background, its output in $state/NAME.log
launch() {
  local name=$1
  shift
  "$@" >>"$state/$name.log" 2>&1 </dev/null &
  pids[$name]=$!
  disown # or the shell would tell of every process that is killed on purpose
}

alive() { [ -n "${pids[$1]:-}" ] && kill -0 "${pids[$1]}" 2>/dev/null; }

# gone_within SECONDS NAME: waits for the process to end, and forgets it
gone_within() {
  local left=$(($1 * 20))
  while alive "$2"; do
    [ "$left" -gt 0 ] || return 1
    left=$((left - 1))
    sleep 0.05
  done
  unset "pids[$2]"
}

# stop NAME: asks politely, then not
stop() {
  alive "$1" || return 0
  kill -CONT "${pids[$1]}" 2>/dev/null
  kill -TERM "${pids[$1]}" 2>/dev/null
  gone_within 20 "$1" || { kill -KILL "${pids[$1]}" 2>/dev/null; gone_within 5 "$1"; }
}

# stop_all: what the trap calls. Nothing here is worth a clean end, so it is quick.
stop_all() {
  local name
  for name in "${!pids[@]}"; do kill -KILL "${pids[$name]}" 2>/dev/null; done
  pids=()
}

# --- ports -------------------------------------------------------------------

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

next_port=$((20000 + RANDOM % 900 * 10))

# pick_port VARIABLE: a port with PORT-2 and PORT+1 free as well, which a broker takes too.
# Below 32768, so that no outgoing connection is given it in between.
pick_port() {
  local candidate
  while :; do
    candidate=$next_port
    next_port=$((next_port + 10))
    port_taken $((candidate - 2)) || port_taken "$candidate" || port_taken $((candidate + 1)) || break
  done
  printf -v "$1" %s "$candidate"
}

# --- the programs ------------------------------------------------------------

java_flags=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1
  -Dlogback.statusListenerClass=org.apache.rocketmq.logging.ch.qos.logback.core.status.NopStatusListener)

# start_nameserver NAME PORT FORM KEY=VALUE...: Fingerpost, configured in a file of FORM (toml or properties); with --java
# the one it stands in for, which reads only its own. The keys are Java's system properties, which Fingerpost reads from
# its file. A second start with the same name finds the files of the first.
start_nameserver() {
  local home=$state/$1 form=$3 keys=("${@:4}")
  [ "$java_mode" = no ] || form=properties
  if [ ! -d "$home" ]; then
    mkdir -p "$home"
    sed -e "s|@PORT@|$2|" -e "s|@HOME@|$home|" "$here/namesrv.$form" >"$home/namesrv.$form"
    [ "$java_mode" = yes ] || printf '%s\n' "${keys[@]}" >>"$home/namesrv.$form"
  fi
  if [ "$java_mode" = yes ]; then
    ROCKETMQ_HOME=$home launch "$1" "$java" -Xms32m -Xmx128m "${java_flags[@]}" "${keys[@]/#/-D}" \
      -Duser.home="$home" -Drmq.logback.configurationFile=rmq.namesrv.logback.xml \
      -cp "$lib/*" org.apache.rocketmq.namesrv.NamesrvStartup -c "$home/namesrv.$form"
  else
    HOME=$home ROCKETMQ_HOME=$home launch "$1" from "$home" "$binary" -c "$home/namesrv.$form"
  fi
}

# from DIRECTORY COMMAND...: where no plugin lies that the test does not know of
from() {
  cd "$1" && exec "${@:2}"
}

# start_broker NAME CLUSTER ID PORT NAMESERVERS FLAGS...: a broker with a store small enough for tests
start_broker() {
  local home=$state/$1-$3
  mkdir -p "$home"
  {
    cat "$here/broker.properties"
    echo "brokerName=$1"
    echo "brokerClusterName=$2"
    echo "brokerId=$3"
    if [ "$3" = 0 ]; then echo brokerRole=ASYNC_MASTER; else echo brokerRole=SLAVE; fi
    echo "listenPort=$4"
    echo "namesrvAddr=$5"
    echo "storePathRootDir=$home/store"
    echo "storePathCommitLog=$home/store/commitlog"
  } >"$home/broker.properties"
  # A broker refuses writes on a disk that is nearly full; a test machine's may be.
  ROCKETMQ_HOME=$home launch "$1-$3" "$java" -Xms64m -Xmx320m -XX:MaxDirectMemorySize=320m "${java_flags[@]}" \
    -Duser.home="$home" -Drmq.logback.configurationFile=rmq.broker.logback.xml \
    -Drocketmq.broker.diskSpaceWarningLevelRatio=0.99 -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98 \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    "${@:6}" -cp "$lib/*" org.apache.rocketmq.broker.BrokerStartup -c "$home/broker.properties"
}

# drive FLAGS... -- ARGS...: the Java side (java/Driver.java) with extra JVM flags, in the foreground
drive() {
  local flags=()
  while [ "$1" != -- ]; do
    flags+=("$1")
    shift
  done
  shift
  ROCKETMQ_HOME=$state/driver exec "$java" -Xms64m -Xmx256m "${java_flags[@]}" "${flags[@]}" \
    -Duser.home="$state/driver" -Djava.io.tmpdir="$state/driver" -Drmq.logback.configurationFile=rmq.tools.logback.xml \
    -cp "$classes:$lib/*" Driver "$@"
}

driver_reads() { drive -- serve <"$state/commands"; }

start_driver() {
  mkdir -p "$state/driver" "$state/answers"
  mkfifo "$state/commands"
  launch driver driver_reads
  exec 7>"$state/commands"
}

# --- asking the driver -------------------------------------------------------

asked=0

# later VARIABLE VERB ARGS...: hands the driver a command; VARIABLE names where the answer will be
later() {
  local variable=$1 verb=$2 line
  shift 2
  asked=$((asked + 1))
  line=$state/answers/$asked-$verb
  printf -v "$variable" %s "$line"
  printf '%s\t%s' "$line" "$verb" >&7
  [ $# -eq 0 ] || printf '\t%s' "$@" >&7
  printf '\n' >&7
}

# answer PLACE [SECONDS]: waits for an answer, prints it, returns its status
answer() {
  local left=$((${2:-120} * 20))
  while [ ! -e "$1.rc" ]; do
    if [ "$left" -le 0 ] || ! alive driver; then
      echo "no answer"
      return 1
    fi
    left=$((left - 1))
    sleep 0.05
  done
  cat "$1"
  return "$(<"$1.rc")"
}

# ask VERB ARGS...: both at once
ask() {
  local place
  later place "$@"
  answer "$place"
}

# --- steps -------------------------------------------------------------------

passed=0 failed=0

# step NAME COMMAND...: one line, `ok` when COMMAND succeeds. What COMMAND prints is shown when it does not.
step() {
  local name=$1 began=$EPOCHREALTIME took
  shift
  if "$@" >"$state/step" 2>&1; then
    passed=$((passed + 1))
    took=$(((${EPOCHREALTIME/[.,]/} - ${began/[.,]/}) / 1000))
    printf 'ok   %s (%d.%03d s)\n' "$name" $((took / 1000)) $((took % 1000))
  else
    failed=$((failed + 1))
    printf 'FAIL %s\n' "$name"
    head -c 2000 "$state/step" | sed 's/^/       /'
  fi
}

# need NAME COMMAND...: a step without which the others make no sense
need() {
  local before=$failed
  step "$@"
  [ "$failed" = "$before" ] || exit 1
}

skip() { echo "SKIPPED $1"; }

# shows PATTERN VERB ARGS...: the driver's output has PATTERN (extended regular expression)
shows() {
  local pattern=$1
  shift
  ask "$@" >"$state/shown" || true
  grep -Eq -- "$pattern" "$state/shown" && return
  echo "wanted: $pattern"
  cat "$state/shown"
  return 1
}

# faster_than MILLIS PLACE, slower_than MILLIS PLACE: what an `await` came to; neither holds for one that gave up
faster_than() { cat "$2"; [ "$(millis_of "$2")" -lt "$1" ]; }
slower_than() { cat "$2"; [ "$(millis_of "$2")" -gt "$1" ]; }
millis_of() { sed -n 's/^after \([0-9]*\) ms$/\1/p' "$1"; }

show_logs() {
  local log
  for log in "$state"/*.log; do
    [ -s "$log" ] || continue
    echo "--- the end of $(basename "$log")"
    tail -n 20 "$log"
  done
}

# tell FILE TEXT: replaces FILE whole, so that whoever reads it in between reads the old text or the new one
tell() {
  echo "$2" >"$1.new"
  mv "$1.new" "$1"
}
