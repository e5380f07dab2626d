#!/usr/bin/env bash
# Sends the corpus to one MLflow, and through Spanmill to another: both must have stored the same. Outside the gate: installs 900 MB from
# PyPI into target/tools (or MLFLOW_VENV), and takes some minutes, of which MLflow needs nearly all.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
venv="${MLFLOW_VENV:-$target/tools/mlflow}"
version=3.17.2
if [ ! -x "$venv/bin/mlflow" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "mlflow==$version"
fi
if [ -z "${SPANMILL_BINARY:-}" ]; then
    cargo build --package spanmill
    SPANMILL_BINARY="$target/debug/spanmill"
fi
exec "$venv/bin/python" tests/tools/mlflow_check.py "$SPANMILL_BINARY" tests/corpus "${MLFLOW_PORT:-15000}"
