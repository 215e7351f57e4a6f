# Gets what the suite runs: the tools, the RocketMQ jars, the compiled Java and Go sides.
# Sourced by `run`; expects $here, $work, $lib, $classes.
# shellcheck shell=bash

version=5.5.0 have_go=yes

# missing_tools: with CI=true nothing may be missing; else says what is left out
missing_tools() {
  local tool absent=()
  for tool in java javac openssl go; do
    command -v "$tool" >/dev/null || absent+=("$tool")
  done
  have_jars || command -v mvn >/dev/null || absent+=(mvn)
  [ ${#absent[@]} -gt 0 ] || { java=$(command -v java); return 0; }
  echo "MISSING: ${absent[*]}" >&2
  if [ "${CI:-}" = true ]; then
    echo "the interop suite needs java, javac, openssl, mvn and go" >&2
    exit 1
  fi
  if [ "${absent[*]}" = go ]; then
    have_go=no java=$(command -v java)
    return 0
  fi
  skip "everything: there is no interop without ${absent[*]}"
  echo "0 passed, 0 failed"
  exit 0
}

prepare() {
  fetch_jars || { echo "could not get the RocketMQ jars" >&2; exit 1; }
  mkdir -p "$classes"
  javac -nowarn -cp "$lib/*" -d "$classes" "$here"/java/*.java || exit 1
  if [ "$have_go" = yes ]; then
    (cd "$here/go" && timeout 400 go build -o "$work/goclient" .) || exit 1
  fi
}

# fetch_jars: from Maven Central, once. They come to their place in one move, so a directory that is there is complete.
fetch_jars() {
  have_jars && return
  echo "fetching RocketMQ $version into $lib"
  rm -rf "$lib.part"
  timeout 600 mvn -q -B -f "$here/pom.xml" -Drocketmq.version="$version" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$lib.part" || return 1
  rm -rf "$lib"
  mv "$lib.part" "$lib"
  have_jars
}

have_jars() {
  local part
  for part in broker client namesrv tools; do [ -s "$lib/rocketmq-$part-$version.jar" ] || return 1; done
}
