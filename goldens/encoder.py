"""Vectors of a sentence encoder by PyTorch: BERT's last states, their mean, length 1.

Needs torch, transformers, safetensors; no network. From the root:
python3 goldens/encoder.py FOLDER > crates/encode/tests/data/minilm-vectors.json
where FOLDER holds config.json, model.safetensors and tokenizer.json of all-MiniLM-L6-v2.
The computation is in double precision, so that the tolerance is ours alone.
"""
import json
import sys

import torch
from tokenizers import Tokenizer
from transformers import BertModel

FOLDER = sys.argv[1]
TEXTS = [
    "The pump is sealed with grease.",
    "Which grease seals the pump?",
    "",
    "a",
    "Ünïcode café, 東京, привет 🙂 — naïve\tTABS\nand lines",
    "Add 3 to 4. The sum is 7.\nAnswer: 7",
    "fn main() { println!(\"{}\", 1 + 1); }",
    " ".join(f"Sentence {i} says that lamp {i * i} hangs in hall {i % 7}." for i in range(80)),
]

tokenizer = Tokenizer.from_file(f"{FOLDER}/tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(256)
model = BertModel.from_pretrained(FOLDER, dtype=torch.float64, attn_implementation="eager").eval()
items = []
for text in TEXTS:
    ids = tokenizer.encode(text).ids
    with torch.no_grad():
        vector = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
    vector = vector / vector.norm()
    items.append({"text": text, "tokens": len(ids), "vector": [round(x, 8) for x in vector.tolist()]})
json.dump(items, sys.stdout, ensure_ascii=False)
