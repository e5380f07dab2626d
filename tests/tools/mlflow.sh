#!/usr/bin/env bash
# Sends the corpus through Spanmill to MLflow, and compares what MLflow stored with what was sent. Outside the gate: installs 900 MB from
# PyPI into target/tools (or MLFLOW_VENV), and takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
venv="${MLFLOW_VENV:-$target/tools/mlflow}"
version=3.17.2 port=${MLFLOW_PORT:-15000}
if [ ! -x "$venv/bin/mlflow" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "mlflow==$version"
fi
if [ -z "${SPANMILL_BINARY:-}" ]; then
    cargo build --package spanmill
    SPANMILL_BINARY="$target/debug/spanmill"
fi
work=$(mktemp -d)
MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false setsid "$venv/bin/mlflow" server --workers 1 --host 127.0.0.1 --port "$port" \
    --backend-store-uri "sqlite:///$work/mlflow.db" --artifacts-destination "$work/artifacts" >"$work/log" 2>&1 &
mlflow=$!
# with its workers
trap 'kill -- -$mlflow; rm -rf "$work"' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health"; do
    kill -0 $mlflow || { cat "$work/log"; exit 1; }
    sleep 1
done
"$venv/bin/python" tests/tools/mlflow_check.py "$SPANMILL_BINARY" tests/corpus "http://127.0.0.1:$port" "$work" \
    || { tail -50 "$work/log"; exit 1; }
