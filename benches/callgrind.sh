#!/bin/sh
# Instructions per span, counted by callgrind, of every way to read a request, of counting what was derived and of archiving it. A
# difference of two runs, so that start and payload building cancel. Usage: benches/callgrind.sh [BATCH]
set -eu
cd "$(dirname "$0")/.."
batch=${1:-500}
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release -p spanmill-benches --bin derive_loop --bin apply_loop --bin archive_loop

instructions() { # PROGRAM ARGUMENTS...
    program=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$target/release/$program" --batch "$batch" "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

row() { # NAME PAYLOAD INSTRUCTIONS
    printf '| %s | %s | %d |\n' "$1" "$2" "$3"
}

printf '| what | payload | instructions a span |\n|---|---|---|\n'
for payload in lean heavy; do
    for decoder in prost derive walk; do
        once=$(instructions derive_loop --decoder "$decoder" --payload "$payload" --iterations 1)
        thrice=$(instructions derive_loop --decoder "$decoder" --payload "$payload" --iterations 3)
        row "$decoder" "$payload" $(((thrice - once) / 2 / batch))
    done
done
# The window of held calls is filled first (10 s at 500,000 calls a second, more than it holds), then it is in its steady state.
few=$(instructions apply_loop --requests 1000 --rate 500000)
more=$(instructions apply_loop --requests 1100 --rate 500000)
few_derived=$(instructions apply_loop --requests 1000 --rate 500000 --derive-only)
more_derived=$(instructions apply_loop --requests 1100 --rate 500000 --derive-only)
row 'count, hold on' lean $(((more - few - more_derived + few_derived) / 100 / batch))
few=$(instructions apply_loop --requests 1000 --rate 500000 --watch)
more=$(instructions apply_loop --requests 1100 --rate 500000 --watch)
row 'count, hold and history on' lean $(((more - few - more_derived + few_derived) / 100 / batch))
archived=$(instructions archive_loop --requests 130)
prepared=$(instructions archive_loop --requests 130 --prepare-only)
row 'archive' lean $(((archived - prepared) / 130 / batch))
