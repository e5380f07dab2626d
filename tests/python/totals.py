"""Prints what the counted rows of a Spanmill archive come to, in the form of `spanmill replay --format json`."""

import json
import sys
from collections import defaultdict

import pyarrow.compute as pc
import pyarrow.dataset as ds

CLASSES = ["input", "cache_read", "cache_write", "output", "reasoning"]

archive = ds.dataset(f"{sys.argv[1]}/spans", format="parquet", partitioning="hive")
columns = [f"gen_ai_usage_{name}_tokens" for name in CLASSES]
table = archive.to_table(
    columns=["gen_ai_response_model", "gen_ai_request_model", "error_class", *columns],
    filter=pc.field("outcome") == "counted",
)


def empty():
    return {"requests": 0, "errors": 0, **dict.fromkeys(CLASSES, 0)}


total = empty()
by_model = defaultdict(empty)
for row in table.to_pylist():
    model = row["gen_ai_response_model"] or row["gen_ai_request_model"] or "unknown"
    for counts in (total, by_model[model]):
        counts["requests"] += 1
        counts["errors"] += row["error_class"] is not None
        for name, column in zip(CLASSES, columns):
            counts[name] += row[column] or 0

tokens = {name: total.pop(name) for name in CLASSES}
print(json.dumps({**total, "tokens": tokens, "by_model": by_model}))
