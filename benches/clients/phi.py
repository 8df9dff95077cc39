"""One set of questions searched with φ-Decoding: by `lyceum serve`, and by the client below on
llama.cpp's own server. Prints wall time, tokens and accuracy, and fails where a bar fails.

    python3 benches/clients/phi.py MODEL.gguf Q8_0.gguf --server LLAMA-SERVER --lyceum target/release/lyceum \
        --questions ASDiv/test.jsonl [--items 200] [--out phi.jsonl]

The client is a second writing of the paper's method, from the paper and not from our code, so that
equal accuracy and equal tokens also say that both do the same thing. The server gets what serves it
best: a slot a path, one shared cache, prompts as tokens so that its cache finds them, and `n_cmpl`
where several steps continue one path. Needs numpy. Answers are kept in --out, so a second call goes
on where the first ended; questions take turns between the engines, and each is asked one at a time.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import re
import sys
import time

import numpy
from served import Server, lyceum

BEAMS, ROLLOUTS, CLUSTERS, STOP, TMIN, TMAX = 4, 4, 3, 0.7, 4, 8
TAU, REFILL = 0.6, 0.1
STEP, AHEAD, FINAL = 0.6, 1.0, 1.0


class Piece:
    """What a request drew: tokens, text, sum of log-probabilities and how it ended."""

    def __init__(self, answer):
        self.tokens = list(answer["tokens"])
        probabilities = answer.get("completion_probabilities", [])
        self.end = answer["stop_type"]
        if self.end == "eos":
            self.tokens.pop()
            probabilities = probabilities[: len(self.tokens)]
        # The server does not tell the probability of the token that completes a stop string.
        self.sum, self.known = sum(p["logprob"] for p in probabilities), len(probabilities)
        self.text = answer["content"] + answer["stopping_word"]

    @property
    def mean(self):
        return self.sum / self.known if self.known else 0.0


class Peer:
    """φ over the peer's server."""

    def __init__(self, server, pool, together):
        self.server, self.pool, self.together = server, pool, together
        self.decoded = 0

    def draw(self, prompt, count, temperature, limit, seed, stop):
        """`count` pieces after the same tokens."""
        body = {
            "prompt": prompt,
            "n_predict": limit,
            "seed": seed,
            "temperature": temperature,
            "samplers": ["temperature"],
            "stop": stop,
            "n_probs": 1,
            "return_tokens": True,
            "cache_prompt": True,
            "response_fields": ["content", "tokens", "completion_probabilities", "stop_type", "stopping_word", "index"],
        }
        if self.together:
            answers = self.server.post("/completion", body | {"n_cmpl": count})
            answers = [answers] if isinstance(answers, dict) else answers
        else:
            bodies = [body | {"seed": seed + 1000 * i} for i in range(count)]
            answers = list(self.pool.map(lambda b: self.server.post("/completion", b), bodies))
        pieces = [Piece(answer) for answer in answers]
        self.decoded += sum(len(piece.tokens) for piece in pieces)
        return pieces

    def search(self, question, seed, limit):
        """The text of the answer. `limit` bounds a path's tokens."""
        prompt = self.server.post("/apply-template", {"messages": [{"role": "user", "content": question}]})["prompt"]
        prompt = self.server.post("/tokenize", {"content": prompt, "parse_special": True, "add_special": True})["tokens"]
        generator = numpy.random.default_rng(seed)
        self.decoded = 0
        drawn = iter(range(seed * 100_000, (seed + 1) * 100_000))

        def steps(beam, count):
            """Single steps: lines that show something."""
            room = limit - len(beam["tokens"])
            pieces = self.draw(prompt + beam["tokens"], count, STEP, room, next(drawn), ["\n"])
            return [step(beam, piece) for piece in pieces]

        def step(beam, piece):
            while piece.end == "word" and not piece.text.strip():
                room = limit - len(beam["tokens"]) - len(piece.tokens)
                if room <= 0:
                    break
                more = self.draw(prompt + beam["tokens"] + piece.tokens, 1, STEP, room, next(drawn), ["\n"])[0]
                more.tokens, more.text = piece.tokens + more.tokens, piece.text + more.text
                more.sum, more.known = piece.sum + more.sum, piece.known + more.known
                piece = more
            tokens = beam["tokens"] + piece.tokens
            whole = piece.end != "word" or len(tokens) >= limit
            return {"tokens": tokens, "text": beam["text"] + piece.text, "own": piece.text, "s": piece.mean,
                    "done": whole, "before": beam["F"]}

        def ahead(candidates, temperature):
            """F and the text that is clustered, for each."""
            def look(candidate):
                if not candidate["done"]:
                    room = limit - len(candidate["tokens"])
                    candidate["piece"] = self.draw(prompt + candidate["tokens"], 1, temperature, room, next(drawn), [])[0]
            list(self.pool.map(look, candidates))
            for candidate in candidates:
                candidate["F"] = candidate["s"] if candidate["done"] else candidate["piece"].mean
                candidate["seen"] = candidate["own"] if candidate["done"] else candidate["piece"].text

        beams = [{"tokens": [], "text": "", "F": 0.0, "done": False}]
        for t in range(1, TMAX + 1):
            counts = [BEAMS * ROLLOUTS] if t == 1 else [ROLLOUTS] * len(beams)
            # A finished path draws nothing more; it stands as it is, and got neither better nor worse.
            asked = self.pool.map(lambda pair: [pair[0] | {"before": pair[0]["F"]}] if pair[0]["done"] else steps(*pair), zip(beams, counts))
            candidates = [candidate for group in asked for candidate in group]
            s = numpy.array([candidate["s"] for candidate in candidates])
            kept = [i for i in range(len(s)) if s[i] >= s.mean() - s.std() - 1e-12]
            pruned = [i for i in range(len(s)) if i not in kept]
            while len(kept) < BEAMS and pruned:
                kept.append(pruned.pop(generator.choice(len(pruned), p=softmax(s[pruned] / REFILL))))
            candidates = [candidates[i] for i in sorted(kept)]
            ahead(candidates, AHEAD)
            values, largest = weigh(candidates, generator)
            beams = [candidates[i] for i in pick(values, BEAMS, generator)]
            if all(beam["done"] for beam in beams) or (t >= TMIN and largest >= STOP):
                break
        for beam in beams:
            beam["before"] = beam["F"]
        ahead(beams, FINAL)
        best = beams[int(numpy.argmax(weigh(beams, generator)[0]))]
        return best["text"] if best["done"] else best["text"] + best["piece"].text


