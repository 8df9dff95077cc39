#!/usr/bin/env python3
"""Result files of GAOKAO-Bench (Apache-2.0) -> paper.jsonl, answers.jsonl, marks.csv for `lyceum grade`.

    python3 examples/gaokao.py OUT FILE[@ATTEMPT] ...

A FILE is a JSON of Results/: choices, blanks or open-ended questions with a model's answers, and marks of a judge
(`model_correction_score`) or of two teachers (`correction_score`) where there are any. Items of several files of one subject are the same
items; ATTEMPT numbers the sittings of one model, from 0. What cannot be converted is counted on standard error.
"""

import csv, json, re, sys
from pathlib import Path

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
items, answers, marks, aside = {}, [], [], 0
for argument in sys.argv[2:]:
    file, _, attempt = argument.partition("@")
    data = json.load(open(file))
    keyword = data.get("keyword") or Path(file).stem
    kind = "choice" if "MCQ" in keyword else "blank" if "Fill" in keyword else "open"
    subject = re.sub(r"\d{4}-\d{4}_|_?(MCQs|Open-ended_Questions|Fill-in-the-Blank)", "", keyword)
    person = data.get("model_name") or re.match(r"(.*?)_?\d{4}-", Path(file).stem).group(1)
    # Some files number two items alike, so the place counts.
    for place, example in enumerate(data["example"]):
        identity, question = f"{subject}/{kind}/{place}", example["question"].strip()
        solution = example.get("standard_answer", example.get("answer"))
        item = {"id": identity, "question": question, "points": example["score"], "subject": subject}
        if kind == "choice":
            pieces = re.split(r"(?:^|\s)[A-D]\s*[.．、]\s*", question)
            right = [letter for letter in (solution[0] if len(solution) == 1 else "")]
            options = [piece.strip() for piece in pieces[1:]]
            if len(options) != 4 or not right or len(set(options)) < 4 or not all(options):
                aside += 1
                continue
            item |= {"question": pieces[0].strip(), "options": options, "kind": "single" if len(right) == 1 else "multiple"}
            item |= {"answer": right[0]} if len(right) == 1 else {"answers": right}
        elif kind == "blank":
            item |= {"kind": "blank", "answers": [solution.strip()]}
        else:
            whole = {"text": "the whole answer", "points": example["score"]}
            item |= {"kind": "open", "solution": f"{solution}\n{example.get('analysis', '')}".strip(), "steps": [whole]}
        items.setdefault(identity, item)
        if "model_output" in example:
            answers.append({"item": identity, "person": person, "attempt": int(attempt or 0), "text": example["model_output"]})
        judge = data.get("teacher_model_name", "judge")
        given = [(judge, score) for score in example.get("model_correction_score", [])[:1]]
        given += [(f"teacher {at + 1}", score) for at, score in enumerate(example.get("correction_score", []))]
        marks += [(person, identity, attempt or 0, name, score) for name, score in given if score is not None]

head = {"title": "GAOKAO-Bench", "date": "2022-06-07", "subject": "GAOKAO", "licence": "Apache-2.0"}
jsonl = lambda name, rows: (out / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
jsonl("paper.jsonl", [head, *items.values()])
jsonl("answers.jsonl", answers)
with open(out / "marks.csv", "w", newline="") as file:
    csv.writer(file).writerows([("person", "item", "attempt", "grader", "score"), *marks])
print(f"{len(items)} items, {len(answers)} answers, {len(marks)} marks; {aside} choices set aside (options not told apart)", file=sys.stderr)
