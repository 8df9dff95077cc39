"""Golden tokens by llama.cpp for every kind of tokenizer that a GGUF file can carry.

    pip install gguf tokenizers sentencepiece
    cd benches && cargo build --release --bin tokens && cd ..
    python goldens/tokens.py SmolLM2-135M-Instruct.Q4_1.gguf

SmolLM2's own vocabulary gives smollm-tokens.json. For the other kinds small vocabularies are trained
here on the station handbook; the vocabulary and the tokens go into crates/weights/tests/data.
"""

import io
import json
import pathlib
import subprocess
import sys
import tempfile

import sentencepiece
from gguf import GGUFWriter
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "crates/weights/tests/data"
TOKENS = ROOT / "benches/target/release/tokens"
TEXTS = [
    "", " ", "Hello world", "  two  spaces ", "a\n\n\n  b\r\n\tc", "It's we'll THEY'RE 'sudo", "1234567 3.14 10,000 x86_64",
    "naïve café — “quotes” … €5", "漢字かな交じり文 и кириллица", "🦀👩‍🚀 emoji", "snake_case camelCase fn main() { x += 1; }",
    "<|im_end|>\n<|im_start|>system", "<s> </s> <unk> <|endoftext|> <0x0A>", "trailing newline\n", "   \n  \n",
    "The turbine at Station Borealis turns 1800 times a minute; badge K-4471 opens door 12.",
]
CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORDS = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s|" + REST
PATTERNS = {"gpt-2": None, "llama-bpe": WORDS % r"\p{N}{1,3}", "qwen2": WORDS % r"\p{N}"}


def llama(path, texts):
    out = subprocess.run([TOKENS, path], input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def cases(path):
    return [{"text": text, "tokens": tokens} for text, tokens in zip(TEXTS, llama(path, TEXTS))]


def write(name, value):
    path = DATA / name
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")


def metadata(path, model, pre, tokens, types, merges=None, scores=None):
    writer = GGUFWriter(path, "llama")
    for key, value in [("block_count", 1), ("context_length", 8), ("embedding_length", 8), ("feed_forward_length", 8)]:
        writer.add_uint32("llama." + key, value)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_string("tokenizer.ggml.model", model)
    writer.add_string("tokenizer.ggml.pre", pre)
    writer.add_array("tokenizer.ggml.tokens", tokens)
    writer.add_array("tokenizer.ggml.token_type", types)
    if merges:
        writer.add_array("tokenizer.ggml.merges", merges)
    if scores:
        writer.add_array("tokenizer.ggml.scores", scores)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_level(corpus, pattern):
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    split = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split + [level])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=CONTROLS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return tokens, [" ".join(pair) for pair in model["merges"]]


def sentence_piece(corpus):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, vocab_size=700, model_type="bpe", byte_fallback=True,
        character_coverage=0.99, normalization_rule_name="identity", remove_extra_whitespaces=False,
        minloglevel=2,
    )
    reader = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(reader.vocab_size())
    kind = lambda i: 2 if reader.is_unknown(i) else 3 if reader.is_control(i) else 6 if reader.is_byte(i) else 1
    return reader, [reader.id_to_piece(i) for i in ids], [reader.get_score(i) for i in ids], [kind(i) for i in ids]


def main():
    write("smollm-tokens.json", cases(sys.argv[1]))
    pages = sorted((ROOT / "examples/station/handbook").glob("*"))
    corpus = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "vocab.gguf"
        for pre, pattern in PATTERNS.items():
            tokens, merges = byte_level(corpus, pattern)
            types = [3 if token in CONTROLS else 1 for token in tokens]
            metadata(path, "gpt2", pre, tokens, types, merges=merges)
            write(f"{pre}-tokens.json", {"tokens": tokens, "types": types, "merges": merges, "cases": cases(path)})
        reader, tokens, scores, types = sentence_piece(corpus)
        metadata(path, "llama", "default", tokens, types, scores=scores)
        pieces = cases(path)
        for case in pieces:
            # Google's own reading agrees, where it does not parse control tokens itself.
            own = reader.encode(case["text"])
            if "<" not in case["text"] and case["tokens"] != own:
                print("sentencepiece differs:", case["text"], own)
        write("sentencepiece-tokens.json", {"tokens": tokens, "types": types, "scores": scores, "cases": pieces})


main()
