#!/usr/bin/env python3
"""Check the Skerrivane example set: handbook, personal data list and exam bank.

Run it from anywhere: python3 check.py. It prints one line for each fault, as
file:line: what is wrong, then one closing line of counts, and ends with 1 if
there was a fault. It needs only the standard library.
"""

import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent
BOOK = ROOT / "handbook"

CHAPTERS = (14, 18)
WORDS = (14_000, 18_500)
MIN_SPANS = 150
MIN_PERSONS = 25
MIN_ITEMS = 170
MIN_ITEMS_PER_CHAPTER = 8
NGRAM = 8
MAX_ANSWER_WORDS = 5

SPAN_FIELDS = {"document", "kind", "text", "person"}
SPAN_KINDS = {"person", "phone", "email", "badge", "birthdate", "medical", "address"}
ITEM_FIELDS = {"id", "fact", "document", "kind", "question", "answers", "sentence"}
ITEM_KINDS = {"number", "name", "date", "code", "setting", "term", "place", "other"}

# What looks like personal data wherever it stands, and the few contacts that
# belong to no single person.
PATTERNS = {
    "phone": re.compile(r"\+999(?: \d{4}){2}"),
    "email": re.compile(r"[a-z0-9.]+@[a-z-]+\.example"),
    "badge": re.compile(r"SKV-\d{4}-[A-Z]"),
    "medical": re.compile(r"MR-\d{2}-\d{4}"),
}
SHARED = {"+999 0471 0100", "+999 0471 0911", "data@skerrivane.example"}

faults = 0


def fault(path, line, message):
    global faults
    faults += 1
    print(f"{path.relative_to(ROOT)}:{line}: {message}")


def collapse(text):
    return " ".join(text.split())


def tokens(text):
    return re.findall(r"[^\W_]+(?:['’.,:-][^\W_]+)*", text.lower())


def count_words(text):
    return sum(1 for w in re.findall(r"[^\s|]+", text) if re.search(r"\w", w))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def read_jsonl(path, fields):
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        fault(path, 1, f"cannot be read: {error}")
        return rows
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            fault(path, number, f"not JSON: {error}")
            continue
        if not isinstance(row, dict) or set(row) != fields:
            fault(path, number, f"fields must be exactly {sorted(fields)}")
            continue
        empty = [k for k, v in row.items() if not v or (isinstance(v, str) and v != v.strip())]
        if empty:
            fault(path, number, f"empty or padded fields: {empty}")
            continue
        rows.append((number, row))
    return rows


def read_book():
    docs = {}
    for expected, path in enumerate(sorted(BOOK.glob("*.md")), 1):
        text = path.read_text(encoding="utf-8")
        docs[f"handbook/{path.name}"] = text
        if not re.fullmatch(rf"{expected:02d}-[a-z-]+\.md", path.name):
            fault(path, 1, f"file name should start with {expected:02d}-")
        if not text.startswith("# "):
            fault(path, 1, "no chapter heading")
        if len(re.findall(r"^# ", text, re.M)) != 1:
            fault(path, 1, "more than one chapter heading")
        if not re.search(r"^## ", text, re.M):
            fault(path, 1, "no section heading")
        width = None
        for number, line in enumerate(text.split("\n"), 1):
            if not line.startswith("|"):
                width = None
                continue
            if width is not None and line.count("|") != width:
                fault(path, number, "table row with a wrong number of cells")
            width = line.count("|")
    if not CHAPTERS[0] <= len(docs) <= CHAPTERS[1]:
        fault(BOOK, 1, f"{len(docs)} chapters, wanted {CHAPTERS[0]} to {CHAPTERS[1]}")
    words = sum(count_words(text) for text in docs.values())
    if not WORDS[0] <= words <= WORDS[1]:
        fault(BOOK, 1, f"{words} words, wanted {WORDS[0]} to {WORDS[1]}")
    return docs, words


