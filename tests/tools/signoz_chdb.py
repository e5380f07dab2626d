"""Stores what Spanmill exports for SigNoz as SigNoz does, in ClickHouse (chdb), and asks it in SigNoz' SQL: what the dashboard shows is
what was called.

Tables and rows are those of signozclickhousemetrics (SigNoz/signoz-otel-collector), the SQL is that of SigNoz' metrics statement builder
(SigNoz/signoz: CTEs, names and windows as in its own tests). The corpus is sent in two lives of one minute or less: between them Spanmill
ends and starts again, in another minute, and services that were there before come again.

Arguments: the spanmill binary, the corpus and SigNoz' dashboard. tests/tools/signoz_chdb.sh runs it.
"""

import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict

from chdb import session
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

STEP = 60  # seconds; the shortest that SigNoz takes
TEMPORALITIES = {1: "Delta", 2: "Cumulative"}
CONFIG = """
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: "127.0.0.1:0" }}, http: {{ endpoint: "127.0.0.1:0" }} }} }} }}
storage: {{ directory: {work}/data }}
archive: {{ directory: {work}/archive, max_age: 1s }}
admin: {{ endpoint: "127.0.0.1:0" }}
derive: {{ settle_wait: 2s }}
metrics: {{ interval: 2s }}
exporters:
  prometheus: {{ endpoint: "127.0.0.1:0" }}
  otlp/delta: {{ endpoint: "{sink}/delta", protocol: http/protobuf, signals: [metrics], compression: none, profile: signoz }}
  otlp/cumulative: {{ endpoint: "{sink}/cumulative", protocol: http/protobuf, signals: [metrics], compression: none }}
"""
TABLES = """
CREATE DATABASE {db};
CREATE TABLE {db}.samples_v4 (env LowCardinality(String), temporality LowCardinality(String), metric_name LowCardinality(String),
    fingerprint UInt64, unix_milli Int64, value Float64, flags UInt32)
    ENGINE = MergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);
CREATE TABLE {db}.time_series_v4 (env LowCardinality(String), temporality LowCardinality(String), metric_name LowCardinality(String),
    fingerprint UInt64, unix_milli Int64, labels String, __normalized Bool)
    ENGINE = ReplacingMergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);
"""
# SigNoz brings a program of this name, copied from Prometheus; this is ClickHouse's own of Prometheus' rule.
QUANTILE = """CREATE FUNCTION histogramQuantile AS (bounds, counts, part) -> multiIf(
    part = 0.5, arrayReduce('quantilePrometheusHistogram(0.5)', bounds, counts),
    part = 0.95, arrayReduce('quantilePrometheusHistogram(0.95)', bounds, counts),
    arrayReduce('quantilePrometheusHistogram(0.99)', bounds, counts))"""
SERIES = """(SELECT fingerprint{labels} FROM {db}.time_series_v4 WHERE metric_name IN ('{metric}') AND unix_milli >= {hour}
    AND unix_milli <= {end} AND LOWER(temporality) LIKE LOWER('{temporality}') AND __normalized = false{conditions}
    GROUP BY fingerprint{names}) AS filtered_time_series ON points.fingerprint = filtered_time_series.fingerprint"""
