#!/usr/bin/env python3
"""What it costs that nothing is lost: acknowledged throughput and latency with the log on and off beside what the disk does by
itself, and the CPU time of a recovery.

Build first:  cargo build --release -p spanmill -p spanmill-benches --bins
Then:         benches/durability.py throughput [--rounds 5]    # three servers' windows in turns, about 1.5 minutes
              benches/durability.py recovery [--gigabytes 1]   # kill -9 of a full log, and the next start
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import compare

CONFIG = """\
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: "{grpc}" }}, http: {{ endpoint: "{http}" }} }} }} }}
storage: {{ directory: "{directory}/data", wal: {{ enabled: {log}, max_size: {max_size} }} }}
exporters: {{ prometheus: {{ endpoint: "{prometheus}" }} }}
archive: {archive}
admin: {{ endpoint: "{admin}" }}
"""
BATCH, IN_FLIGHT = 512, 8


class Spanmill(compare.Server):
    """A server that listens when the constructor returns, unless it `recovers`: then it has just been started."""

    def __init__(self, options, directory, log, max_size="4GiB", archive="null", recovers=False):
        self.recovers = recovers
        directory.mkdir(exist_ok=True)
        grpc, http, prometheus, self.admin = compare.free_addresses(4)
        self.config = directory / "spanmill.yaml"
        self.config.write_text(
            CONFIG.format(grpc=grpc, http=http, prometheus=prometheus, admin=self.admin, directory=directory,
                          log=str(log).lower(), max_size=max_size, archive=archive)
        )
        super().__init__("log on" if log else "log off", [options.server, "--config", str(self.config)], grpc,
                         directory / "log")

    def wait_until_it_listens(self):
        if not self.recovers:
            super().wait_until_it_listens()


def load(options, server, *arguments):
    command = [
        options.loadgen, "--json", "--address", server.address, "--pid", str(server.process.pid), "--batch", str(BATCH),
        "--concurrency", str(IN_FLIGHT), "--connections", str(IN_FLIGHT), *map(str, arguments),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{server.name}: the load generator failed; the server said:\n{pathlib.Path(server.log).read_text()[-4000:]}")
    return json.loads(done.stdout)


def disk(directory, size, seconds):
    """Bytes a second of a file that grows by `size` bytes at a time, with a fdatasync behind each."""
    path, block = directory / "plain", os.urandom(size)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        started, written = time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            written += os.write(file, block)
            os.fdatasync(file)
        return written / passed
    finally:
        os.close(file)
        path.unlink()


def throughput(options, directory):
    servers = [Spanmill(options, directory / name, log) for name, log in [("on", True), ("off", False)]]
    on, off, plain = [], [], []
    try:
        for server in servers:
            # Once through the log's segments: later they are there.
            load(options, server, "--warm-up", options.first, "--seconds", 1)
        for _ in range(options.rounds):
            on.append(load(options, servers[0], "--seconds", options.seconds))
            off.append(load(options, servers[1], "--seconds", options.seconds))
            bytes_a_request = int(on[-1]["bytes_per_span"] * BATCH)
            group = bytes_a_request * IN_FLIGHT
            rates = [disk(directory, size, options.seconds / 2) for size in (bytes_a_request, group)]
            plain.append([rate / on[-1]["bytes_per_span"] for rate in rates])
    finally:
        for server in servers:
            server.stop()
    for name, windows in [("log on", on), ("log off", off)]:
        rate = statistics.median(window["spans_per_second"] for window in windows)
        cpu = statistics.median(compare.cpu(window) for window in windows)
        p50, p99 = (statistics.median(w["latency_milliseconds"][p] for w in windows) for p in ("p50", "p99"))
        refused = sum(window["refused"] for window in windows)
        print(f"{name:<8} {rate / 1e3:7.0f} k spans/s  {cpu:.2f} CPU s/M  acknowledged in {p50:.1f} ms p50, {p99:.1f} ms p99; "
              f"{refused} spans refused")
    for name, rates in zip(["one request", f"{IN_FLIGHT} requests"], zip(*plain)):
        print(f"disk     {statistics.median(rates) / 1e3:7.0f} k spans/s  appended plainly, {name} a fdatasync")
    of_off = statistics.median(a["spans_per_second"] / b["spans_per_second"] for a, b in zip(on, off))
    of_disk = statistics.median(a["spans_per_second"] / max(b) for a, b in zip(on, plain))
    # Whichever is lower is what is asked for: it is enough to reach one of them.
    print(f"log on is {of_off:.2f} of log off (target 0.6) and {of_disk:.2f} of the disk (target 0.8): "
          f"{'met' if of_off >= 0.6 or of_disk >= 0.8 else 'not met'}")


def cpu_seconds(process):
    """User and system, threads that have ended included."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def is_ready(server):
    try:
        return urllib.request.urlopen(f"http://{server.admin}/readyz", timeout=5).status == 200
    except (urllib.error.URLError, OSError):
        return False


def recovery(options, directory):
    # So large that an eighth of it, and so a checkpoint, is out of reach.
    max_size = f"{16 * options.gigabytes}GiB"
    archive = f'{{ directory: "{directory}/server/parquet" }}' if options.archive else "null"
    server = Spanmill(options, directory / "server", True, max_size, archive)
    report = load(options, server, "--warm-up", 0, "--spans", int(options.gigabytes * 1e9 / 870))
    server.process.kill()
    server.process.wait()
    data = directory / "server" / "data"
    if checkpoints := list(data.glob("checkpoint-*")):
        sys.exit(f"the load took so long that a checkpoint was written ({checkpoints[0].name}): nothing was measured")
    print(f"log: {report['bytes'] / 1e9:.2f} GB, {report['acknowledged']} spans in {report['requests']} requests")
    for _ in range(options.rounds):
        started = time.monotonic()
        server = Spanmill(options, directory / "server", True, max_size, archive, recovers=True)
        while not is_ready(server):
            if server.process.poll() is not None:
                sys.exit(f"the server ended; it said:\n{pathlib.Path(server.log).read_text()[-4000:]}")
            time.sleep(0.02)
        cpu, wall = cpu_seconds(server.process), time.monotonic() - started
        print(f"recovery: {cpu:.2f} CPU s, {wall:.2f} s until ready, {cpu / report['acknowledged'] * 1e6:.2f} CPU s a million spans")
        if list(data.glob("checkpoint-*")):
            print("a checkpoint was written: the next start has less to do")
            break
        server.process.kill()
        server.process.wait()
    server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "recovery"])
    parser.add_argument("--server", default=str(compare.TARGET / "spanmill"), help="Spanmill's binary")
    parser.add_argument("--loadgen", default=str(compare.TARGET / "loadgen"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a window")
    parser.add_argument("--first", type=float, default=12.0, help="seconds of load before the first window")
    parser.add_argument("--gigabytes", type=int, default=1, help="size of the log")
    parser.add_argument("--archive", action="store_true", help="recover with the archive, which is written again")
    parser.add_argument("--directory", help="where the temporary directory goes: the disk that is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmill-durability-", dir=options.directory) as directory:
        {"throughput": throughput, "recovery": recovery}[options.what](options, pathlib.Path(directory))


if __name__ == "__main__":
    main()
