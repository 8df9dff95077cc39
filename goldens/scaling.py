"""Makes crates/scaling/tests/data/scaling.csv, and the table of tasks beside it, from the published
results of "Language models scale reliably with over-training and on downstream tasks" (Gadre et al.,
https://github.com/mlfoundations/scaling, MIT; the paper is arXiv 2403.08540).

    python3 goldens/scaling.py FOLDER     # a folder with models/, evals/, eval_metadata.csv, LICENSE.txt

Needs nothing but Python. One row a model: the training distribution, the name of the architecture, N
(parameters, embeddings included), D (training tokens), the multiplier, eight validation losses, then
the accuracies of 46 tasks. Losses are kept to 8 digits, accuracies to 6.
"""

import csv
import json
import pathlib
import shutil
import sys

# The validation sets, in the order of the published files.
LOSSES = ["openlm", "c4_val", "paloma_c4", "paloma_programming", "paloma_refinedweb", "paloma_ptb",
          "paloma_redpajama", "german"]
MARKS = ["openlm", "c4_val", "paloma_c4_en", "100_programing", "falcon-refinedweb", "paloma_ptb",
         "paloma_redpajama", "de-en"]

source = pathlib.Path(sys.argv[1])
target = pathlib.Path(__file__).resolve().parent.parent / "crates/scaling/tests/data"
target.mkdir(parents=True, exist_ok=True)
rows, tasks = [], None
for path in sorted((source / "models").glob("*.json")):
    model = json.loads(path.read_text())
    scores = json.loads((source / "evals" / f"evaluation_{path.stem}_heavy.json").read_text())["eval_metrics"]["icl"]
    tasks = tasks or list(scores)
    assert list(scores) == tasks and len(tasks) == 46, path
    losses = {mark: [r["loss"] for r in model["results"] if mark in r["val_data"][0]] for mark in MARKS}
    assert all(len(found) == 1 for found in losses.values()), path
    h = model["hyperparameters"]
    data = model["dataset_name"].removesuffix("_original")
    rows.append([data, pathlib.Path(h["model"]).stem.replace(",", ";"), h["params"], h["tokens"],
                 f"{float(h['chinchilla_multiplier']):g}"]
                + [f"{losses[mark][0]:.8g}" for mark in MARKS] + [f"{scores[task]:.6g}" for task in tasks])
assert len(rows) == 104
rows.sort(key=lambda row: (row[0], row[2], row[3]))
with open(target / "scaling.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["data", "model", "n", "d", "multiplier"] + [f"loss:{name}" for name in LOSSES] + tasks)
    writer.writerows(rows)
known = {row["Eval Task"]: row for row in csv.DictReader(open(source / "eval_metadata.csv"))}
with open(target / "tasks.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["task", "items", "chance"])
    for task in tasks:
        row = known.get(task)
        writer.writerow([task, row["#datapoints"] if row else "", float(row["Random baseline"]) / 100 if row else ""])
shutil.copyfile(source / "LICENSE.txt", target / "LICENSE")
