#!/usr/bin/env bash
# Builds the OpenTelemetry Collector that tests put before and behind Spanmill into target/tools, where the tests look for it. Needs Go
# 1.25 or newer and Go's module proxy; takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools="$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools"
version=v0.158.0 stable=v1.64.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/build.yaml" <<EOF
dist: { name: otelcol, output_path: $work/dist }
receivers: [{ gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $version }]
processors: [{ gomod: go.opentelemetry.io/collector/processor/batchprocessor $version }]
exporters: [{ gomod: go.opentelemetry.io/collector/exporter/otlpexporter $version }]
providers:
  - { gomod: go.opentelemetry.io/collector/confmap/provider/envprovider $stable }
  - { gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider $stable }
EOF
GOFLAGS=-mod=mod go run "go.opentelemetry.io/collector/cmd/builder@$version" --config "$work/build.yaml"
mkdir -p "$tools"
mv "$work/dist/otelcol" "$tools/otelcol"
