"""Marginal likelihood of Rasch and 2PL models: ours beside girth and py-irt, on the same simulated responses.

    python3 benches/irt.py --python VENV/bin/python [--sizes rasch:100000x1000,two-pl:10000x200] [--minutes 20]

VENV needs `pip install girth py-irt`. Sizes are persons x items, growing; a peer that took longer than --minutes at one
size is not asked at a larger one of that model. Every program's curves are judged by one function: the marginal
log-likelihood under N(0, 1), by `crates/irt/examples/large_matrix.rs`. Then ours alone: time against threads and size, up
to 10^8 responses, with peak memory, drawn with --plot (`pip install matplotlib`); and 36,000 persons with 11,000 raters.
Bar: at least 50 times faster than each peer at the largest size that it finished, and a likelihood that is no worse.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BAR = 50
LARGE = ROOT / "target/release/examples/large_matrix"
GROWTH = [("two-pl", 1_000, 200), ("two-pl", 10_000, 200), ("two-pl", 100_000, 200),
          ("rasch", 1_000, 1_000), ("rasch", 10_000, 1_000), ("rasch", 100_000, 1_000)]

PLOT = r"""
import json, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plot
times = json.loads(sys.argv[1])
for model, threads in sorted({(m, t) for m, t, _, _ in times}):
    line = sorted((size, seconds) for m, t, size, seconds in times if (m, t) == (model, threads))
    plot.loglog(*zip(*line), marker="o", label=f"{model}, {threads} thread" + "s" * (threads > 1))
plot.xlabel("responses")
plot.ylabel("seconds of a fit")
plot.grid(True, which="both", alpha=0.3)
plot.legend()
plot.savefig(sys.argv[2], bbox_inches="tight", dpi=110)
"""

PEER = r"""
import json, sys, time
import numpy as np
name, model, persons, items, path, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6]
data = np.fromfile(path, dtype=np.uint8).reshape(persons, items)
if name == "girth":
    import girth
    table = data.T.astype(int)
    begin = time.perf_counter()
    fit = girth.twopl_mml(table) if model == "two-pl" else girth.onepl_mml(table)
    seconds = time.perf_counter() - begin
    a = np.broadcast_to(fit["Discrimination"], items).astype(float)
    b = np.asarray(fit["Difficulty"], dtype=float)
else:
    import torch
    import pandas as pd
    from py_irt.config import IrtConfig
    from py_irt.dataset import Dataset
    from py_irt.training import IrtModelTrainer
    torch.set_num_threads(2)
    frame = pd.DataFrame(data, columns=[f"i{j}" for j in range(items)])
    frame.insert(0, "person", [f"p{i}" for i in range(persons)])
    dataset = Dataset.from_pandas(frame, subject_column="person", item_columns=[f"i{j}" for j in range(items)])
    config = IrtConfig(model_type="2pl" if model == "two-pl" else "1pl", epochs=2000, priors="hierarchical", seed=1)
    trainer = IrtModelTrainer(data_path=None, config=config, dataset=dataset, verbose=False)
    begin = time.perf_counter()
    trainer.train(device="cpu")
    seconds = time.perf_counter() - begin
    found = trainer.best_params
    order = [int(found["item_ids"][k][1:]) for k in sorted(found["item_ids"])]
    theta = np.asarray(found["ability"], dtype=float)
    b = np.empty(items)
    b[order] = np.asarray(found["diff"], dtype=float)
    a = np.ones(items)
    if "disc" in found:
        a[order] = np.asarray(found["disc"], dtype=float)
    # Its scale is free: ability's own mean and deviation give the one on which ability is N(0, 1).
    a, b = a * theta.std(), (b - theta.mean()) / theta.std()
json.dump([[float(x), float(y)] for x, y in zip(a, b)], open(out, "w"))
print(json.dumps({"seconds": seconds}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--python", required=True, help="an interpreter with girth and py-irt")
    parser.add_argument("--sizes", default="rasch:1000x100,rasch:10000x200,rasch:100000x200,rasch:100000x1000,two-pl:1000x100,two-pl:10000x200")
    parser.add_argument("--peers", default="girth,py-irt", help="whom to ask")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--growth", default="1,2", help="thread counts of ours alone; empty for none")
    parser.add_argument("--plot", help="PNG or SVG file: time against size, a line for each thread count")
    a = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--example", "large_matrix", "--example", "many_raters"], cwd=ROOT, check=True)
    slow = set()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        peer = folder / "peer.py"
        peer.write_text(PEER)

        def ours(model, persons, items, *more):
            path = folder / f"{model}-{persons}x{items}.bin"
            command = [LARGE, model, str(persons), str(items), str(path), *map(str, more)]
            return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout), path

        largest = {}
        for size in a.sizes.split(","):
            model, size = size.split(":")
            persons, items = map(int, size.split("x"))
            runs = [ours(model, persons, items) for _ in range(3)]
            own, path = sorted((run for run in runs), key=lambda run: run[0]["seconds"])[1]
            print(f"{model}, {size}: ours {own['seconds']:.3f} s, log-likelihood {own['log_likelihood']:.2f}", flush=True)
            for name in filter(None, a.peers.split(",")):
                if (name, model) in slow:
                    continue
                curves = folder / "curves.json"
                command = [a.python, str(peer), name, model, str(persons), str(items), str(path), str(curves)]
                try:
                    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * a.minutes)
                except subprocess.TimeoutExpired:
                    print(f"  {name}: not done after {a.minutes:g} minutes", flush=True)
                    slow.add((name, model))
                    continue
                if done.returncode:
                    print(f"  {name} failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}", flush=True)
                    slow.add((name, model))
                    continue
                seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
                reached = ours(model, persons, items, "--evaluate", curves)[0]["log_likelihood"]
                times, worse = seconds / own["seconds"], own["log_likelihood"] - reached
                good = times >= BAR and worse >= -0.01
                largest[name, model] = good
                print(f"  {name}: {seconds:.1f} s, {times:.0f}x ours (bar {BAR}x), log-likelihood {reached:.2f} ({-worse:+.2f}): {'holds' if good else 'does not hold'}", flush=True)
        holds = all(largest.values())
        times = []
        for model, persons, items in GROWTH:
            for threads in filter(None, a.growth.split(",")):
                own, path = ours(model, persons, items, "--threads", threads)
                times.append([model, int(threads), persons * items, own["seconds"]])
                print(f"ours, {model}, {persons} x {items} = {persons * items:.0e} responses, {threads} threads: {own['seconds']:.2f} s, {own['steps']} steps, peak {own['peak_mb']:.0f} MB", flush=True)
            path.unlink(missing_ok=True)
        for threads in filter(None, a.growth.split(",")):
            done = json.loads(subprocess.run([str(LARGE.with_name("many_raters")), "--threads", threads], check=True, capture_output=True, text=True).stdout)
            print(f"ours, facets, {done['persons']} persons, {done['raters']} raters, {done['marks']} marks, {threads} threads: {done['seconds']:.1f} s, {done['steps']} steps, peak {done['peak_mb']:.0f} MB; 95 % intervals hold {100 * done['held_by_95']:.1f} % of severities", flush=True)
        if a.plot:
            subprocess.run([a.python, "-c", PLOT, json.dumps(times), a.plot], check=True)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