INTERVAL = "toStartOfInterval(toDateTime(intDiv(unix_milli, 1000)), toIntervalSecond({step})) AS ts"
WINDOW = "metric_name IN ('{metric}') AND unix_milli >= {start} AND unix_milli < {end}"
DELTA = (
    "WITH __spatial_aggregation_cte AS (SELECT " + INTERVAL + "{names}, sum(value){per} AS value FROM {db}.samples_v4 AS points"
    " INNER JOIN " + SERIES + " WHERE " + WINDOW + " GROUP BY ts{names}) "
)
GROWTH = "per_series_value - lagInFrame(per_series_value, 1) OVER rate_window"
CUMULATIVE = (
    "WITH __temporal_aggregation_cte AS (SELECT ts{names}, multiIf(row_number() OVER rate_window = 1, nan, (" + GROWTH + ") < 0,"
    " per_series_value{over}, (" + GROWTH + "){over}) AS per_series_value FROM (SELECT fingerprint, " + INTERVAL + "{names},"
    " max(value) AS per_series_value FROM {db}.samples_v4 AS points INNER JOIN " + SERIES + " WHERE " + WINDOW +
    " GROUP BY fingerprint, ts{names} ORDER BY fingerprint, ts) WINDOW rate_window AS (PARTITION BY fingerprint ORDER BY fingerprint, ts)),"
    " __spatial_aggregation_cte AS (SELECT ts{names}, sum(per_series_value) AS value FROM __temporal_aggregation_cte"
    " WHERE isNaN(per_series_value) = 0 GROUP BY ts{names}) "
)
GAUGE = (
    "WITH __temporal_aggregation_cte AS (SELECT fingerprint, " + INTERVAL + "{names}, anyLast(value) AS per_series_value"
    " FROM {db}.samples_v4 AS points INNER JOIN " + SERIES + " WHERE " + WINDOW + " GROUP BY fingerprint, ts{names}"
    " ORDER BY fingerprint, ts), __spatial_aggregation_cte AS (SELECT ts{names}, sum(per_series_value) AS value"
    " FROM __temporal_aggregation_cte WHERE isNaN(per_series_value) = 0 GROUP BY ts{names}) "
)
PLAIN = "SELECT * FROM __spatial_aggregation_cte ORDER BY ts"
PERCENTILE = (
    "SELECT ts{names}, histogramQuantile(arrayMap(x -> toFloat64(x), groupArray(le)), groupArray(value), {part}) AS value"
    " FROM __spatial_aggregation_cte GROUP BY ts{names} ORDER BY ts"
)
# Of the corpus they show nothing: no call is counted early, no usage contradicts itself, and every model that usage is told of has a price.
EMPTY = {"settled-early", "inconsistent-usage", "unpriced-models"}
# They may show 0 when all is well.
ZERO = {"receiver-memory", "exporter-queue", "retries", "log-fill", "conservation"}


class SigNoz:
    """Stores metrics, and answers the queries of a dashboard."""

    def __init__(self, clickhouse, temporality):
        self.clickhouse, self.temporality, self.db = clickhouse, temporality, f"signoz_{temporality}"
        self.began, self.fingerprints = int(time.time()), {}
        self.clickhouse.query(TABLES.format(db=self.db))

    def store(self, request):
        samples, series = [], []

        def sample(name, temporality, labels, nanos, value):
            labels = labels | {"__name__": name, "__temporality__": temporality}
            key = json.dumps(labels, sort_keys=True)
            fingerprint = self.fingerprints.setdefault(key, len(self.fingerprints) + 1)
            row = {"env": labels.get("deployment.environment", "default"), "temporality": temporality, "metric_name": name}
            millis = nanos // 1_000_000
            samples.append(row | {"fingerprint": fingerprint, "unix_milli": millis, "value": value, "flags": 0})
            hour = millis // 3_600_000 * 3_600_000
            series.append(row | {"fingerprint": fingerprint, "unix_milli": hour, "labels": json.dumps(labels), "__normalized": False})

        for resource in request.resource_metrics:
            common = labels_of(resource.resource.attributes)
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                temporality = "Unspecified" if kind == "gauge" else TEMPORALITIES[data.aggregation_temporality]
                for point in data.data_points:
                    labels = common | labels_of(point.attributes)
                    at = point.time_unix_nano
                    if kind != "histogram":
                        sample(metric.name, temporality, labels, at, getattr(point, point.WhichOneof("value")))
                        continue
                    sample(f"{metric.name}.count", temporality, labels, at, point.count)
                    if point.HasField("sum"):
                        sample(f"{metric.name}.sum", temporality, labels, at, point.sum)
                    below = 0
                    for bound, count in zip([*map(plain, point.explicit_bounds), "+Inf"], point.bucket_counts):
                        below += count
                        sample(f"{metric.name}.bucket", temporality, labels | {"le": bound}, at, below)
        for table, rows in (("samples_v4", samples), ("time_series_v4", series)):
            lines = "\n".join(json.dumps(row) for row in rows)
            self.clickhouse.query(f"INSERT INTO {self.db}.{table} FORMAT JSONEachRow {lines}")

    def ask(self, query):
        """Rows of time, groups and value."""
        aggregation = query["aggregations"][0]
        by = [key["name"] for key in query["groupBy"]]
        percent = re.fullmatch(r"p(\d+)", aggregation["spaceAggregation"])
        series_by = [*by, "le"] if percent else by
        is_gauge = aggregation["timeAggregation"] == "latest"
        is_rate = bool(percent) or aggregation["timeAggregation"] == "rate"
        start, end = self.began // STEP * STEP, int(time.time()) // STEP * STEP + STEP
        fields = {
            "db": self.db,
            "metric": aggregation["metricName"],
            # one that goes up and down is a gauge to SigNoz, and stored with the temporality that it came with
            "temporality": "%" if is_gauge else self.temporality,
            "step": STEP,
            "start": start * 1000,
            "end": end * 1000,
            "hour": start // 3600 * 3_600_000,
            "labels": "".join(f", JSONExtractString(labels, '{name}') AS `{name}`" for name in series_by),
            "names": "".join(f", `{name}`" for name in series_by),
            "conditions": "".join(map(condition, conditions(query["filter"]["expression"]))),
            "per": f"/{STEP}" if is_rate else "",
            "over": " / (ts - lagInFrame(ts, 1) OVER rate_window)" if is_rate else "",
        }
        select = PLAIN
        if percent:
            select = PERCENTILE.format(names="".join(f", `{name}`" for name in by), part=int(percent[1]) / 100)
        of_time = GAUGE if is_gauge else DELTA if self.temporality == "delta" else CUMULATIVE
        sql = of_time.format(**fields) + select
        answer = json.loads(str(self.clickhouse.query(sql, "JSONCompact")))
        return [(row[0], tuple(row[1:-1]), row[-1]) for row in answer["data"]]

    def shown(self, panel):
        """What the queries of a panel show, with every variable set to all: by query, rows of time, group and value."""
        plugin = panel["spec"]["queries"][0]["spec"]["plugin"]["spec"]
        queries = plugin.get("queries") or [{"type": "builder_query", "spec": plugin}]
        return {one["spec"]["name"]: self.ask(one["spec"]) for one in queries if one["type"] == "builder_query"}


