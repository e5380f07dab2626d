#!/bin/sh
# Instructions per span of every way to read a request, counted by callgrind: (3 iterations - 1 iteration) / 2 / spans, so
# that start and payload building cancel. Usage: benches/callgrind.sh [BATCH]
set -eu
cd "$(dirname "$0")/.."
batch=${1:-500}
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release -p spanmill-benches --bin derive_loop

instructions() { # DECODER PAYLOAD ITERATIONS
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$target/release/derive_loop" \
        --decoder "$1" --payload "$2" --batch "$batch" --iterations "$3" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

printf '| decoder | payload | instructions a span |\n|---|---|---|\n'
for payload in lean heavy; do
    for decoder in prost derive walk; do
        once=$(instructions "$decoder" "$payload" 1)
        thrice=$(instructions "$decoder" "$payload" 3)
        printf '| %s | %s | %d |\n' "$decoder" "$payload" $(((thrice - once) / 2 / batch))
    done
done
