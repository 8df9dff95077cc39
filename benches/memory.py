"""What a training takes at its peak, beside what was said before it began.

    python3 benches/memory.py MODEL.gguf [--pairs PAIRS.jsonl] [--lyceum target/release/lyceum]

LoRA on a whole model at one row of 2,048 and of 512 tokens, with and without blocks that are computed again; with
`--pairs` (what `lyceum practise` found) steps of DPO as they are shipped; all weights of a pico model of ten million.
The estimate is that of `learn::memory`, which `lyceum plan` prints; the truth is the peak resident memory (VmHWM) of a
process that does two steps; with `--lyceum`, `lyceum plan` itself speaks, and `lyceum learn sft` on a sample of nearly
as many tokens as a row is the truth. Bars: within 15 % each, and at most 2.5 GB for one row of 2,048 tokens.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from rounds import FRUGAL, ROOT, do, example, frugal

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--pairs")
arguments.add_argument("--lyceum")
arguments = arguments.parse_args()

GB = 1e9 / 2**20
step, whole = example("step"), example("pico_step")
lora = [step, arguments.model, "--rows", 1, "--samples", 1, "--rank", 16, "--steps", 2]
cases = [
    (f"LoRA, 1 x {length} tokens{', blocks computed again' if again else ''}", [*lora, "--length", length, *again])
    for length in (2048, 512)
    for again in ([], ["--recompute"])
]
if arguments.pairs:
    cases.append(("DPO on 16 pairs", [example("prefer_step"), arguments.model, arguments.pairs, "--steps", 2]))
cases.append(("all weights of pico-10m, 32 x 256 tokens", [whole, "--steps", 2]))


def planned(length):
    """What `lyceum plan` says of training, and the peak of `lyceum learn sft`, in MB."""
    lyceum = pathlib.Path(arguments.lyceum).resolve()
    settings = ["--model", arguments.model, "--set", f"learn.row_tokens={length}", "--set", "learn.min_steps=2"]
    settings += ["--set", "learn.epochs=1", "--json"]
    plan = json.loads(do(lyceum, "plan", ROOT / "examples/station/handbook", *settings).splitlines()[-1])
    ask = {"role": "user", "content": "Count."}
    say = {"role": "assistant", "content": " ".join(str(n % 10) for n in range(length * 90 // 200))}
    sample = {"id": "1", "fact": "1", "document": "1", "messages": [ask, say], "wording": "", "citations": []}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "sample.jsonl"
        file.write_text(json.dumps(sample) + "\n")
        command = [lyceum, "learn", "sft", file, "--out", pathlib.Path(folder) / "out", *settings]
        log = open(pathlib.Path(folder) / "log", "w")
        child = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, env=FRUGAL)
        _, status, used = os.wait4(child.pid, 0)
        if status != 0:
            raise SystemExit(pathlib.Path(log.name).read_text()[-2000:])
    return {"estimate_mb": plan["training_bytes"] / 2**20, "peak_mb": used.ru_maxrss / 1024}


held = True
if arguments.lyceum:
    cases += [(f"lyceum plan, lyceum learn sft, rows of {length}", length) for length in (2048, 512)]
print(f"{'':<50} {'estimate':>9} {'peak':>9} {'apart':>8}")
for name, command in cases:
    seen = frugal(*command) if isinstance(command, list) else planned(command)
    estimate, peak = seen["estimate_mb"], seen["peak_mb"]
    apart = estimate / peak - 1
    fits = peak <= 2.5 * GB or "2048" not in name
    held &= abs(apart) <= 0.15 and fits
    print(f"{name:<50} {estimate:>6.0f} MB {peak:>6.0f} MB {100 * apart:>+6.1f} %{'' if fits else '  more than 2.5 GB'}", flush=True)
print("holds: each within 15 %, 2,048 tokens in 2.5 GB" if held else "FAILS")
sys.exit(0 if held else 1)
