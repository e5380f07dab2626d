#!/usr/bin/env bash
# Builds the VictoriaMetrics that tests send OTLP to into target/tools, where the tests look for it. Needs Go 1.26.6 or newer and
# Go's module proxy; takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
GOBIN="$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools" GOFLAGS=-mod=mod \
    go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.150.0