def labels_of(attributes):
    return {attribute.key: str(getattr(attribute.value, attribute.value.WhichOneof("value"))) for attribute in attributes}


def plain(bound):
    """As Go's FormatFloat(bound, 'f', -1, 64)."""
    return str(int(bound)) if bound == int(bound) else f"{bound:f}".rstrip("0")


def conditions(expression):
    """Those of a filter, without those of variables: set to all, a variable takes its condition with it."""
    return [part for part in expression.split(" AND ") if part and " IN $" not in part]


def condition(part):
    name, operator, value = re.fullmatch(r"(\S+) (EXISTS|=|IN)(?: (.+))?", part).groups()
    if operator == "EXISTS":
        return f" AND has(JSONExtractKeys(labels), '{name}')"
    return f" AND JSONExtractString(labels, '{name}') {operator} {value}"


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes OTLP metrics: /delta/v1/metrics, /cumulative/v1/metrics."""

    protocol_version = "HTTP/1.1"
    received = defaultdict(list)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received[self.path.split("/")[1]].append(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def lives(corpus):
    """The requests of each client in two halves, of which none has a trace of the other one, so that no call is cut."""
    halves = ([], [])
    for client in sorted(path for path in corpus.iterdir() if path.is_dir()):
        groups = []
        for path in sorted(client.glob("*.traces.binpb")):
            request = ExportTraceServiceRequest.FromString(path.read_bytes())
            traces = {span.trace_id for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans}
            same = [group for group in groups if group[0] & traces]
            merged = (traces.union(*(group[0] for group in same)), sorted([path, *(one for group in same for one in group[1])]))
            groups = [group for group in groups if group not in same] + [merged]
        for number, (_, paths) in enumerate(groups):
            halves[number % 2].extend(paths)
    return halves


def live(binary, config, paths, requests):
    """One life of Spanmill: it starts, counts until so many requests are counted in all and some are archived, and ends."""
    spanmill = subprocess.Popen([binary, "--config", config], stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in spanmill.stdout if line.startswith("listening "))
        at = dict(pair.split("=") for pair in line.split()[1:])
        for path in paths:
            headers = {"Content-Type": "application/x-protobuf"}
            urllib.request.urlopen(urllib.request.Request(f"http://{at['http']}/v1/traces", path.read_bytes(), headers)).close()
        counted, archived, deadline = 0, False, time.monotonic() + STEP
        while (counted < requests or not archived) and time.monotonic() < deadline:
            time.sleep(0.2)
            page = urllib.request.urlopen(f"http://{at['prometheus']}/metrics").read().decode()
            counted = sum(int(value) for value in re.findall(r"^spanmill_requests_total{.*} (\d+)", page, re.MULTILINE))
            archived = re.search(r"^spanmill_archive_rows_total{.*} [1-9]", page, re.MULTILINE)
    finally:
        spanmill.terminate()
        spanmill.communicate()


def replayed(binary, paths):
    """What Spanmill counts of them without any export; its tests hold that to the corpus' truth."""
    output = subprocess.run([binary, "replay", "--format", "json", *paths], check=True, capture_output=True)
    told = json.loads(output.stdout)
    return {"requests": told["requests"], "errors": told["errors"], "input": told["tokens"]["input"], "output": told["tokens"]["output"]}