def softmax(values):
    weights = numpy.exp(values - values.max())
    return weights / weights.sum()


def pick(values, count, generator):
    """Places drawn in proportion to their values, none twice."""
    count = min(count, len(values))
    return list(generator.choice(len(values), size=count, replace=False, p=values / values.sum()))


def weigh(candidates, generator):
    """Step values ½ softmax(A/τ) + ½ softmax(C/τ), and the share of the largest cluster."""
    advantage = numpy.array([candidate["F"] - candidate["before"] for candidate in candidates])
    labels = cluster([candidate["seen"] for candidate in candidates], generator)
    alignment = numpy.array([(labels == label).mean() for label in labels])
    return (softmax(advantage / TAU) + softmax(alignment / TAU)) / 2, alignment.max()


def cluster(texts, generator):
    """K-means over TF-IDF vectors; equal texts share a cluster, few texts stand alone."""
    different = sorted(set(texts))
    if len(different) <= CLUSTERS:
        return numpy.array([different.index(text) for text in texts])
    words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    vocabulary = {word: i for i, word in enumerate(sorted({word for line in words for word in line}))}
    counts = numpy.zeros((len(texts), max(1, len(vocabulary))))
    for row, line in zip(counts, words):
        for word in line:
            row[vocabulary[word]] += 1
    vectors = counts * (numpy.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1)
    vectors /= numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centres = vectors[[generator.integers(len(texts))]]
    while len(centres) < CLUSTERS:
        far = ((vectors[:, None] - centres) ** 2).sum(2).min(1)
        if far.sum() <= 1e-12:
            break
        centres = numpy.vstack([centres, vectors[generator.choice(len(texts), p=far / far.sum())]])
    labels = None
    for _ in range(100):
        new = ((vectors[:, None] - centres) ** 2).sum(2).argmin(1)
        if labels is not None and (new == labels).all():
            break
        labels = new
        centres = numpy.array([vectors[labels == k].mean(0) if (labels == k).any() else centre for k, centre in enumerate(centres)])
    return labels


def last_number(text):
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return float(found[-1].replace(",", "")) if found else None


