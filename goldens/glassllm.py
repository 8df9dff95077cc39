"""Golden vectors of glassllm: its own NumPy forward in double precision, and its own tokenizer.

    pip install numpy && pip download --no-deps glassllm==0.1.0, unpack it, then
    python goldens/glassllm.py FOLDER_WITH_THE_PACKAGE

Writes crates/lm-local/tests/data/glassllm-logits.json and crates/weights/tests/data/glassllm-tokens.json.
"""

import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import numpy as np
from glassllm.autograd import no_grad
from glassllm.model import GlassLM
from glassllm.tokenizer import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = pathlib.Path(sys.argv[1]) / "glassllm" / "weights"
TEXT = (
    "The Queen looked at the door for some time, and then she said to Alice, “I think it is very late; "
    "you had better go home before the King finds that the cat has eaten all of his tarts again.”\n"
    "“But I have not seen the cat,” said Alice."
)
TEXTS = [
    TEXT, "", " ", "a", "   three  spaces   ", "\n\n\nlines\n", "Café 42% <eos> <unk>", "e\u0301 is é in NFC",
    "▁ already", "unknown: 漢字 🦀", "don’t—stop! (it’s * only - 7,000)",
]


def rounded(array):
    return [[float(f"{x:.6f}") for x in row] for row in array]


def main():
    tokenizer = Tokenizer.load(WEIGHTS / "en.tokenizer.json")
    model = GlassLM.load(WEIGHTS / "en.npz", dtype=np.float64)
    tokens = tokenizer.encode(TEXT)
    assert len(tokens) <= model.cfg.max_len and tokenizer.unk_id not in tokens
    with no_grad():
        logits = model.forward(tokens).data[0]
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    columns = list(range(0, logits.shape[1], 16))
    out = {
        "text": TEXT,
        "tokens": tokens,
        "columns": columns,
        "logits": rounded(logits[:, columns]),
        "argmax": [int(i) for i in logits.argmax(axis=1)],
        "next_logprobs": [float(f"{logprobs[i, t]:.6f}") for i, t in enumerate(tokens[1:])],
    }
    write(ROOT / "crates/lm-local/tests/data/glassllm-logits.json", out)
    cases = [{"text": text, "tokens": tokenizer.encode(text)} for text in TEXTS]
    write(ROOT / "crates/weights/tests/data/glassllm-tokens.json", cases)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")


main()
