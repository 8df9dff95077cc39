"""EleutherAI's harness, as it is, against `lyceum serve`: the same items sat by `lyceum exam` must get
the same marks, item by item.

    python3 benches/clients/harness.py target/release/lyceum --python VENV/bin/python \
        --questions OpenBookQA/test.jsonl --bank examples/station/bank.jsonl [--run RUN]

VENV needs `pip install "lm-eval[api]" transformers torch`. The tasks are local files and no network is used.
Choices go to the base model as text and as tokens; free answers go to --run, a model that has learned
the bank's documents, in its chat template (without --run to the base model, which knows nothing of
them: the texts must still be equal).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from served import lyceum

parser = argparse.ArgumentParser()
parser.add_argument("lyceum")
parser.add_argument("--python", required=True)
parser.add_argument("--questions", required=True)
parser.add_argument("--bank", required=True)
parser.add_argument("--run")
parser.add_argument("--model", default="smollm2-135m")
parser.add_argument("--items", type=int, default=100)
parser.add_argument("--port", type=int, default=9220)
a = parser.parse_args()


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def choice_items():
    """Items of a multiple-choice file whose options stand on lines of their own, `A. text`."""
    items = []
    for number, line in enumerate(lines(a.questions), 1):
        options = [re.sub(r"^\s*[A-Z]\.\s*", "", option).strip() for option in line["options"].splitlines() if option.strip()]
        answer = re.sub(r"^\s*[A-Z]\.\s*", "", line["answer"]).strip()
        if len(set(options)) == len(options) and answer in options:
            items.append({"id": f"choice/{number}", "fact": f"choice/{number}", "document": "choice", "kind": "other",
                          "question": line["question"].strip(), "answers": [answer], "choices": options})
    return items[: a.items]


def exam(folder, model, items):
    """The project's own marks."""
    bank, out = folder / "bank.jsonl", folder / "exam"
    write(bank, items)
    command = [a.lyceum, "exam", str(bank), "--model", model, "--out", str(out), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {response["item"]: response for response in lines(out / "candidate/responses.jsonl")}


def harness(folder, address, tokenizer, task, documents, settings, tokens, chat):
    """The harness's samples."""
    folder.mkdir()
    write(folder / "documents.jsonl", documents)
    head = {"task": task, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / "documents.jsonl")}},
            "test_split": "test", "num_fewshot": 0}
    # JSON is YAML.
    (folder / f"{task}.yaml").write_text(json.dumps(head | settings))
    arguments = f"base_url={address}/v1/completions,model=m,tokenizer={tokenizer},tokenizer_backend=huggingface," \
                f"tokenized_requests={tokens},num_concurrent=8,max_retries=1"
    command = [a.python, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args", arguments, "--tasks", task,
               "--include_path", str(folder), "--output_path", str(folder / "out"), "--log_samples"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache"), "OPENAI_API_KEY": "none"}
    done = subprocess.run(command + (["--apply_chat_template"] if chat else []), env=environment, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"the harness failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    samples = [sample for path in folder.glob("out/**/samples_*.jsonl") for sample in lines(path)]
    assert len(samples) == len(documents), f"{len(samples)} samples of {len(documents)} documents"
    return {sample["doc"]["id"]: sample for sample in samples}


def export(folder, model):
    subprocess.run([a.lyceum, "export", model, "--to", "hf", "--out", str(folder), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("**/tokenizer.json")).parent


failed = False


def verdict(name, exam_score, harness_score, same, n, detail):
    global failed
    failed |= not same
    print(f"{'ok    ' if same else 'FAILED'} {name}: exam {exam_score:.4f}, harness {harness_score:.4f}, n = {n}; {detail}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    items = choice_items()
    (folder / "choices").mkdir()
    own = exam(folder / "choices", a.model, items)
    documents = [{"id": i["id"], "question": i["question"], "choices": i["choices"], "gold": i["choices"].index(i["answers"][0])} for i in items]
    settings = {"output_type": "multiple_choice", "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_choice": "choices",
                "doc_to_target": "gold", "target_delimiter": " ", "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]}
    server = lyceum(a.lyceum, a.port, "--name", "m", model=a.model)
    tokenizer = export(folder / "hf", a.model)
    for tokens in (False, True):
        samples = harness(folder / f"choice-{tokens}", server.address, tokenizer, "lyceum_choice", documents, settings, tokens, False)
        apart = max(abs(float(theirs[0]) - ours) for key, sample in samples.items()
                    for theirs, ours in zip(sample["filtered_resps"], own[key]["choice_logprobs"]))
        for metric, mark in (("acc", "score"), ("acc_norm", "secondary")):
            pairs = [(own[key][mark], float(sample[metric])) for key, sample in samples.items()]
            same = all(x == y for x, y in pairs) and apart < 1e-3
            verdict(f"choices as {'tokens' if tokens else 'text'}, {metric}", sum(x for x, _ in pairs) / len(pairs),
                    sum(y for _, y in pairs) / len(pairs), same, len(pairs), f"log-probabilities differ by {apart:.1e} nats at most")
    server.close()

    model = a.run or a.model
    items = [item | {"answers": item["answers"][:1]} for item in lines(a.bank) if not item.get("choices")][: a.items]
    (folder / "answers").mkdir()
    own = exam(folder / "answers", model, items)
    documents = [{"id": item["id"], "question": item["question"], "answer": item["answers"][0]} for item in items]
    settings = {"output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "answer",
                "generation_kwargs": {"until": ["\n"], "max_gen_toks": 24, "temperature": 0},
                "metric_list": [{"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True,
                                 "regexes_to_ignore": [r"^\s+|\s+$", r"(?i)\b(?:a|an|the)\s+"]}]}
    server = lyceum(a.lyceum, a.port + 1, "--name", "m", model=model)
    samples = harness(folder / "answer", server.address, tokenizer, "lyceum_answer", documents, settings, True, True)
    server.close()
    texts = [(own[key]["text"], sample["resps"][0][0].strip()) for key, sample in samples.items()]
    marks = [(own[key]["score"], float(sample["exact_match"])) for key, sample in samples.items()]
    unlike = [pair for pair in texts if pair[0] != pair[1]]
    odd = [text for text, mark in zip(texts, marks) if mark[0] != mark[1]]
    verdict("free answers", sum(x for x, _ in marks) / len(marks), sum(y for _, y in marks) / len(marks), not unlike and not odd,
            len(marks), f"{len(texts) - len(unlike)} texts are equal; {(unlike + odd)[:3] or ''}")
sys.exit(failed)