def totals(signoz, panels):
    """The four numbers of the dashboard, summed over its steps."""
    wanted = {"requests": "requests", "errors": "error-rate", "input": "input-tokens", "output": "output-tokens"}
    return {name: round(sum(row[-1] for row in signoz.shown(panels[panel])["A"])) for name, panel in wanted.items()}


def p95_problems(clickhouse, signoz, panel, archive):
    """Each p95 of a service and step lies in the bucket of the true one, which the rows of the archive tell."""
    bounds = clickhouse.query(f"SELECT DISTINCT toFloat64(JSONExtractString(labels, 'le')) AS le FROM {signoz.db}.time_series_v4"
                              " WHERE metric_name = 'gen_ai.client.operation.duration.bucket' ORDER BY le", "CSV")
    bounds = [float(line) for line in str(bounds).split()]
    durations = json.loads(str(clickhouse.query(
        f"SELECT ifNull(service_name, ''), arraySort(groupArray(duration_nano / 1e9)) FROM file('{archive}/spans/**/*.parquet', Parquet)"
        " WHERE outcome = 'counted' GROUP BY service_name", "JSONCompact")))["data"]
    durations = dict(durations)
    shown = defaultdict(list)
    for _, (service,), value in signoz.shown(panel)["A"]:
        shown[service].append(value)
    problems = [f"no p95 of {service}" for service in durations.keys() - shown.keys()]
    once = {service: values[0] for service, values in shown.items() if len(values) == 1}
    for service, value in once.items():
        truth = durations[service][-(-len(durations[service]) * 95 // 100) - 1]
        above = next(number for number, bound in enumerate(bounds) if bound >= truth)
        if not (bounds[above - 1] if above else 0) <= value <= bounds[above]:
            problems.append(f"p95 of {service}: {value}, and {truth} is true")
    print(f"p95: {len(once)} services of one step compared with the durations of their calls, {len(shown)} shown")
    return problems


def main(binary, corpus, dashboard):
    panels = json.loads(pathlib.Path(dashboard).read_text())["spec"]["panels"]
    halves = lives(pathlib.Path(corpus))
    problems = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work:
        clickhouse = session.Session(f"{work}/clickhouse")
        clickhouse.query(QUANTILE)
        backends = {temporality: SigNoz(clickhouse, temporality) for temporality in ("delta", "cumulative")}
        config = pathlib.Path(work, "spanmill.yaml")
        config.write_text(CONFIG.format(work=work, sink=f"http://127.0.0.1:{server.server_port}"))
        for number, paths in enumerate(halves, 1):
            if number > 1:
                # The next life lies in another step.
                time.sleep(STEP - time.time() % STEP)
            truth = replayed(binary, [path for half in halves[:number] for path in half])
            live(binary, config, paths, truth["requests"])
            for temporality, backend in backends.items():
                for request in Sink.received.pop(temporality):
                    backend.store(request)
            print(f"after life {number}, of {len(paths)} requests")
            print(f"  called             {truth}")
            for temporality, backend in backends.items():
                shown = totals(backend, panels)
                print(f"  SigNoz, {temporality:<10} {shown}")
                if (shown == truth) != (temporality == "delta"):
                    problems.append(f"life {number}: {temporality} points show {shown}, and {truth} is true")
            if number == 1:
                problems += p95_problems(clickhouse, backends["delta"], panels["duration-p95"], f"{work}/archive")
        asked = {name: panel for name, panel in panels.items() if panel["spec"]["plugin"]["kind"] != "signoz/ListPanel"}
        answers = {name: backends["delta"].shown(panel).values() for name, panel in asked.items()}
        has_data = {
            name: all(rows if name in ZERO else sum(row[-1] for row in rows) > 0 for rows in queries) for name, queries in answers.items()
        }
        print(f"{sum(has_data.values())} of {len(asked)} panels have data in every query")
        problems += [f"{name}: no data, or data that was not expected" for name in asked if has_data[name] == (name in EMPTY)]
        clickhouse.close()
    return problems


sys.exit("\n".join(main(*sys.argv[1:])) or 0)