def questions(path, count):
    """Questions with one number as their answer, in the file's order, every so many."""
    items = []
    for line in pathlib.Path(path).read_text().splitlines():
        item = json.loads(line)
        # The answer is a number and, maybe, its unit.
        if re.fullmatch(r"\d+(\.\d+)?( [^\d]*)?", item["answer"].strip()):
            items.append((f"{item['passage'].strip()} {item['question'].strip()}", last_number(item["answer"])))
    step = max(1, len(items) // count)
    return items[::step][:count]


def interval(differences):
    """Mean and half of its 95 % interval."""
    values = numpy.array(differences, dtype=float)
    return values.mean(), 1.96 * values.std(ddof=1) / math.sqrt(len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", help="GGUF files; the first is also ours")
    parser.add_argument("--server", required=True)
    parser.add_argument("--lyceum", required=True)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--limit", type=int, default=128, help="tokens of a path")
    parser.add_argument("--single", action="store_true", help="one request a step instead of n_cmpl")
    parser.add_argument("--skip-first", type=int, default=0)
    parser.add_argument("--out", default="phi.jsonl")
    parser.add_argument("--bar", type=float, default=8.0)
    parser.add_argument("--port", type=int, default=9110)
    a = parser.parse_args()

    items = questions(a.questions, a.items)
    out = pathlib.Path(a.out)
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    have = {(row["engine"], row["item"]) for row in done}
    names = ["lyceum"] + [pathlib.Path(model).stem.split(".")[-1].split("-")[-1] for model in a.models]
    missing = [i for i in range(a.skip_first, len(items)) if any((name, i) not in have for name in names)]
    if missing:
        ours = lyceum(a.lyceum, a.port, "--name", "m", "--threads", "2", model=a.models[0])
        slots = str(BEAMS * ROLLOUTS)
        pool = concurrent.futures.ThreadPoolExecutor(BEAMS * ROLLOUTS * (1 + BEAMS))
        peers = []
        for place, model in enumerate(a.models):
            command = [a.server, "-m", model, "--port", str(a.port + 1 + place), "-np", slots, "-c", "16384", "-kvu", "-t", "2"]
            peers.append(Peer(Server(command, "/health"), pool, not a.single))

        def mine(question, seed):
            body = {"model": "m", "messages": [{"role": "user", "content": question}], "strategy": "phi",
                    "search": True, "max_tokens": a.limit, "seed": seed}
            answer = ours.post("/v1/chat/completions", body)
            return answer["choices"][0]["message"]["content"], answer["search"]["cost"]["decode"]

        def peer(which):
            def run(question, seed):
                text = peers[which].search(question, seed, a.limit)
                return text, peers[which].decoded
            return run

        engines = [mine] + [peer(which) for which in range(len(peers))]
        with out.open("a") as file:
            for i in missing:
                for name, engine in zip(names, engines):
                    if (name, i) in have:
                        continue
                    start = time.perf_counter()
                    text, tokens = engine(items[i][0], i)
                    seconds = time.perf_counter() - start
                    answer = last_number(text)
                    right = answer is not None and abs(answer - items[i][1]) < 1e-6
                    row = {"engine": name, "item": i, "seconds": seconds, "tokens": tokens, "right": right, "text": text}
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                    done.append(row)
        for server in [ours] + [peer.server for peer in peers]:
            server.close()

    rows = {name: {row["item"]: row for row in done if row["engine"] == name} for name in names}
    failed = False
    for name in names[1:]:
        both = sorted(set(rows["lyceum"]) & set(rows[name]))
        pairs = [(rows["lyceum"][i], rows[name][i]) for i in both]
        ratios = numpy.array([theirs["seconds"] / mine["seconds"] for mine, theirs in pairs])
        rank = 1.96 * math.sqrt(len(ratios)) / 2
        ordered = numpy.sort(ratios)
        low = ordered[max(0, int(len(ratios) / 2 - rank))]
        high = ordered[min(len(ratios) - 1, int(len(ratios) / 2 + rank))]
        whole = sum(theirs["seconds"] for _, theirs in pairs) / sum(mine["seconds"] for mine, _ in pairs)
        print(f"{name}: {len(pairs)} questions; wall time {whole:.2f}x over the set, median {numpy.median(ratios):.2f}x [{low:.2f}, {high:.2f}]")
        right, half = interval([mine["right"] - theirs["right"] for mine, theirs in pairs])
        print(f"  right: ours {numpy.mean([m['right'] for m, _ in pairs]):.1%}, theirs {numpy.mean([t['right'] for _, t in pairs]):.1%}, difference {right:+.1%} ± {half:.1%}")
        tokens, span = interval([mine["tokens"] - theirs["tokens"] for mine, theirs in pairs])
        print(f"  tokens: ours {numpy.mean([m['tokens'] for m, _ in pairs]):.0f}, theirs {numpy.mean([t['tokens'] for _, t in pairs]):.0f}, difference {tokens:+.0f} ± {span:.0f}")
        rate = [sum(row["tokens"] for row in pair) / sum(row["seconds"] for row in pair) for pair in zip(*pairs)]
        print(f"  decoded tokens a second: ours {rate[0]:.0f}, theirs {rate[1]:.0f}")
        same = abs(right) <= half and abs(tokens) <= span
        failed |= whole < a.bar or not same
        print(f"  bars: time {'holds' if whole >= a.bar else 'FAILS'} (>= {a.bar}x), same distribution {'holds' if same else 'FAILS'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
