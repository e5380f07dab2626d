"""Checks the dashboards in a directory: dashboards.py DIRECTORY SIGNOZ_SCHEMA.

SigNoz: the JSON Schema, unknown fields disallowed as the server does, and what the server checks beside it. Grafana: nothing is lost
on the way through Grafana's own models, every query is a Prometheus query, and a PromQL parser takes it. Rules: the parser too.
"""

import json
import pathlib
import re
import sys

import jsonschema
import promql_parser
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import prometheus
from grafana_foundation_sdk.models.dashboard import Dashboard

DURATIONS = {"$__range_ms": "3600000", "$__interval_ms": "120000", "$__range": "1h", "$__interval": "2m"}


def disallow_unknown(schema):
    """Go decodes into structs: what a struct does not have is an error."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            disallow_unknown(part)


def check_signoz(dashboard, schema):
    disallow_unknown(schema)
    jsonschema.Draft202012Validator(schema).validate(dashboard)
    spec = dashboard["spec"]
    placed = []
    for layout in spec["layouts"]:
        taken = set()
        for item in layout["spec"]["items"]:
            columns = range(item["x"], item["x"] + item["width"])
            cells = {(x, y) for x in columns for y in range(item["y"], item["y"] + item["height"])}
            assert item["x"] + item["width"] <= 12 and not cells & taken, f"does not fit: {item}"
            taken |= cells
            placed.append(item["content"]["$ref"].removeprefix("#/spec/panels/"))
    assert sorted(placed) == sorted(spec["panels"]), "every panel stands in one place"
    variables = {variable["spec"]["name"] for variable in spec["variables"]}
    for name, panel in spec["panels"].items():
        kind, (query,) = panel["spec"]["plugin"]["kind"], panel["spec"]["queries"]
        wanted = {"Number": "scalar", "PieChart": "scalar", "List": "raw"}
        assert query["kind"] == wanted.get(kind.removeprefix("signoz/").removesuffix("Panel"), "time_series"), name
        plugin = query["spec"]["plugin"]
        asked = [one["spec"] for one in plugin["spec"]["queries"]] if "queries" in plugin["spec"] else [plugin["spec"]]
        for one in asked:
            for aggregation in one.get("aggregations", []):
                assert ("reduceTo" in aggregation) == (query["kind"] == "scalar"), name
            used = set(re.findall(r"\$(\w+)", one.get("filter", {}).get("expression", "")))
            assert used <= variables, f"{name}: {used - variables}"
    return len(placed)


def lost(before, after, path=""):
    """What is in `before` and not, or otherwise, in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key, "absent"), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after)):
            yield from lost(*pair, f"{path}/{number}")
    elif before != after:
        yield path, before, after


def parse(expression):
    for variable, value in DURATIONS.items():
        expression = expression.replace(variable, value)
    promql_parser.parse(expression)


def check_grafana(dashboard):
    register_default_plugins()
    model = Dashboard.from_json(dashboard)
    differences = list(lost(dashboard, json.loads(JSONEncoder().encode(model))))
    assert not differences, differences
    targets = [target for panel in model.panels for target in getattr(panel, "targets", None) or []]
    for target in targets:
        assert isinstance(target, prometheus.Dataquery), target
        parse(target.expr)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "every panel has an id of its own"
    return len(targets)


def check_rules(text):
    # Each expression is one folded block.
    expressions = re.findall(r"expr: (?:>-\n)?((?:.+\n)(?:      .+\n)*)", text)
    for expression in expressions:
        parse(" ".join(expression.split()))
    return len(expressions)


def main(directory, schema):
    directory = pathlib.Path(directory)
    signoz = json.loads((directory / "spanmill.signoz.json").read_text())
    grafana = json.loads((directory / "spanmill.grafana.json").read_text())
    counts = {
        "signoz_panels": check_signoz(signoz, json.loads(pathlib.Path(schema).read_text())),
        "grafana_queries": check_grafana(grafana),
        "rules": check_rules((directory / "spanmill.rules.yaml").read_text()),
    }
    print(json.dumps(counts))


main(*sys.argv[1:])
