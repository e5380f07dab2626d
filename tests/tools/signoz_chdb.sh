#!/usr/bin/env bash
# Stores what Spanmill exports for SigNoz as SigNoz does, in ClickHouse (chdb), and asks it in SigNoz' SQL: what the dashboard shows is
# what was called. Outside the gate: installs 500 MB from PyPI into target/tools (or CHDB_VENV), and takes up to three minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
venv="${CHDB_VENV:-$target/tools/chdb}"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet chdb==4.4.0 opentelemetry-proto==1.45.2
fi
if [ -z "${SPANMILL_BINARY:-}" ]; then
    cargo build --package spanmill
    SPANMILL_BINARY="$target/debug/spanmill"
fi
exec "$venv/bin/python" tests/tools/signoz_chdb.py "$SPANMILL_BINARY" tests/corpus dashboards/spanmill.signoz.json
