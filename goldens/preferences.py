"""Losses and gradients of preferences by TRL's own trainers: DPO and IPO (DPOTrainer), SimPO (CPOTrainer), KTO
(KTOTrainer).

    python3 -m venv VENV
    VENV/bin/pip install torch transformers peft trl
    VENV/bin/python goldens/preferences.py

Writes crates/learn/tests/data/preferences/:

- `formulas.json`: summed log-probabilities of eight pairs (drawn here), and what each trainer's loss and its
  gradient with respect to them are, in double precision. A stand-in for the model gives the trainer the numbers.
- `batch.json`: six pairs of three questions on the tiny random Llama of our tests with the adapter `theirs`: tokens,
  summed log-probabilities of the adapted model and of its reference (the model without adapter), and each loss,
  through transformers' and peft's forward pass.
- `gradient-LOSS/`: the gradient of that loss for each LoRA matrix, written as peft writes an adapter.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import types

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import torch
from datasets import Dataset
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer

ROOT = pathlib.Path(__file__).resolve().parent.parent
ADAPTER = ROOT / "crates/learn/tests/data/theirs"
DATA = ROOT / "crates/learn/tests/data/preferences"
LOGITS = ROOT / "target/release/examples/logits"
VOCAB, PAD, BETA, GAMMA = 320, 0, 0.1, 0.5
SIMPO_BETA = 2.0
DESIRABLE, UNDESIRABLE = 1.0, 1.5


def pairs():
    """Three questions of two pairs: those of a question share the prompt, the second also the first step."""
    # Such that the adapter makes mismatched answers likelier on average: KTO's reference point is then above 0.
    token = lambda seed, i: 1 + (seed * 7919 + i * i * 31 + i * 101 + 171) % (VOCAB - 1)
    made = []
    for question in range(3):
        words = lambda part, length: [token(10 * question + part, i) for i in range(length)]
        prompt, step = words(0, 9 + 4 * question), words(1, 9)
        made.append({"prompt_ids": prompt, "chosen_ids": step + words(2, 5), "rejected_ids": words(3, 7 + question)})
        made.append({"prompt_ids": prompt, "chosen_ids": step + words(4, 3), "rejected_ids": step + words(5, 8)})
    return made


def settings(config, **own):
    return config(
        output_dir=tempfile.mkdtemp(), report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
        max_length=None, beta=BETA, per_device_train_batch_size=64, **own,
    )  # fmt: skip


def model(folder):
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32, attn_implementation="sdpa")
    return PeftModel.from_pretrained(base, ADAPTER, is_trainable=True)


def trainers(folder):
    """The real trainers, which get tokens instead of texts: everything after tokenisation is TRL's own."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "base/tokenizer.json"))
    tokenizer.pad_token = tokenizer.eos_token = tokenizer.convert_ids_to_tokens(PAD)
    as_they_are = lambda self, dataset, *_: dataset
    dpo_of = type("Dpo", (DPOTrainer,), {"_prepare_dataset": as_they_are})
    kto_of = type("Kto", (KTOTrainer,), {"_prepare_dataset": as_they_are})
    batch = pairs()
    both = [(pair["prompt_ids"], pair[side], side == "chosen_ids") for pair in batch for side in ("chosen_ids", "rejected_ids")]
    # TRL's reference point: completions move on to the next prompt of the batch.
    moved = [both[-1][1]] + [answer for _, answer, _ in both[:-1]]
    unpaired = [
        {"prompt_ids": prompt, "completion_ids": answer, "KL_completion_ids": other, "label": label}
        for (prompt, answer, label), other in zip(both, moved)
    ]
    rest = lambda: {"model": model(folder), "processing_class": tokenizer}
    made = {}
    for name, loss_type in [("dpo", "sigmoid"), ("ipo", "ipo")]:
        args = settings(DPOConfig, loss_type=[loss_type])
        made[name] = dpo_of(args=args, train_dataset=Dataset.from_list(batch), **rest())
    args = settings(KTOConfig, desirable_weight=DESIRABLE, undesirable_weight=UNDESIRABLE)
    made["kto"] = kto_of(args=args, train_dataset=Dataset.from_list(unpaired), **rest())
    texts = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    args = settings(CPOConfig, loss_type="simpo", simpo_gamma=GAMMA, cpo_alpha=0.0, max_completion_length=None)
    args.beta, args.max_length = SIMPO_BETA, 256
    made["simpo"] = CPOTrainer(args=args, train_dataset=texts, **rest())
    for trainer in made.values():
        trainer.model.train()
        # The reference of an adapter that goes on is a copy of it; here it is the model without adapter.
        for parameter_name, parameter in trainer.model.named_parameters():
            if "lora_B.ref" in parameter_name:
                torch.nn.init.zeros_(parameter)
    return made, batch, unpaired


