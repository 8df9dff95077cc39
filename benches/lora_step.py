"""Runs our LoRA step and PyTorch's in turn and prints the ratios; see torch_lora.py for the needs.

    python3 benches/lora_step.py MODEL.gguf --python VENV/bin/python [--pairs 7] [--steps 5]
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile

here = pathlib.Path(__file__).resolve().parent
arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--python", required=True, help="an interpreter with torch, transformers and peft")
arguments.add_argument("--pairs", type=int, default=7)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--rows", type=int, nargs="+", default=[2, 8])
arguments = arguments.parse_args()

subprocess.run(["cargo", "build", "--release", "-p", "learn", "--example", "step"], cwd=here.parent, check=True)
step = here.parent / "target/release/examples/step"
# What served PyTorch best: OpenMP threads that wait asleep (where anything else runs on the machine,
# spinning ones cost it up to seven times), and memory that is kept (the first touch of pages is slow).
keep = str(8 << 30)
environment = os.environ | {
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": keep,
    "MALLOC_TRIM_THRESHOLD_": keep,
}


def run(*command):
    command = [str(c) for c in command]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    return json.loads(done.stdout)


with tempfile.TemporaryDirectory() as folder:
    export = [step, arguments.model, "--rows", max(arguments.rows), "--export", folder]
    subprocess.run([str(c) for c in export], check=True)
    for rows in arguments.rows:
        ours, theirs = [], []
        for _ in range(arguments.pairs):
            count = ["--rows", rows, "--steps", arguments.steps]
            ours.append(run(step, arguments.model, *count))
            theirs.append(run(arguments.python, here / "torch_lora.py", folder, *count))
            print(f"  {rows} x 256: ours {ours[-1]['tokens_per_second']}, torch {theirs[-1]['tokens_per_second']} tok/s", flush=True)
        speed = sorted(a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, theirs))
        memory = [a["peak_mb"] / b["peak_mb"] for a, b in zip(ours, theirs)]
        apart = max(abs(a / b - 1) for a, b in zip(ours[0]["losses"], theirs[0]["losses"]))
        middle = lambda runs, key: statistics.median(run[key] for run in runs)
        print(
            f"{rows} x 256 tokens, {arguments.pairs} pairs: ours {middle(ours, 'tokens_per_second'):.0f} tok/s, "
            f"torch {middle(theirs, 'tokens_per_second'):.0f} tok/s, ratio {statistics.median(speed):.2f} "
            f"[{speed[0]:.2f}, {speed[-1]:.2f}]"
        )
        print(
            f"  peak memory: ours {middle(ours, 'peak_mb'):.0f} MB, torch {middle(theirs, 'peak_mb'):.0f} MB, "
            f"of which imports {middle(theirs, 'of_which_imports_mb'):.0f} MB, ratio {statistics.median(memory):.2f}"
        )
        print(f"  losses ours  {[round(x, 5) for x in ours[0]['losses']]}")
        print(f"  losses torch {[round(x, 5) for x in theirs[0]['losses']]}; largest relative difference {apart:.1e}")
        assert apart < 1e-4 and not math.isnan(apart), "losses must agree to four digits"
