#!/usr/bin/env bash
# Builds the binary to ship: compiled once more with a profile of how it runs (profile-guided optimisation). It takes two whole builds and
# a minute of load between them; needs rustup, which brings llvm-profdata.
# Usage: deploy/release.sh FILE
set -euo pipefail
file=$(realpath "${1:?the file to write the binary to}")
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/release-build
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$profdata" ] || rustup component add llvm-tools
# All of it: cargo does not see that a profile has changed.
rm -rf "$work"
# No server outlives a step that fails.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
mkdir -p "$work/data"

# With --target, so that flags hold for what is shipped and not for what builds it.
build() { # DIRECTORY FLAGS
    CARGO_ENCODED_RUSTFLAGS=$2 cargo build --release --locked -p spanmill --target "$host" --target-dir "$work/$1"
}

build profiled "-Cprofile-generate=$work/profiles"
cargo build --release --locked -p spanmill-benches --bin loadgen --target-dir target
spanmill=$work/profiled/$host/release/spanmill
loadgen=target/release/loadgen

# What clients of many kinds have really sent ...
"$spanmill" demo --once >"$work/demo.log" 2>&1

# ... and much of the usual, as it arrives in most places.
load() { # NAME ARCHIVE
    cat >"$work/$1.yaml" <<YAML
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } } }
storage: { directory: "$work/data/$1" }
archive: $2
exporters: { prometheus: { endpoint: "127.0.0.1:0" } }
admin: { endpoint: "127.0.0.1:0" }
YAML
    "$spanmill" --config "$work/$1.yaml" >"$work/$1.log" 2>&1 &
    local server=$! addresses='' deadline=$((SECONDS + 60))
    until addresses=$(grep -o 'grpc=[^ ]* http=[^ ]*' "$work/$1.log"); do
        kill -0 "$server" && [ "$SECONDS" -lt "$deadline" ] || { cat "$work/$1.log"; exit 1; }
        sleep 0.1
    done
    local grpc=${addresses#grpc=} http=${addresses#*http=}
    for payload in lean heavy; do
        for compression in none gzip; do
            "$loadgen" --address "${grpc%% *}" --payload "$payload" --compression "$compression" --batch 512 --connections 8 --seconds 3
        done
        "$loadgen" --address "$http" --protocol http --payload "$payload" --batch 100 --connections 8 --seconds 3
    done
    # It writes its profile when it ends by itself.
    kill "$server"
    wait "$server"
}
load counting null
load archiving "{ directory: \"$work/data/spans\", max_age: 1s }"
rm -rf "$work/data"

"$profdata" merge -o "$work/profile" "$work/profiles"
build optimised "-Cprofile-use=$work/profile"
install -m 755 "$work/optimised/$host/release/spanmill" "$file"