# ---- formulas -------------------------------------------------------------------------------------------------------


def stand_in(per_token):
    """A model whose log-probabilities are given."""
    nothing = torch.zeros_like(per_token)
    fields = {"entropy": nothing, "mean_logits": nothing, "is_top1": nothing.bool()}
    return lambda **_: types.SimpleNamespace(log_probs=per_token, **fields)


def formulas(made):
    torch.manual_seed(0)
    chosen_tokens = torch.tensor([1, 5, 9, 30, 2, 17, 60, 8])
    rejected_tokens = torch.tensor([3, 5, 12, 4, 40, 17, 55, 90])
    lengths = torch.cat([chosen_tokens, rejected_tokens])
    spread = torch.tensor([0.0, 0.5, 2.0, 10.0, -3.0, 40.0, -60.0, 200.0]).double()
    reference = -lengths.double() * (0.5 + torch.rand(16).double() * 2)
    policy = reference + torch.randn(16).double() * 3 + torch.cat([spread, torch.zeros(8).double()])
    longest = int(lengths.max())
    mask = (torch.arange(longest)[None] < lengths[:, None]).long()
    mask = torch.cat([torch.zeros(16, 1).long(), mask], dim=1)
    ids = torch.ones(16, longest + 1).long()
    # The whole sum stands on the first token: a sum's gradient is that of each of its tokens.
    first = torch.zeros(16, longest).double()
    first[:, 0] = 1.0
    losses = {}

    def loss_of(name, trainer, inputs, order=slice(None)):
        sums = policy[order].clone().requires_grad_()
        trainer.precompute_ref_logps = True
        loss = trainer._compute_loss(stand_in(first * sums[:, None]), inputs, False)
        (gradient,) = torch.autograd.grad(loss, sums)
        return loss.item(), gradient

    for name in ["dpo", "ipo"]:
        inputs = {"input_ids": ids, "attention_mask": ids, "completion_mask": mask}
        inputs |= {"ref_chosen_logps": reference[:8], "ref_rejected_logps": reference[8:]}
        loss, gradient = loss_of(name, made[name], inputs)
        losses[name] = {"beta": BETA, "loss": loss, "gradient": gradient.tolist()}

    trainer = made["simpo"]
    sums = policy.clone().requires_grad_()
    mean = sums / lengths
    loss = trainer.cpo_loss(mean[:8], mean[8:])[0].mean()
    (gradient,) = torch.autograd.grad(loss, sums)
    losses["simpo"] = {"beta": trainer.beta, "gamma": GAMMA, "loss": loss.item(), "gradient": gradient.tolist()}

    trainer = made["kto"]
    # The reference point is that of the trainer: mean over its mismatched pairs, of the given numbers here.
    shift = torch.randn(16).double() + 0.7
    inputs = {"input_ids": ids, "attention_mask": ids, "completion_mask": mask}
    inputs |= {f"KL_{name}": value for name, value in list(inputs.items())}
    inputs |= {"label": torch.tensor([True] * 8 + [False] * 8), "ref_logps": reference, "ref_KL_logps": policy - shift}
    loss, gradient = loss_of("kto", trainer, inputs)
    point = {"point": shift.mean().clamp(min=0).item(), "desirable": DESIRABLE, "undesirable": UNDESIRABLE}
    losses["kto"] = {"beta": BETA, **point, "loss": loss, "gradient": gradient.tolist()}
    sides = lambda values: {"chosen": values[:8].tolist(), "rejected": values[8:].tolist()}
    return {"tokens": sides(lengths), "policy": sides(policy), "reference": sides(reference), "losses": losses}


