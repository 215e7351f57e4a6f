# The steps over TLS: the certificate that a NameServer makes for itself, and then an authority, passwords, client
# certificates and a renewal, with a NameServer and a broker that speak nothing else. Sourced by `run`.
# shellcheck shell=bash

tls_cluster=interop-tls

# Certificates of an authority, and what the Java programs are told of them.
tls_certificates() {
  pki=$state/pki
  mkdir -p "$pki"
  authority first && signed first server && signed first friend && authority stranger && signed stranger stranger
}

# authority NAME
authority() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=interop $1" -keyout "$pki/$1-ca.key" -out "$pki/$1-ca.pem"
}

# signed AUTHORITY NAME: NAME.pem, and NAME.key with the password that every key here has
signed() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=interop $2" -keyout "$pki/$2.plain" -out "$pki/$2.csr" &&
    openssl x509 -req -days 30 -in "$pki/$2.csr" -CA "$pki/$1-ca.pem" -CAkey "$pki/$1-ca.key" -CAcreateserial \
      -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$pki/$2.new" &&
    openssl pkcs8 -topk8 -v2 aes256 -passout pass:interop -in "$pki/$2.plain" -out "$pki/$2.key" &&
    mv "$pki/$2.new" "$pki/$2.pem"
}

# tls_flags VARIABLE NAME: a Java program that shows NAME's certificate and believes the first authority
tls_flags() {
  local -n flags=$1
  # shellcheck disable=SC2034 # it is the caller's
  flags=(-Dtls.enable=true -Dtls.test.mode.enable=false
    -Dtls.client.certPath="$pki/$2.pem" -Dtls.client.keyPath="$pki/$2.key" -Dtls.client.keyPassword=interop
    -Dtls.client.authServer=true -Dtls.client.trustCertPath="$pki/first-ca.pem"
    -Dtls.server.certPath="$pki/server.pem" -Dtls.server.keyPath="$pki/server.key" -Dtls.server.keyPassword=interop)
}

tls_starts() {
  local port
  pick_port port; secret_ns=127.0.0.1:$port
  pick_port port; secret_broker=127.0.0.1:$port
  need "openssl makes certificates" tls_certificates
  tls_flags friend friend
  tls_flags stranger stranger
  cat >"$pki/tls.properties" <<PROPERTIES
tls.test.mode.enable=false
tls.server.certPath=$pki/server.pem
tls.server.keyPath=$pki/server.key
tls.server.keyPassword=interop
tls.server.need.client.auth=require
tls.server.authClient=true
tls.server.trustCertPath=$pki/first-ca.pem
PROPERTIES
  start_nameserver ns-tls "${secret_ns#*:}" properties tls.server.mode=enforcing tls.config.file="$pki/tls.properties"
  start_broker broker-tls "$tls_cluster" 0 "${secret_broker#*:}" "$secret_ns" "${friend[@]}"
}

tls() {
  step "a Java client over TLS, with the certificate that the NameServer made for itself" \
    alone -Dtls.enable=true -- exchange "$ns1" "$topic" 50
  step "a broker over TLS registers, and mqadmin over TLS sees it" within_tries 10 lists_over_tls
  step "a topic is created over TLS" prints "create topic to $secret_broker success" "${friend[@]}" -- \
    admin updateTopic -n "$secret_ns" -c "$tls_cluster" -t InteropTls -r 4 -w 4
  step "messages over TLS, both sides with certificates of one authority" \
    alone "${friend[@]}" -- exchange "$secret_ns" InteropTls 50
  step "a client with another authority's certificate is refused" fails lists_over_tls "${stranger[@]}"
  step "a plain client is refused" fails ask await "$secret_ns" 0 answers
  step "the server's certificate is renewed" renewed
  step "new connections have the new one" within_tries 10 has_serial "$(serial <"$pki/server.pem")"
  step "with it, the broker and its topic are still there" alone "${friend[@]}" -- exchange "$secret_ns" InteropTls 50
  kill -KILL "${pids[broker-tls-0]}"
  step "a broker over TLS that is killed is gone" within_tries 10 fails lists_over_tls
}

# alone FLAGS... -- ARGS...: one command of the driver in a JVM of its own
alone() { (drive "$@"); }

# prints PATTERN FLAGS... -- ARGS...
prints() {
  alone "${@:2}" >"$state/shown" 2>&1
  cat "$state/shown"
  grep -Eq -- "$1" "$state/shown"
}

lists_over_tls() {
  [ $# -gt 0 ] || set -- "${friend[@]}"
  prints "$tls_cluster +broker-tls +0 +$secret_broker" "$@" -- admin clusterList -n "$secret_ns"
}

fails() { ! "$@"; }

serial() { openssl x509 -noout -serial; }

# The names are those that the server watches; both files change, as Java wants it.
renewed() { signed first server; }

has_serial() {
  sleep 0.3 # the files are looked at twice a second
  openssl s_client -connect "$secret_ns" -cert "$pki/friend.pem" -key "$pki/friend.plain" </dev/null >"$state/served" 2>&1
  [ "$(serial <"$state/served")" = "$1" ]
}
