#!/usr/bin/env python3
"""Server CPU of Spanmill beside the baseline server, measured in turns in one run.

Every case starts fresh servers (baseline, Spanmill without archive, Spanmill with archive; with --forward in place of the last one
Spanmill that hands all spans on to one gRPC destination, another baseline server). All of them stay up while the load generator drives
them one after the other, window by window, so that a busy machine disturbs all alike. Ratios are medians over the rounds, each of a
Spanmill window to the baseline window just before it; what handing on adds is the median of the differences to Spanmill without it.

Build first:  cargo build --release -p spanmill -p spanmill-benches --bins
Then:         benches/compare.py [--rounds 5] [--seconds 4] [--only lean/1000] [--forward] [--markdown]
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CASES = {  # name: (payload, spans in a request)
    "lean/20": ("lean", 20),
    "lean/512": ("lean", 512),
    "lean/1000": ("lean", 1000),
    "heavy/100": ("heavy", 100),
    "heavy/1000": ("heavy", 1000),
}
BASELINE, PLAIN, ARCHIVE, FORWARD = "baseline", "spanmill", "spanmill + archive", "spanmill + destination"
# A file is closed every second, so that its cost falls into the window that caused it: after the load, the generator waits
# longer than this before it reads the CPU time. A million rows a file are the default and stay out of reach here.
ARCHIVE_AGE, SETTLE = "1s", {BASELINE: 0.2, PLAIN: 0.2, ARCHIVE: 2.5, FORWARD: 0.5}

# What Spanmill's binary is built with (crates/spanmill/src/allocator.c), for all servers.
ALLOCATOR = {"MIMALLOC_PURGE_DELAY": "10000"}

CONFIG = """\
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: "{grpc}" }}, http: {{ endpoint: "{http}" }} }} }} }}
storage: {{ directory: "{directory}/data", wal: {{ enabled: {wal} }} }}
exporters: {{ prometheus: {{ endpoint: "{prometheus}" }}{destination} }}
derive: {{ {derive} }}
archive: {archive}
admin: {{ endpoint: "{admin}" }}
"""


def free_addresses(number):
    """Addresses nobody listens on. All sockets are open at once, so that no address comes twice."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = ["127.0.0.1:%d" % s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return addresses


