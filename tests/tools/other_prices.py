"""Writes crates/genai/tests/data/other_prices.tsv: what LiteLLM and MLflow say that models cost, where genai-prices says the same.

Run by hand when the catalogue is replaced, with the Python that the tests made (it has genai-prices):

    pip download --no-deps litellm mlflow
    target/python/bin/python tests/tools/other_prices.py litellm-*.whl mlflow-*.whl

genai-prices' own package is asked for the model by its bare name, so that the table says what our own search must find from the name
that LiteLLM and MLflow use. What differs is counted on standard error, and written there with --differences.
"""

import collections
import datetime
import json
import pathlib
import re
import sys
import zipfile
from decimal import Decimal

from genai_prices import data_snapshot, types

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "crates/genai/data/genai-prices-v2.json"
TABLE = ROOT / "crates/genai/tests/data/other_prices.tsv"
NOW = datetime.datetime.now(tz=datetime.UTC).replace(hour=12, minute=0, second=0, microsecond=0)

# What they call a provider: what spans say, and its id in the catalogue.
PROVIDERS = {
    "anthropic": ("anthropic", "anthropic"),
    "azure": ("azure", "azure"),
    "azure_ai": ("azure.ai.inference", "azure"),
    "bedrock": ("bedrock", "aws"),
    "bedrock_converse": ("bedrock", "aws"),
    "cerebras": ("cerebras", "cerebras"),
    "cohere": ("cohere", "cohere"),
    "cohere_chat": ("cohere", "cohere"),
    "deepseek": ("deepseek", "deepseek"),
    "fireworks_ai": ("fireworks_ai", "fireworks"),
    "gemini": ("gemini", "google"),
    "groq": ("groq", "groq"),
    "mistral": ("mistral", "mistral"),
    "moonshot": ("moonshot", "moonshotai"),
    "openai": ("openai", "openai"),
    "openrouter": ("openrouter", "openrouter"),
    "perplexity": ("perplexity", "perplexity"),
    "text-completion-openai": ("openai", "openai"),
    "together_ai": ("together_ai", "together"),
    "vertex_ai": ("vertex_ai", "google"),
    "vertex_ai-anthropic_models": ("vertex_ai", "google"),
    "vertex_ai-language-models": ("vertex_ai", "google"),
    "voyage": ("voyage", "voyageai"),
    "xai": ("xai", "x-ai"),
}
MODES = {"chat", "completion", "embedding", "responses"}
PRICES = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
LITELLM = (
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_token",
)
MLFLOW = (
    "input_per_million_tokens",
    "cache_read_per_million_tokens",
    "cache_write_per_million_tokens",
    "output_per_million_tokens",
)


def load(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read(name), parse_float=Decimal, parse_int=Decimal)


def litellm(wheel):
    """Provider, model and dollars for a million tokens of each kind."""
    for model, entry in load(wheel, "litellm/model_prices_and_context_window_backup.json").items():
        if entry.get("mode") in MODES and entry.get("litellm_provider") in PROVIDERS:
            yield entry["litellm_provider"], model, [scaled(entry.get(key), 1_000_000) for key in LITELLM]


def mlflow(wheel):
    for provider in PROVIDERS:
        name = f"mlflow/utils/model_catalog/{provider}.json"
        if name not in zipfile.ZipFile(wheel).namelist():
            continue
        for model, entry in load(wheel, name)["models"].items():
            if entry["mode"] in MODES:
                prices = entry.get("pricing", {})
                yield provider, model, [scaled(prices.get(key), 1) for key in MLFLOW]


def scaled(price, by):
    return None if price is None else price * by


def main(litellm_wheel, mlflow_wheel):
    with open(CATALOGUE, encoding="utf-8") as file:
        providers = types._providers_from_raw(json.load(file, parse_float=Decimal, parse_int=int))
    snapshot = data_snapshot.DataSnapshot(providers, from_auto_update=False)

    def ours(catalogue_id, model):
        """The prices of genai-prices, or why they are not compared."""
        bare = model.split("/", 1)[-1] if catalogue_id in ("openrouter", "together", "fireworks", "groq") else model.split("/")[-1]
        try:
            _, found = snapshot.find_provider_model(bare, None, catalogue_id, None)
        except LookupError:
            return "genai-prices does not know it"
        prices = found.get_prices(NOW)
        if getattr(prices, "requests_kcount", None) is not None:
            return "each request costs as well"
        return [base(getattr(prices, key, None)) for key in PRICES]

    def base(price):
        # The table is of calls below every tier's start.
        return getattr(price, "base", price)

    rows, counts = collections.defaultdict(set), collections.defaultdict(collections.Counter)
    for source, entries in (("litellm", litellm(litellm_wheel)), ("mlflow", mlflow(mlflow_wheel))):
        for name, model, theirs in entries:
            spoken, catalogue_id = PROVIDERS[name]
            if not theirs[0]:
                counts[source]["they have no price"] += 1
                continue
            known = ours(catalogue_id, model)
            if isinstance(known, str):
                counts[source][known] += 1
                continue
            # A kind that one of them has no price for is none to compare.
            both = [mine if mine is not None and mine == other else None for mine, other in zip(known, theirs)]
            if any(mine is not None and other is not None and mine != other for mine, other in zip(known, theirs)):
                counts[source]["differs"] += 1
                if "--differences" in sys.argv:
                    print(source, name, model, *known, "|", *theirs, file=sys.stderr)
            elif both[0] is not None:
                counts[source]["agrees"] += 1
                rows[(spoken, model, *both)].add(source)
    versions = [re.match(r"(\w+-[\d.]+)-", pathlib.Path(wheel).name)[1] for wheel in (litellm_wheel, mlflow_wheel)]
    with open(TABLE, "w", encoding="utf-8") as file:
        print(f"# {' and '.join(versions)} (PyPI), taken {NOW.date()} by tests/tools/other_prices.py; dollars for a million tokens.", file=file)
        for source, count in counts.items():
            print(f"# {source}: {', '.join(f'{number} {what}' for what, number in sorted(count.items()))}.", file=file)
        print("# sources, provider, model, input, cache read, cache write, output; - is not compared.", file=file)
        for (spoken, model, *prices), sources in sorted(rows.items(), key=lambda row: [str(part) for part in row[0]]):
            texts = ["-" if price is None else format(price.normalize(), "f") for price in prices]
            print("+".join(sorted(sources)), spoken, model, *texts, sep="\t", file=file)
    for source, count in counts.items():
        print(source, dict(count), file=sys.stderr)


main(*[argument for argument in sys.argv[1:] if not argument.startswith("--")])
