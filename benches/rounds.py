"""Two programs measured in turn: their runs, and the median of paired ratios with its interval."""

import json
import math
import os
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# What served PyTorch best: OpenMP threads that wait asleep (where anything else runs on the machine,
# spinning ones cost it up to seven times), and memory that is kept (the first touch of pages is slow).
KEEP = str(8 << 30)
FRUGAL = os.environ | {"OMP_WAIT_POLICY": "passive", "TQDM_DISABLE": "1"}
FAST = FRUGAL | {"MALLOC_MMAP_THRESHOLD_": KEEP, "MALLOC_TRIM_THRESHOLD_": KEEP}


def example(name):
    """Builds an example of crate learn and gives its path."""
    subprocess.run(["cargo", "build", "--release", "--workspace", "--example", name], cwd=ROOT, check=True)
    return ROOT / "target/release/examples" / name


def do(*command, environment=FAST):
    """Runs a program and gives what it printed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def run(*command):
    """The line of JSON that a program prints last."""
    return json.loads(do(*command).splitlines()[-1])


def frugal(*command):
    """As `run`, but with the allocator's own thresholds: kept memory makes a program fast, and its peak higher."""
    return json.loads(do(*command, environment=FRUGAL).splitlines()[-1])


def peak(ours, theirs, bar=None):
    """Prints peak resident memory; `theirs` is a run that keeps none. With a bar, says whether the ratio holds it."""
    least, imports = theirs["peak_mb"], theirs["of_which_imports_mb"]
    share = middle(ours, "peak_mb") / least
    print(f"  peak memory: ours {middle(ours, 'peak_mb'):.0f} MB, theirs {least:.0f} MB, of which imports {imports:.0f} MB: ", end="")
    print(f"{share:.2f}" + (f", bar ≤ {bar}: {'holds' if share <= bar else 'FAILS'}" if bar else ""))
    return bar is None or share <= bar


def middle(runs, key):
    return statistics.median(run[key] for run in runs)


def interval(values):
    """Median, and the narrowest pair of ordered values that covers the true median in at least 95 % of cases."""
    values, n = sorted(values), len(values)
    below = lambda k: sum(math.comb(n, i) for i in range(k)) / 2**n
    cut = max((k for k in range(1, n // 2 + 1) if 1 - 2 * below(k) >= 0.95), default=0)
    low, high = (values[cut - 1], values[-cut]) if cut else (-math.inf, math.inf)
    return statistics.median(values), low, high


def ratio(name, ours, theirs, bar):
    """Prints a paired ratio beside the least that it must be, and says whether the median is."""
    median, low, high = interval([a / b for a, b in zip(ours, theirs)])
    holds = median >= bar
    within = f"[{low:.2f}, {high:.2f}]" if math.isfinite(low) else "(too few rounds for an interval)"
    print(f"  {name} {median:.2f} {within}, bar ≥ {bar}: {'holds' if holds else 'FAILS'}")
    return holds


def apart(ours, theirs):
    """Largest relative difference of two lists of losses."""
    return max(abs(a / b - 1) if math.isfinite(a) else math.inf for a, b in zip(ours, theirs, strict=True))


def agree(ours, theirs, most=1e-4):
    """Prints both lists of losses and fails where they are not the same training."""
    print(f"  losses ours   {[round(x, 5) for x in ours]}")
    print(f"  losses theirs {[round(x, 5) for x in theirs]}; largest relative difference {apart(ours, theirs):.1e}")
    assert apart(ours, theirs) < most, f"losses must agree to {most}"


def probe(run):
    """What the cores were worth in a run."""
    return f"matrix products reach {run['machine_gflops']:.0f} gflops"
