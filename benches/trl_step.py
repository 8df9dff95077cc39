"""Steps of TRL's DPO trainer with cached references, on the base, first adapter and pairs that our exporter wrote.

The peer of crates/learn/examples/prefer_step.rs: DPOTrainer of TRL on transformers' Llama with scaled-dot-product
attention in f32, peft's LoRA, torch.optim.AdamW, `precompute_ref_log_probs`. It gets tokens instead of texts, so that
both train on the same; everything after tokenisation is TRL's own. All pairs make one optimiser step.

    python3 -m venv VENV
    VENV/bin/pip install torch transformers peft trl
    cargo run --release -p learn --example prefer_step MODEL.gguf PAIRS.jsonl --export FOLDER
    VENV/bin/python benches/trl_step.py FOLDER --steps 5

Settings that serve TRL: no recomputed activations (its default is on), no clearing of caches. `--compact` has it score
only the answers' tokens, which it does by itself on GPUs alone; on a processor it scores every token of a batch.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import torch
from datasets import Dataset, disable_progress_bars
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer
import trl.trainer.utils

arguments = argparse.ArgumentParser()
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--micro", type=int, default=0, help="pairs in one forward pass; 0 takes all")
arguments.add_argument("--compact", action="store_true")
arguments.add_argument("--bf16", action="store_true")
arguments = arguments.parse_args()
logging.set_verbosity_error()
disable_progress_bars()


def memory(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) / 1024


class Dpo(DPOTrainer):
    seen: list[float] = []

    def _prepare_dataset(self, dataset, *_):
        return dataset

    def _get_train_sampler(self, *_):
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        # The trainer's log rounds.
        self.seen.append(loss.item())
        return loss


class Clock(TrainerCallback):
    """Whole optimiser steps: from the end of one to the end of the next, data and logging included."""

    def __init__(self):
        self.ends, self.peak = [], None

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())
        self.peak = memory("VmHWM:")


torch.set_num_threads(arguments.threads)
if arguments.compact:
    trl.trainer.utils._use_triton = lambda device: True
imported = memory("VmRSS:")
export = json.loads((arguments.folder / "pairs.json").read_text())
dtype = torch.bfloat16 if arguments.bf16 else torch.float32
base = AutoModelForCausalLM.from_pretrained(arguments.folder / "base", dtype=dtype, attn_implementation="sdpa")
model = PeftModel.from_pretrained(base, arguments.folder / "adapter", is_trainable=True)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(arguments.folder / "base/tokenizer.json"))
tokenizer.pad_token = tokenizer.eos_token = tokenizer.convert_ids_to_tokens(0)
pairs = [{f"{side}_ids": pair[side] for side in ("prompt", "chosen", "rejected")} for pair in export["pairs"]]
micro = arguments.micro or len(pairs)
clock = Clock()
with tempfile.TemporaryDirectory() as folder:
    config = DPOConfig(
        output_dir=folder,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=len(pairs) // micro,
        # One step more than is timed: the first also warms up.
        max_steps=arguments.steps + 1,
        learning_rate=export["rate"],
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        adam_beta2=export["beta2"],
        max_grad_norm=export["clip"],
        beta=export["beta"],
        loss_type=["sigmoid"],
        precompute_ref_log_probs=True,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        max_length=None,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    begin = time.perf_counter()
    out, sys.stdout = sys.stdout, sys.stderr
    trainer = Dpo(model, args=config, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer, callbacks=[clock])
    references = time.perf_counter() - begin
    trainer.train()
    sys.stdout = out
parts = len(pairs) // micro
losses = [sum(Dpo.seen[at : at + parts]) / parts for at in range(0, len(Dpo.seen), parts)]
seconds = [end - begin for begin, end in zip(clock.ends, clock.ends[1:])]
print(
    json.dumps(
        {
            "engine": f"trl {trl.__version__}, torch {torch.__version__}",
            "pairs": len(pairs),
            "losses": losses,
            "seconds": seconds,
            "references_seconds": references,
            "pairs_per_second": len(pairs) / statistics.median(seconds),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "peak_mb": clock.peak,
            "of_which_imports_mb": imported,
        }
    )
)
