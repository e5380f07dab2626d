#!/usr/bin/env bash
# Sends the corpus through Spanmill to Arize Phoenix, and compares what Phoenix stored with what was sent. Outside the gate: installs
# 900 MB from PyPI into target/tools, and takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/phoenix"
version=20.26.1 port=${PHOENIX_PORT:-16006}
if [ ! -x "$venv/bin/phoenix" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "arize-phoenix==$version"
fi
work=$(mktemp -d)
PHOENIX_WORKING_DIR="$work" PHOENIX_HOST=127.0.0.1 PHOENIX_PORT="$port" PHOENIX_GRPC_PORT=$((port + 1)) \
    PHOENIX_TELEMETRY_ENABLED=false "$venv/bin/phoenix" serve >"$work/log" 2>&1 &
phoenix=$!
trap 'kill $phoenix; rm -rf "$work"' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/healthz"; do
    kill -0 $phoenix || { cat "$work/log"; exit 1; }
    sleep 1
done
SPANMILL_PHOENIX="127.0.0.1:$port" cargo test -p spanmill-tests --test e2e phoenix -- --nocapture