# ---- a whole model --------------------------------------------------------------------------------------------------


def simpo_batch(batch):
    sides = {}
    for side in ["chosen", "rejected"]:
        whole = [pair["prompt_ids"] + pair[f"{side}_ids"] for pair in batch]
        longest = max(map(len, whole))
        padded = lambda rows, value: torch.tensor([row + [value] * (longest - len(row)) for row in rows])
        sides[f"{side}_input_ids"] = padded(whole, PAD)
        sides[f"{side}_attention_mask"] = padded([[1] * len(row) for row in whole], 0)
        labels = [[-100] * len(pair["prompt_ids"]) + pair[f"{side}_ids"] for pair in batch]
        sides[f"{side}_labels"] = padded(labels, -100)
    return sides


def whole(made, batch, unpaired):
    losses = {}
    for name, trainer in made.items():
        trainer.precompute_ref_logps = False
        if name == "simpo":
            loss = trainer.get_batch_loss_metrics(trainer.model, simpo_batch(batch))[0]
        else:
            inputs = trainer.data_collator(unpaired if name == "kto" else batch)
            loss = trainer._compute_loss(trainer.model, inputs, False)
        trainer.model.zero_grad()
        loss.backward()
        losses[name] = {"loss": loss.item()}
        if name == "kto":
            losses[name]["point"] = trainer._metrics["train"]["kl"][-1]
            assert losses[name]["point"] > 0, "the reference point must matter for the test to mean something"
        gradients = {
            parameter_name.replace(".default", ""): parameter.grad.clone()
            for parameter_name, parameter in trainer.model.named_parameters()
            if parameter.grad is not None
        }
        assert len(gradients) == 2 * 2 * 7 and all(g.abs().max() > 0 for g in gradients.values())
        folder = DATA / f"gradient-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        save_file(gradients, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        os.chmod(folder / "adapter_model.safetensors", 0o644)
        shutil.copy(ADAPTER / "adapter_config.json", folder / "adapter_config.json")
    return losses


def sums(trainer, batch):
    """Summed log-probabilities of the answers, of the adapted model and of its reference."""
    inputs = trainer.data_collator(batch)
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    keys = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    with torch.no_grad():
        policy = trainer.model(**keys, labels=labels, fused_lm_head=True).log_probs.sum(1)
    reference = torch.cat(trainer.compute_ref_log_probs(trainer.model, inputs))
    sides = lambda values: {"chosen": values[:6].tolist(), "rejected": values[6:].tolist()}
    assert (policy - reference).abs().max() > 0.5
    return {"policy": sides(policy), "reference": sides(reference)}


def main():
    torch.manual_seed(0)
    subprocess.run(["cargo", "build", "--release", "-p", "learn", "--example", "logits"], cwd=ROOT, check=True)
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([LOGITS, "make", folder], check=True)
        made, batch, unpaired = trainers(folder)
        golden = {
            "pairs": [{side.removesuffix("_ids"): tokens for side, tokens in pair.items()} for pair in batch],
            **sums(made["dpo"], batch),
            "losses": whole(made, batch, unpaired),
        }
        (DATA / "batch.json").write_text(json.dumps(golden) + "\n")
        (DATA / "formulas.json").write_text(json.dumps(formulas(made)) + "\n")


main()
