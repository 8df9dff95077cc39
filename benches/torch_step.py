"""LoRA training steps in PyTorch, with the base, first adapter and tokens that our exporter wrote.

The peer of crates/learn/examples/step.rs: transformers' Llama with scaled-dot-product attention in
f32, peft's LoRA on all seven projections, torch.optim.AdamW. Loss on every token.

    python3 -m venv VENV
    VENV/bin/pip install torch transformers peft
    cargo run --release -p learn --example step MODEL.gguf --rows 8 --export FOLDER
    VENV/bin/python benches/torch_lora.py FOLDER --rows 2 --steps 5
"""

import argparse
import json
import os
import statistics
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

arguments = argparse.ArgumentParser()
arguments.add_argument("folder")
arguments.add_argument("--rows", type=int, default=2)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--threads", type=int, default=2)
arguments = arguments.parse_args()



def memory(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) / 1024


torch.set_num_threads(arguments.threads)
imported = memory("VmRSS:")
base = AutoModelForCausalLM.from_pretrained(
    f"{arguments.folder}/base", dtype=torch.float32, attn_implementation="sdpa"
)
base.config.use_cache = False
model = PeftModel.from_pretrained(base, f"{arguments.folder}/adapter", is_trainable=True)
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
tokens = torch.tensor(json.load(open(f"{arguments.folder}/tokens.json"))[: arguments.rows])

losses, seconds = [], []
for _ in range(arguments.steps):
    begin = time.perf_counter()
    optimizer.zero_grad()
    logits = model(input_ids=tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - begin)

read = tokens.shape[0] * (tokens.shape[1] - 1)
print(
    json.dumps(
        {
            "engine": f"torch {torch.__version__} sdpa",
            "rows": arguments.rows,
            "length": tokens.shape[1] - 1,
            "trained": sum(p.numel() for p in trained),
            "losses": losses,
            "seconds": seconds,
            "tokens_per_second": round(read / statistics.median(seconds), 1),
            "best": round(read / min(seconds), 1),
            "peak_mb": memory("VmHWM:"),
            "of_which_imports_mb": imported,
        }
    )
)
