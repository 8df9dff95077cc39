#!/usr/bin/env python3
"""The main job's bars, on both document sets and three seeds.

    python3 benches/main_job.py [--seeds 1 2 3] [--sets station sqlite-manual] [--shuffled]

Runs `./lyceum evolve` for each set and seed (finished runs are not repeated), then prints from each
run's report.json: closed-book gain on unseen wordings with its 95 % interval clustered by fact, the
gain on the hand-written bank, the change on general questions, and the overlap of exam and training.
With --shuffled it also trains on the first seed's samples with the answers exchanged between facts:
a pipeline that leaks or marks too kindly would gain from that as well.

Bars: station >= +50 points, SQLite manual >= +20 points, each by the lower limit, on every seed;
general questions: the interval lies above -4 points; overlap 0; shuffled answers gain <= 2 points.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "main-job"
SETS = {
    "station": (["examples/station/handbook", "--bank", "examples/station/bank.jsonl"], 0.5),
    "sqlite-manual": (["sqlite-manual"], 0.2),
}


def lyceum(*arguments):
    begin = time.time()
    subprocess.run([ROOT / "lyceum", *map(str, arguments), "--quiet"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.time() - begin


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def difference(paper, mark="difference"):
    d = paper["comparison"][mark]
    return d["mean"] * 100, d["low"] * 100, d["high"] * 100, d["n"]


def evolve(name, seed):
    documents, bar = SETS[name]
    out = OUT / f"{name}-{seed}"
    seconds = lyceum("evolve", *documents, "--out", out, "--seed", seed)
    report = json.loads((out / "report.json").read_text())
    failed = []
    print(f"\n{name}, seed {seed}: {seconds:.0f} s this time, {report['manifest']['seconds']:.0f} s of work in all")
    for paper in report["papers"]:
        before, after = paper["comparison"]["before"]["score"] * 100, paper["comparison"]["after"]["score"] * 100
        mean, low, high, n = difference(paper)
        print(f"  {paper['title']:48} {before:5.1f} -> {after:5.1f}  {mean:+6.1f} [{low:+6.1f}, {high:+6.1f}]  n = {n}")
        if paper["title"].startswith("new questions") and (low < bar * 100 or n < 150):
            failed.append(f"{name}, seed {seed}: lower limit {low:.1f} of n = {n} misses +{bar * 100:.0f}")
        if paper["title"].startswith("general"):
            mean, low_bytes, high, n = difference(paper, "secondary")
            print(f"  {'  by the mark per byte':48} {'':14} {mean:+6.1f} [{low_bytes:+6.1f}, {high:+6.1f}]  n = {n}")
            if min(low, low_bytes) < -4:
                failed.append(f"{name}, seed {seed}: general questions may have lost more than 4 points")
    for note in report["notes"]:
        print(f"  {note}")
    overlap = report["overlap"]
    print(f"  overlap: {overlap['sharing']} share 8 words, {overlap['templates']} a template, {overlap['over_half']} more than half")
    if overlap["sharing"] or overlap["templates"] or overlap["over_half"]:
        failed.append(f"{name}, seed {seed}: exam and training overlap")
    return failed


def shuffled(name, seed):
    run = OUT / f"{name}-{seed}"
    samples = lines(run / "samples" / "samples.jsonl")
    facts = sorted({sample["fact"] for sample in samples})
    answers = {sample["fact"]: sample["messages"][-1]["content"] for sample in samples}
    others = facts[:]
    random.Random(seed).shuffle(others)
    foreign = dict(zip(facts, others))
    for sample in samples:
        sample["messages"][-1]["content"] = answers[foreign[sample["fact"]]]
    # A fact whose neighbour happens to have the same answer is no test of leaking.
    same = {fact for fact in facts if answers[fact] == answers[foreign[fact]]}
    items = [i for i in lines(run / "samples" / "items.jsonl") if i["bank"] == "exam" and i["fact"] not in same]
    folder = OUT / f"{name}-{seed}-shuffled"
    folder.mkdir(parents=True, exist_ok=True)
    for file, records in (("samples.jsonl", samples), ("bank.jsonl", items)):
        (folder / file).write_text("".join(json.dumps(record) + "\n" for record in records))
    lyceum("learn", "sft", folder / "samples.jsonl", "--out", folder / "sft", "--seed", seed)
    lyceum("exam", folder / "bank.jsonl", "--model", folder / "sft", "--against", "smollm2-135m", "--out", folder / "exam")
    right = sum(r["score"] for r in lines(folder / "exam" / "candidate" / "responses.jsonl"))
    before = sum(r["score"] for r in lines(folder / "exam" / "against" / "responses.jsonl"))
    gain = 100 * (right - before) / len(items)
    print(f"\n{name}, answers exchanged between facts: {gain:+.1f} points, n = {len(items)}")
    return [f"{name}: shuffled answers gain {gain:.1f} points"] if gain > 2 else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--shuffled", action="store_true")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.sets:
        for seed in arguments.seeds:
            failed += evolve(name, seed)
        if arguments.shuffled:
            failed += shuffled(name, arguments.seeds[0])
    print("\n" + ("\n".join(f"FAILED: {line}" for line in failed) or "every bar holds"))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
