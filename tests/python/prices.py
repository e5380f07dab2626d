"""What genai-prices itself makes of a catalogue: one JSON line a call, with the price in exact decimal arithmetic, in pico-dollars.

Every model of the catalogue is asked for by a reference that leads to it, at random usages and times; also usages that contradict
themselves, and references that lead nowhere. A price of null means that the package refuses the call.
"""

import datetime
import decimal
import json
import random
import sys
import warnings

from genai_prices import data_snapshot, types

# Unlimited in effect: nothing is rounded here, and what would be is an error.
decimal.getcontext().prec = 100
decimal.getcontext().traps[decimal.Inexact] = True
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
PARTS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
    "reasoning": "output_reasoning_tokens",
}


def literals(clause):
    """Texts that a clause may match."""
    for key, value in vars(clause).items():
        if isinstance(value, list):
            for part in value:
                yield from literals(part)
        elif key == "regex":
            for expression, text in {"\\d{4}-\\d{2}-\\d{2}": "2026-01-02", "\\d{8}": "20260102", "\\.": ".", "\\d": "7"}.items():
                value = value.replace(expression, text)
            yield value.strip("^$")
        else:
            yield value


def whole(chance, most):
    """A count as they come: often zero, often around a tier's start, else anything."""
    kind = chance.random()
    if kind < 0.1:
        return 0
    if kind < 0.3:
        return chance.choice([128_000, 200_000, 272_000, 512_000]) + chance.randint(-1, 1)
    if kind < 0.32:
        return chance.randint(most, 4_000_000_000)
    return chance.randint(0, most)


def pico(price):
    """Only prices with more than six decimals have anything to round."""
    return (price * 10**12).to_integral_value(decimal.ROUND_HALF_EVEN)


def random_usage(chance):
    usage = {"input": whole(chance, 700_000), "output": whole(chance, 100_000)}
    if chance.random() < 0.6:
        usage["cache_read"] = chance.randint(0, usage["input"])
    if chance.random() < 0.5:
        usage["cache_write"] = chance.randint(0, usage["input"] - usage.get("cache_read", 0))
        if chance.random() < 0.5:
            usage["cache_write_1h"] = chance.randint(0, usage["cache_write"])
    if chance.random() < 0.5:
        usage["reasoning"] = chance.randint(0, usage["output"])
    if chance.random() < 0.15:
        # Contradictions: a part larger than its whole, or without it.
        usage[chance.choice(list(PARTS))] = chance.randint(0, 1_500_000)
    if chance.random() < 0.05 and len(usage) > 1:
        del usage[chance.choice(list(usage))]
    return usage


def main(catalogue, calls):
    warnings.simplefilter("error")
    with open(catalogue, encoding="utf-8") as file:
        raw = json.load(file, parse_float=decimal.Decimal, parse_int=int)
    providers = types._providers_from_raw(raw)
    snapshot = data_snapshot.DataSnapshot(providers, from_auto_update=False)
    chance = random.Random(20260131)
    unreachable = 0
    for provider in providers:
        for model in provider.models:
            references = [model.id, *literals(model.match)]
            reaching = [ref for ref in references if provider.find_model(ref, all_providers=providers) is model]
            unreachable += not reaching
            for number in range(calls):
                reference = chance.choice(reaching or references)
                time = EPOCH + datetime.timedelta(microseconds=chance.randint(1_500_000_000, 1_900_000_000) * 1_000_000)
                usage = random_usage(chance)
                counts = {PARTS[part]: count for part, count in usage.items()}
                price, found = None, None
                try:
                    _, found = snapshot.find_provider_model(reference, None, provider.id, None)
                    price = found.calc_price(types.Usage(**counts), provider, genai_request_timestamp=time).total_price
                except (LookupError, ValueError):
                    pass
                print(
                    json.dumps(
                        {
                            "provider": provider.id,
                            "model": reference,
                            "found": found.id if found else None,
                            "seconds": int((time - EPOCH).total_seconds()),
                            "usage": usage,
                            "pico": None if price is None else str(pico(price)),
                        }
                    )
                )
    print(f"{unreachable} models cannot be reached", file=sys.stderr)


main(sys.argv[1], int(sys.argv[2]))
