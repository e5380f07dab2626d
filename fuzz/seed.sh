#!/bin/sh
# Fills fuzz/corpus with seeds from tests/corpus.
set -eu
cd "$(dirname "$0")"
exec cargo run --quiet --example seed
