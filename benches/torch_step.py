"""Training steps in PyTorch, with the base, the first adapter and the tokens that our exporters wrote.

The peer of crates/learn/examples/step.rs and pico_step.rs: transformers' Llama with scaled-dot-product attention,
peft's LoRA on all seven projections or (`--whole`) all weights, torch.optim.AdamW. Loss on every token.

    python3 -m venv VENV
    VENV/bin/pip install torch transformers peft
    cargo run --release -p learn --example step MODEL.gguf --rows 8 --export FOLDER
    VENV/bin/python benches/torch_step.py FOLDER --rows 2 --steps 5
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM

arguments = argparse.ArgumentParser()
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("--rows", type=int)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--whole", action="store_true", help="train all weights instead of the adapter")
arguments.add_argument("--rate", type=float, default=1e-3)
arguments.add_argument("--decay", type=float, default=0.0, help="weight decay of matrices")
arguments.add_argument("--beta2", type=float, default=0.999)
arguments.add_argument("--clip", type=float, default=0.0, help="longest gradient; 0 measures none")
arguments.add_argument("--bf16", action="store_true", help="weights and activations in bfloat16")
arguments = arguments.parse_args()


def memory(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) / 1024


torch.set_num_threads(arguments.threads)
dtype = torch.bfloat16 if arguments.bf16 else torch.float32
if not arguments.whole:
    from peft import PeftModel
imported = memory("VmRSS:")
model = AutoModelForCausalLM.from_pretrained(arguments.folder / "base", dtype=dtype, attn_implementation="sdpa")
model.config.use_cache = False
if not arguments.whole:
    model = PeftModel.from_pretrained(model, arguments.folder / "adapter", is_trainable=True)
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
groups = [
    {"params": [p for p in trained if p.dim() > 1], "weight_decay": arguments.decay},
    {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=arguments.rate, betas=(0.9, arguments.beta2), eps=1e-8)
tokens = torch.tensor(json.load(open(arguments.folder / "tokens.json"))[: arguments.rows])

losses, seconds, parts = [], [], {"forward": [], "backward": [], "optimiser": []}
for _ in range(arguments.steps):
    times = [time.perf_counter()]
    optimizer.zero_grad()
    logits = model(input_ids=tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
    del logits
    times.append(time.perf_counter())
    loss.backward()
    times.append(time.perf_counter())
    if arguments.clip:
        torch.nn.utils.clip_grad_norm_(trained, arguments.clip)
    optimizer.step()
    losses.append(loss.item())
    times.append(time.perf_counter())
    seconds.append(times[-1] - times[0])
    for part, begin, end in zip(parts.values(), times, times[1:]):
        part.append(end - begin)

read = tokens.shape[0] * (tokens.shape[1] - 1)
print(
    json.dumps(
        {
            "engine": f"torch {torch.__version__} sdpa {str(dtype).removeprefix('torch.')}",
            "rows": tokens.shape[0],
            "length": tokens.shape[1] - 1,
            "trained": sum(p.numel() for p in trained),
            "losses": losses,
            "seconds": seconds,
            **{name: round(statistics.median(part), 4) for name, part in parts.items()},
            "tokens_per_second": round(read / statistics.median(seconds), 1),
            "best": round(read / min(seconds), 1),
            "peak_mb": memory("VmHWM:"),
            "of_which_imports_mb": imported,
        }
    )
)
