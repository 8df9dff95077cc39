"""Steps of LoRA on a whole model, ours and PyTorch's in turn; see torch_step.py for the needs.

    python3 benches/lora_step.py MODEL.gguf --python VENV/bin/python [--rounds 7] [--steps 5] [--rows 2 8] [--bf16]

Speed, peak memory, time by part and the share of the machine's f32 matrix product. Ours trains in f32; `--bf16` adds
PyTorch in bfloat16, for the record. Fails where a bar does.
"""

import argparse
import sys
import tempfile

from rounds import HERE, agree, do, example, frugal, middle, peak, probe, ratio, run

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--python", required=True, help="an interpreter with torch, transformers and peft")
arguments.add_argument("--rounds", type=int, default=7)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--rows", type=int, nargs="+", default=[2, 8])
arguments.add_argument("--bf16", action="store_true")
arguments = arguments.parse_args()

step, torch = example("step"), [arguments.python, HERE / "torch_step.py"]
# PyTorch's head is in its forward and backward.
PARTS = ["data", "forward", "head", "backward", "optimiser"]
held = True
with tempfile.TemporaryDirectory() as folder:
    do(step, arguments.model, "--rows", max(arguments.rows), "--export", folder)
    for rows in arguments.rows:
        ours, theirs, half = [], [], []
        count = ["--rows", rows, "--steps", arguments.steps]
        for _ in range(arguments.rounds):
            ours.append(run(step, arguments.model, *count))
            theirs.append(run(*torch, folder, *count))
            if arguments.bf16:
                half.append(run(*torch, folder, *count, "--bf16"))
            speeds = [f"{runs[-1]['tokens_per_second']:.0f}" for runs in (ours, theirs, half) if runs]
            print(f"  {rows} x 256: {', '.join(speeds)} tok/s; {probe(ours[-1])}", flush=True)
        print(
            f"{rows} x 256 tokens, {arguments.rounds} rounds: ours {middle(ours, 'tokens_per_second'):.0f} tok/s, "
            f"{100 * middle(ours, 'share'):.0f} % of the GEMM peak, torch {middle(theirs, 'tokens_per_second'):.0f} tok/s"
        )
        held &= ratio("speed", *[[run["tokens_per_second"] for run in runs] for runs in (ours, theirs)], 1.3)
        held &= peak(ours, frugal(*torch, folder, "--rows", rows, "--steps", 2), 0.7)
        for name, runs in [("ours ", ours), ("torch", theirs)]:
            parts = {part: middle(runs, part) for part in PARTS if part in runs[0]}
            print(f"  seconds of a step, {name}: {', '.join(f'{part} {time:.3f}' for part, time in parts.items())}")
        if half:
            print(
                f"  torch in bfloat16: {middle(half, 'tokens_per_second'):.0f} tok/s, {middle(half, 'peak_mb'):.0f} MB, "
                f"losses {[round(x, 3) for x in half[0]['losses']]}; we have no such path"
            )
        agree(ours[0]["losses"], theirs[0]["losses"])
sys.exit(0 if held else 1)
