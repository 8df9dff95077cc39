"""What a training takes at its peak, beside what was said before it began.

    python3 benches/memory.py MODEL.gguf [--pairs PAIRS.jsonl]

LoRA on a whole model at one row of 2,048 and of 512 tokens, with and without blocks that are computed again; with
`--pairs` (what `lyceum practise` found) steps of DPO as they are shipped; all weights of a pico model of ten million.
The estimate is that of `learn::memory`, which `lyceum plan` prints; the truth is the peak resident memory (VmHWM) of a
process that does two steps. Bars: within 15 % each, and at most 2.5 GB for one row of 2,048 tokens.
"""

import argparse
import sys

from rounds import example, frugal

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--pairs")
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

held = True
print(f"{'':<50} {'estimate':>9} {'peak':>9} {'apart':>8}")
for name, command in cases:
    seen = frugal(*command)
    estimate, peak = seen["estimate_mb"], seen["peak_mb"]
    apart = estimate / peak - 1
    fits = peak <= 2.5 * GB or "2048" not in name
    held &= abs(apart) <= 0.15 and fits
    print(f"{name:<50} {estimate:>6.0f} MB {peak:>6.0f} MB {100 * apart:>+6.1f} %{'' if fits else '  more than 2.5 GB'}", flush=True)
print("holds: each within 15 %, 2,048 tokens in 2.5 GB" if held else "FAILS")
sys.exit(0 if held else 1)
