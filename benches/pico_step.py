"""Full training steps of a pico model of ten million weights, ours and PyTorch's in turn.

    python3 benches/pico_step.py --python VENV/bin/python [--rounds 7] [--steps 5] [--texts 32] [--size pico-10m]

Same architecture and first weights (written by our exporter, loaded by transformers), same texts, AdamW with decay and
clipping, f32; ours is `learn::pretrain` as it is shipped. See torch_step.py for the needs. Fails where the bar does.
"""

import argparse
import sys
import tempfile

from rounds import HERE, agree, do, example, frugal, middle, peak, probe, ratio, run

arguments = argparse.ArgumentParser()
arguments.add_argument("--python", required=True, help="an interpreter with torch and transformers")
arguments.add_argument("--rounds", type=int, default=7)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--texts", type=int, default=32)
arguments.add_argument("--length", type=int, default=256)
arguments.add_argument("--size", default="pico-10m")
arguments = arguments.parse_args()

step = example("pico_step")
what = ["--size", arguments.size, "--texts", arguments.texts, "--length", arguments.length]
settings = ["--whole", "--decay", 0.1, "--beta2", 0.95, "--clip", 1.0]
ours, theirs = [], []
with tempfile.TemporaryDirectory() as folder:
    do(step, *what, "--export", folder)
    for _ in range(arguments.rounds):
        ours.append(run(step, *what, "--steps", arguments.steps))
        theirs.append(run(arguments.python, HERE / "torch_step.py", folder, "--steps", arguments.steps + 1, *settings))
        print(
            f"  ours {ours[-1]['tokens_per_second']:.0f} tok/s ({100 * ours[-1]['share']:.0f} % of peak), "
            f"torch {theirs[-1]['tokens_per_second']:.0f} tok/s; {probe(ours[-1])}",
            flush=True,
        )
    least = frugal(arguments.python, HERE / "torch_step.py", folder, "--steps", 2, *settings)
print(
    f"{arguments.size}, {ours[0]['trained']} weights, {arguments.texts} x {arguments.length} tokens a step, "
    f"{arguments.rounds} rounds: ours {middle(ours, 'tokens_per_second'):.0f} tok/s, "
    f"{100 * middle(ours, 'share'):.0f} % of the GEMM peak, torch {middle(theirs, 'tokens_per_second'):.0f} tok/s"
)
parts = [f"{part} {middle(theirs, part):.3f}" for part in ("forward", "backward", "optimiser")]
print(f"  seconds of a step, torch: {', '.join(parts)}")
speeds = [[run["tokens_per_second"] for run in runs] for runs in (ours, theirs)]
holds = ratio("speed", *speeds, 1.3)
peak(ours, least)
agree(ours[0]["losses"], theirs[0]["losses"])
sys.exit(0 if holds else 1)