class Server:
    """A server process, listening for OTLP/gRPC (and HTTP) when the constructor returns."""

    def __init__(self, name, command, address, log):
        self.name, self.address, self.log = name, address, log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=ALLOCATOR | os.environ)
        self.wait_until_it_listens()

    def wait_until_it_listens(self):
        host, port = self.address.rsplit(":", 1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"{self.name} does not listen on {self.address}; it said:\n{pathlib.Path(self.log).read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_baseline(options, directory, name=BASELINE):
    [address] = free_addresses(1)
    command = [options.baseline, "--listen", address]
    return Server(name, command, address, directory / f"{name}.log")


def start_spanmill(options, directory, name, sink=None):
    own = directory / name.replace(" ", "")
    own.mkdir()
    grpc, http, prometheus, admin = free_addresses(4)
    archive = f'{{ directory: "{own}/parquet", max_age: {ARCHIVE_AGE} }}' if name == ARCHIVE else "null"
    destination = f', otlp/sink: {{ endpoint: "http://{sink.address}", compression: none, signals: [traces] }}' if sink else ""
    config = own / "spanmill.yaml"
    config.write_text(
        CONFIG.format(
            grpc=grpc, http=http, prometheus=prometheus, admin=admin, directory=own, archive=archive, destination=destination,
            wal=str(options.wal).lower(), derive=options.derive,
        )
    )
    address = http if options.protocol == "http" else grpc
    return Server(name, [options.server, "--config", str(config)], address, own / "log")


def measure(options, server, payload, batch):
    command = [
        options.loadgen, "--json", "--address", server.address, "--pid", str(server.process.pid),
        "--protocol", options.protocol if server.name != BASELINE else "grpc",
        "--compression", options.compression, "--payload", payload, "--batch", str(batch),
        "--concurrency", str(options.concurrency), "--connections", str(options.connections),
        "--seconds", str(options.seconds), "--warm-up", str(options.warm_up), "--settle", str(SETTLE[server.name]),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{server.name}: the load generator failed; the server said:\n{pathlib.Path(server.log).read_text()[-4000:]}")
    report = json.loads(done.stdout)
    if report["refused"]:
        print(f"{server.name}: {report['refused']} spans refused: {report['refusals']}", file=sys.stderr)
    return report


def run_case(options, payload, batch):
    """Reports by server name, one for each round, and what was written to the archive."""
    with tempfile.TemporaryDirectory(prefix="spanmill-compare-", dir=options.directory) as directory:
        directory = pathlib.Path(directory)
        servers, sinks = [], []
        reports = {}
        try:
            servers.append(start_baseline(options, directory))
            if options.server:
                servers.append(start_spanmill(options, directory, PLAIN))
            if options.server and options.forward:
                sinks.append(start_baseline(options, directory, "destination"))
                servers.append(start_spanmill(options, directory, FORWARD, sinks[0]))
            elif options.server and not options.no_archive:
                servers.append(start_spanmill(options, directory, ARCHIVE))
            for _ in range(options.rounds):
                for server in servers:
                    reports.setdefault(server.name, []).append(measure(options, server, payload, batch))
        finally:
            for server in servers + sinks:
                server.stop()
        return reports


def rows(case, reports):
    baseline = [cpu(report) for report in reports[BASELINE]]
    for name, windows in reports.items():
        used = [cpu(report) for report in windows]
        ratio = statistics.median(own / other for own, other in zip(used, baseline))
        yield [
            case, name, f"{statistics.median(used):.3f}", f"{min(used):.3f}-{max(used):.3f}", f"{ratio:.2f}",
            f"{statistics.median(r['spans_per_second'] for r in windows) / 1000:.0f}",
            f"{max(r['server']['peak_memory_bytes'] for r in windows) / 1e6:.0f}",
            str(sum(r["refused"] for r in windows)),
        ]
    if FORWARD in reports:
        added = [
            (cpu(forward) - cpu(plain)) / other
            for forward, plain, other in zip(reports[FORWARD], reports[PLAIN], baseline)
        ]
        spread = f"{min(added):.2f}-{max(added):.2f}"
        yield [case, "added by the destination", "", spread, f"{statistics.median(added):.2f}", "", "", ""]


def cpu(report):
    return report["server"]["cpu_seconds_per_million_spans"]


HEAD = ["case", "server", "CPU s / million spans", "min-max", "ratio", "k spans/s", "peak MB", "refused"]


def show(table, markdown):
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    for number, row in enumerate(table):
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        print("| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip())
        if markdown and number == 0:
            print("|" + "---|" * len(HEAD))


def parser(description):
    """Options of all that measures servers with the load generator."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loadgen", default=str(TARGET / "loadgen"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a window")
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc", help="to Spanmill; the baseline is gRPC only")
    parser.add_argument("--compression", choices=["none", "gzip"], default="none")
    parser.add_argument("--only", choices=list(CASES), action="append", help="one case; may be repeated")
    parser.add_argument("--wal", action="store_true", help="with the log on disk")
    parser.add_argument("--derive", default="", help="more of the configuration's `derive`: settle_wait: 0s")
    parser.add_argument("--directory", help="where the temporary directories with the archives go")
    return parser


def parse_options():
    options = parser(__doc__)
    options.add_argument("--server", default=str(TARGET / "spanmill"), help="Spanmill's binary; empty: baseline alone")
    options.add_argument("--baseline", default=str(TARGET / "baseline"))
    options.add_argument("--forward", action="store_true", help="measure handing on in place of the archive")
    options.add_argument("--no-archive", action="store_true", help="no server with archive beside, on the same disk")
    options.add_argument("--markdown", action="store_true")
    return options.parse_args()


def main():
    options = parse_options()
    table = [HEAD]
    for case in options.only or CASES:
        print(f"{case} ...", file=sys.stderr, flush=True)
        table += rows(case, run_case(options, *CASES[case]))
    show(table, options.markdown)


if __name__ == "__main__":
    main()
