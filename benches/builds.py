#!/usr/bin/env python3
"""Server CPU of one build of Spanmill beside that of another, measured in turns: what a change brings.

Which of the two goes first changes from round to round. The figure is the median of the rounds' ratios, with the interval that 95 % of medians
of as many rounds lie within, drawn from these (bootstrap). The server that is started second seems to take a little more: of the same two builds with
the log on, the second took 1.04 of the first in the one order, and 1.01 in the other. So measure in both orders.

Build first:  cargo build --release -p spanmill -p spanmill-benches --bins, before and after the change, and keep both binaries
Then:         benches/builds.py BEFORE AFTER [--rounds 20] [--seconds 2] [--only lean/1000] [--wal] [--archive]
"""
import pathlib
import random
import statistics
import tempfile

import compare


def measure(options, payload, batch):
    """CPU seconds a million spans of both, one of each a round."""
    name = compare.ARCHIVE if options.archive else compare.PLAIN
    used = ([], [])
    with tempfile.TemporaryDirectory(prefix="spanmill-builds-", dir=options.directory) as directory:
        servers = []
        try:
            for number, build in enumerate([options.before, options.after]):
                options.server, own = build, pathlib.Path(directory) / str(number)
                own.mkdir()
                servers.append(compare.start_spanmill(options, own, name))
            for server in servers:
                compare.measure(options, server, payload, batch)  # what comes first is slower
            for number in range(options.rounds):
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    used[which].append(compare.cpu(compare.measure(options, servers[which], payload, batch)))
        finally:
            for server in servers:
                server.stop()
    return used


def main():
    parser = compare.parser(__doc__)
    parser.add_argument("before", help="a binary of Spanmill")
    parser.add_argument("after", help="another one")
    parser.add_argument("--archive", action="store_true", help="with the archive")
    parser.set_defaults(rounds=20, seconds=2.0, warm_up=0.5)
    options = parser.parse_args()
    for case in options.only or compare.CASES:
        before, after = measure(options, *compare.CASES[case])
        ratios = [b / a for a, b in zip(before, after)]
        medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
        print(
            f"{case}: {statistics.median(before):.3f} and {statistics.median(after):.3f} CPU s / million spans, "
            f"after / before {statistics.median(ratios):.3f}, within {medians[50]:.3f} and {medians[-51]:.3f}"
        )


if __name__ == "__main__":
    main()
