"""Sends the corpus to one MLflow, and through Spanmill to another: both must have stored the same.

Arguments: the spanmill binary, the corpus, and the port of the first MLflow (the second one takes the next). tests/tools/mlflow.sh runs it.
"""

import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 300
EXPERIMENT = {"x-mlflow-experiment-id": "0"}
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Else each provider that it sees first costs 7 s where GitHub cannot be reached, which has its prices.
    "MLFLOW_MODEL_CATALOG_URI": "",
}
CONFIG = """
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
    max_request_size: 256KiB
    timeout: 60s
"""
# What MLflow makes of them: the content is the whole span with what it has read from it.
SPANS = """SELECT trace_id, span_id, parent_span_id, name, type, status, start_time_unix_nano, end_time_unix_nano, content, model_name,
    model_provider, total_cost FROM spans"""


def main(binary, corpus, port):
    bodies = [path.read_bytes() for path in sorted(pathlib.Path(corpus).glob("*/*.traces.binpb"))]
    sent = {span for body in bodies for span in ids(body)}
    with tempfile.TemporaryDirectory() as work:
        direct, behind = (MLflow(pathlib.Path(work, name), port + number) for number, name in enumerate(("direct", "behind")))
        spanmill = None
        try:
            for server in (direct, behind):
                server.wait()
            began = time.monotonic()
            for body in bodies:
                post(direct.address, body, EXPERIMENT)
            say(f"sent {len(bodies)} requests to MLflow in {time.monotonic() - began:.1f} s")

            config = pathlib.Path(work, "spanmill.yaml")
            config.write_text(CONFIG.format(work=work, mlflow=behind.address))
            spanmill = subprocess.Popen([binary, "--config", config], stdout=subprocess.PIPE, text=True)
            at = addresses(spanmill)
            began = time.monotonic()
            for body in bodies:
                post(f"http://{at['http']}", body, {})
            say(f"sent them to Spanmill in {time.monotonic() - began:.1f} s")
            while len(behind.ids()) < len(sent) and time.monotonic() < began + PATIENCE:
                time.sleep(1)
            say(f"MLflow behind it had {len(behind.ids())} spans after {time.monotonic() - began:.1f} s")
            page = urllib.request.urlopen(f"http://{at['prometheus']}/metrics").read().decode()
            for name, labels, value in re.findall(r"^spanmill_exporter_(items|retries)_total{(.*)} (\d+)$", page, re.MULTILINE):
                if 'signal="traces"' in labels:
                    outcome = re.search(r'outcome="(\w+)"', labels)
                    say(f"  {name} {outcome[1] if outcome else ''} {value}")
            return compare(sent, direct, behind)
        finally:
            for server in (direct, behind):
                server.stop()
            if spanmill:
                spanmill.terminate()
                spanmill.wait()


def compare(sent, direct, behind):
    """Says what is stored, and what differs."""
    problems = []
    if behind.ids() != sent:
        problems.append(f"missing {sorted(sent - behind.ids())[:5]}, not sent {sorted(behind.ids() - sent)[:5]}")
    spans, expected = behind.rows(SPANS), direct.rows(SPANS)
    problems += [f"another span: {row}" for row in sorted(spans ^ expected, key=str)[:4]]
    tokens, expected_tokens = behind.tokens(), direct.tokens()
    problems += [f"other tokens: {row}" for row in sorted(tokens ^ expected_tokens, key=str)[:10]]
    say(f"{len(sent)} spans of {len({trace for trace, _ in sent})} traces were sent")
    for name, server in (("direct", direct), ("behind Spanmill", behind)):
        traces = server.tokens()
        told = [sum(row[column] or 0 for row in traces) for column in (1, 2)]
        with_usage = sum(row[1] is not None for row in traces)
        say(f"{name}: {len(server.ids())} spans of {len(traces)} traces; {with_usage} have usage: {told[0]} input, {told[1]} output tokens")
    return problems


class MLflow:
    """A server of its own, with all that it stores."""

    def __init__(self, work, port):
        work.mkdir()
        self.database, self.log = work / "mlflow.db", work / "log"
        self.address = f"http://127.0.0.1:{port}"
        command = [pathlib.Path(sys.executable).with_name("mlflow"), "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
        stores = ["--backend-store-uri", f"sqlite:///{self.database}", "--artifacts-destination", work / "artifacts"]
        with open(self.log, "w") as log:
            # A session of its own, as its workers are to end with it.
            self.process = subprocess.Popen(command + stores, env=os.environ | SETTINGS, stdout=log, stderr=log, start_new_session=True)

    def wait(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return urllib.request.urlopen(f"{self.address}/health").close()
            except OSError:
                time.sleep(0.5)
        raise SystemExit(f"MLflow does not start:\n{self.log.read_text()[-4000:]}")

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def rows(self, query):
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60) as database:
            return set(database.execute(query))

    def ids(self):
        return self.rows("SELECT trace_id, span_id FROM spans")

    def tokens(self):
        """Each trace, with what MLflow takes for its usage."""
        return self.rows("SELECT request_id, input_tokens, output_tokens FROM trace_info")


def ids(body):
    """Trace and span of every span of a request, as MLflow writes them."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield "tr-" + span.trace_id.hex(), span.span_id.hex()


def post(address, body, headers):
    headers = {"Content-Type": "application/x-protobuf"} | headers
    urllib.request.urlopen(urllib.request.Request(f"{address}/v1/traces", body, headers)).close()


def addresses(process):
    """What Spanmill prints at its start."""
    for line in process.stdout:
        if line.startswith("listening "):
            return dict(pair.split("=") for pair in line.split()[1:])
    raise SystemExit("spanmill ended")


def say(text):
    print(text, flush=True)


problems = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
sys.exit("\n".join(problems) or 0)
