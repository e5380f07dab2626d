"""Starts Spanmill before an MLflow that is running, sends the corpus, and says what MLflow has stored of it.

Arguments: the spanmill binary, the corpus, MLflow's address, and the directory in which its mlflow.db is. tests/tools/mlflow.sh runs it.
"""

import pathlib
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 300
binary, corpus, mlflow, work = sys.argv[1:]
CONFIG = f"""
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: "127.0.0.1:0" }}, http: {{ endpoint: "127.0.0.1:0" }} }} }} }}
storage: {{ directory: {work}/data }}
archive: {{ directory: {work}/archive }}
admin: {{ endpoint: "127.0.0.1:0" }}
exporters:
  prometheus: {{ endpoint: "127.0.0.1:0" }}
  otlp/mlflow:
    endpoint: {mlflow}
    protocol: http/protobuf
    signals: [traces]
    headers: {{ x-mlflow-experiment-id: "0" }}
"""


def ids(body):
    """Trace and span of every span of a request, as MLflow writes them."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield "tr-" + span.trace_id.hex(), span.span_id.hex()


def stored():
    with sqlite3.connect(f"file:{work}/mlflow.db?mode=ro", uri=True, timeout=60) as database:
        return set(database.execute("SELECT trace_id, span_id FROM spans"))


def addresses(process):
    """What Spanmill prints at its start."""
    for line in process.stdout:
        if line.startswith("listening "):
            return dict(pair.split("=") for pair in line.split()[1:])
    raise SystemExit("spanmill ended")


config = pathlib.Path(work, "spanmill.yaml")
config.write_text(CONFIG)
spanmill = subprocess.Popen([binary, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
try:
    at = addresses(spanmill)
    sent = set()
    for path in sorted(pathlib.Path(corpus).glob("*/*.traces.binpb")):
        body = path.read_bytes()
        headers = {"Content-Type": "application/x-protobuf"}
        urllib.request.urlopen(urllib.request.Request(f"http://{at['http']}/v1/traces", body, headers)).close()
        sent.update(ids(body))
    deadline = time.monotonic() + PATIENCE
    while len(sent & stored()) < len(sent) and time.monotonic() < deadline:
        time.sleep(1)
    page = urllib.request.urlopen(f"http://{at['prometheus']}/metrics").read().decode()
finally:
    spanmill.terminate()
    spanmill.communicate()
has = stored()
with sqlite3.connect(f"file:{work}/mlflow.db?mode=ro", uri=True, timeout=60) as database:
    traces = database.execute("SELECT count(*) FROM trace_info").fetchone()[0]
print(f"{len(sent)} spans of {len({trace for trace, _ in sent})} traces sent; MLflow has {len(has)} of {traces}")
print("\n".join(line for line in page.splitlines() if re.match(r"spanmill_exporter_(items|retries).*traces", line)))
if has != sent:
    sys.exit(f"missing: {sorted(sent - has)[:20]}, not sent: {sorted(has - sent)[:20]}")
