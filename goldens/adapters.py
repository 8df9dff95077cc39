"""Adapters between us and Python's peft, both ways, and five training steps by PyTorch.

    python3 -m venv VENV
    VENV/bin/pip install torch transformers peft
    VENV/bin/python goldens/adapters.py                    tiny random Llama; writes the golden files
    VENV/bin/python goldens/adapters.py MODEL.gguf         a whole model; compares only (3 GB of memory)

Writes crates/learn/tests/data/: adapters `ours` and `theirs`, and `adapters.json` with peft's logits for
both and the losses of five AdamW steps that begin at `theirs`. Fails where logits differ by 1e-3.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "crates/learn/tests/data"
LOGITS = ROOT / "target/release/examples/logits"


def base(folder):
    return AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32, attn_implementation="sdpa")


def logits(model, tokens, every):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0, ::every].flatten()


def steps(model, tokens):
    """Losses of five steps, each before its update: weight decay 0.01, rate 5e-3, no clipping."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    row, losses = torch.tensor([tokens]), []
    for _ in range(5):
        optimizer.zero_grad()
        out = model(input_ids=row[:, :-1]).logits[0]
        loss = torch.nn.functional.cross_entropy(out, row[0, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    torch.manual_seed(0)
    subprocess.run(["cargo", "build", "--release", "-p", "learn", "--example", "logits"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([LOGITS, "make", folder, *sys.argv[1:]], check=True)
        ours = json.loads((folder / "ours.json").read_text())
        tokens, every = ours["tokens"], ours["every"]

        with_ours = logits(PeftModel.from_pretrained(base(folder), folder / "ours"), tokens, every)
        apart = (with_ours - torch.tensor(ours["logits"])).abs().max().item()
        print(f"our adapter in peft: {with_ours.numel()} logits, largest difference {apart:.2e}")
        untouched = logits(base(folder), tokens, every)
        print(f"  (the adapter itself changes them by up to {(with_ours - untouched).abs().max():.2f})")
        assert apart < 1e-3

        everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        config = LoraConfig(r=2, lora_alpha=5, target_modules=everything, task_type="CAUSAL_LM")
        model = get_peft_model(base(folder), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
        model.save_pretrained(folder / "theirs")
        with_theirs = logits(model, tokens, every)
        theirs = {"tokens": tokens, "every": every, "logits": with_theirs.tolist()}
        (folder / "theirs.json").write_text(json.dumps(theirs))
        subprocess.run([LOGITS, "check", folder], check=True)
        if len(sys.argv) > 1:
            return

        for name in ["ours", "theirs"]:
            (DATA / name).mkdir(parents=True, exist_ok=True)
            for file in ["adapter_config.json", "adapter_model.safetensors"]:
                shutil.copy(folder / name / file, DATA / name / file)
        config = json.loads((DATA / "theirs/adapter_config.json").read_text())
        config["base_model_name_or_path"] = "tiny"
        (DATA / "theirs/adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        golden = {
            "tokens": tokens,
            "every": every,
            "ours": [round(x, 5) for x in with_ours.tolist()],
            "theirs": [round(x, 5) for x in with_theirs.tolist()],
            "losses": steps(model, tokens),
        }
        (DATA / "adapters.json").write_text(json.dumps(golden) + "\n")


main()
