"""Steps of DPO with cached references, ours and TRL's in turn, on the same pairs; see trl_step.py for the needs.

    python3 benches/prefer_step.py MODEL.gguf PAIRS.jsonl --python VENV/bin/python [--rounds 7] [--steps 2] [--pairs 8]

PAIRS.jsonl is what `lyceum practise` found, question by question: its pairs share long beginnings, which ours computes
once and TRL for each answer. Each round takes the next pairs of the file, so it needs rounds × pairs of them. Counted
are pairs a second over whole optimiser steps, f32 on both sides (we train in nothing else), LoRA of rank 16 on all seven
projections; the losses of the steps must agree. TRL as it is scores every token of the batch on a processor; `--compact`
has it score those of the answers alone, as it does on a GPU, and `--micro` sets how many pairs it takes at once. Every
round also runs ACO, Genius' own loss, which TRL lacks. Fails where the bar does.
"""

import argparse
import sys
import tempfile

from rounds import HERE, agree, do, example, frugal, middle, peak, probe, ratio, run

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("pairs_file")
arguments.add_argument("--python", required=True, help="an interpreter with torch, transformers, peft and trl")
arguments.add_argument("--rounds", type=int, default=7)
arguments.add_argument("--steps", type=int, default=2)
arguments.add_argument("--pairs", type=int, default=8)
arguments.add_argument("--first", type=int, default=0, help="line of the first round's first pair, from 0")
arguments.add_argument("--micro", type=int, default=0)
arguments.add_argument("--compact", action="store_true")
arguments = arguments.parse_args()

step = example("prefer_step")
also = ["--micro", arguments.micro, *(["--compact"] if arguments.compact else [])]
dpo, aco, theirs, held = [], [], [], True
for number in range(arguments.rounds):
    first = arguments.first + number * arguments.pairs
    what = [arguments.model, arguments.pairs_file, "--first", first, "--pairs", arguments.pairs]
    with tempfile.TemporaryDirectory() as folder:
        do(step, *what, "--export", folder)
        dpo.append(run(step, *what, "--steps", arguments.steps))
        trl = [arguments.python, HERE / "trl_step.py", folder, *also]
        theirs.append(run(*trl, "--steps", arguments.steps))
        if number == 0:
            least = frugal(*trl, "--steps", 1)
    aco.append(run(step, *what, "--steps", arguments.steps, "--loss", "aco"))
    speeds = [f"{runs[-1]['pairs_per_second']:.2f}" for runs in (dpo, aco, theirs)]
    shared = dpo[-1]["tokens"] / dpo[-1]["computed_tokens"]
    print(f"  round {number}: DPO {speeds[0]}, ACO {speeds[1]}, TRL's DPO {speeds[2]} pairs/s; ", end="")
    print(f"{dpo[-1]['tokens']} tokens, {shared:.2f} times those computed; {probe(dpo[-1])}", flush=True)
    agree(dpo[-1]["losses"], theirs[-1]["losses"])
print(
    f"{arguments.pairs} pairs a step, {arguments.rounds} rounds: ours {middle(dpo, 'pairs_per_second'):.2f}, "
    f"ACO {middle(aco, 'pairs_per_second'):.2f}, {theirs[0]['engine']} {middle(theirs, 'pairs_per_second'):.2f} pairs/s"
)
speeds = [[run["pairs_per_second"] for run in runs] for runs in (dpo, aco, theirs)]
held &= ratio("speed, DPO", speeds[0], speeds[2], 2.0)
held &= ratio("speed, ACO to TRL's DPO", speeds[1], speeds[2], 2.0)
peak(dpo[:1], least)
print(
    f"  references: ours, with loading and the first step, {middle(dpo, 'start_seconds'):.1f} s, TRL's alone "
    f"{middle(theirs, 'references_seconds'):.1f} s"
)
sys.exit(0 if held else 1)