def check_personal(docs):
    path = ROOT / "personal.jsonl"
    rows = read_jsonl(path, SPAN_FIELDS)
    seen, listed, persons = {}, collections.defaultdict(set), set()
    for number, row in rows:
        key = tuple(row[k] for k in ("document", "kind", "text", "person"))
        if key in seen:
            fault(path, number, f"same span as line {seen[key]}")
        seen[key] = number
        if row["kind"] not in SPAN_KINDS:
            fault(path, number, f"unknown kind {row['kind']!r}")
        if row["document"] not in docs:
            fault(path, number, f"no such document {row['document']!r}")
        elif row["text"] not in docs[row["document"]]:
            fault(path, number, f"{row['text']!r} is not in {row['document']}")
        if row["kind"] == "person":
            persons.add(row["text"])
        listed[row["document"]].add(row["text"])
    for number, row in rows:
        if row["person"] not in persons:
            fault(path, number, f"{row['person']!r} has no span of kind person")
    for name, text in docs.items():
        for kind, pattern in PATTERNS.items():
            for match in pattern.finditer(text):
                if match.group() not in listed[name] | SHARED:
                    fault(ROOT / name, line_of(text, match.start()), f"{kind} {match.group()!r} is not listed in personal.jsonl")
        for person in persons:
            at = text.find(person)
            if at >= 0 and person not in listed[name]:
                fault(ROOT / name, line_of(text, at), f"person {person!r} is not listed in personal.jsonl")
    if len(rows) < MIN_SPANS:
        fault(path, len(rows), f"{len(rows)} spans, wanted {MIN_SPANS}")
    if len(persons) < MIN_PERSONS:
        fault(path, len(rows), f"{len(persons)} persons, wanted {MIN_PERSONS}")
    return rows, persons


def check_bank(docs):
    path = ROOT / "bank.jsonl"
    rows = read_jsonl(path, ITEM_FIELDS)
    flat = {name: collapse(text) for name, text in docs.items()}
    grams = set()
    for text in docs.values():
        words = tokens(text)
        grams.update(tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1))
    seen = {"id": {}, "fact": {}, "question": {}}
    per_chapter = collections.Counter()
    for number, row in rows:
        for field, known in seen.items():
            value = " ".join(tokens(row[field])) if field == "question" else row[field]
            if value in known:
                fault(path, number, f"same {field} as line {known[value]}")
            known[value] = number
        if not re.fullmatch(r"station-\d{4}", row["id"]):
            fault(path, number, f"malformed id {row['id']!r}")
        if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*", row["fact"]):
            fault(path, number, f"malformed fact {row['fact']!r}")
        if row["kind"] not in ITEM_KINDS:
            fault(path, number, f"unknown kind {row['kind']!r}")
        answers = row["answers"]
        if not isinstance(answers, list) or not all(isinstance(a, str) and a.strip() == a != "" for a in answers):
            fault(path, number, "answers must be a list of strings")
            continue
        if len({a.lower() for a in answers}) != len(answers):
            fault(path, number, "an answer is given twice")
        if len(answers[0].split()) > MAX_ANSWER_WORDS:
            fault(path, number, f"answer of more than {MAX_ANSWER_WORDS} words")
        if answers[0].lower() not in row["sentence"].lower():
            fault(path, number, f"answer {answers[0]!r} is not in the sentence")
        if f" {' '.join(tokens(answers[0]))} " in f" {' '.join(tokens(row['question']))} ":
            fault(path, number, "the question gives its answer away")
        if row["document"] not in docs:
            fault(path, number, f"no such document {row['document']!r}")
            continue
        per_chapter[row["document"]] += 1
        if row["sentence"].startswith("|"):
            if row["sentence"] not in docs[row["document"]].split("\n"):
                fault(path, number, f"the row is not in {row['document']}")
        elif collapse(row["sentence"]) not in flat[row["document"]]:
            fault(path, number, f"the sentence is not in {row['document']}")
        words = tokens(row["question"])
        for i in range(len(words) - NGRAM + 1):
            if tuple(words[i : i + NGRAM]) in grams:
                fault(path, number, f"{NGRAM} words in a row as in the handbook: {' '.join(words[i : i + NGRAM])!r}")
                break
        if not row["question"].endswith(("?", ".")):
            fault(path, number, "the question has no closing mark")
    for name in docs:
        if per_chapter[name] < MIN_ITEMS_PER_CHAPTER:
            fault(path, len(rows), f"{per_chapter[name]} questions on {name}, wanted {MIN_ITEMS_PER_CHAPTER}")
    if len(rows) < MIN_ITEMS:
        fault(path, len(rows), f"{len(rows)} questions, wanted {MIN_ITEMS}")
    return rows


def main():
    docs, words = read_book()
    spans, persons = check_personal(docs)
    items = check_bank(docs)
    values = {row["text"] for _, row in spans}
    personal = sum(1 for _, row in items if any(a in values for a in row["answers"]))
    print(
        f"{len(docs)} chapters, {words} words, {len(items)} questions "
        f"({personal} on personal data), {len(spans)} spans of {len(persons)} persons, {faults} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
