"""One set of questions searched with φ-Decoding: by `lyceum serve`, and by the client below on
llama.cpp's own server. Prints wall time, tokens and accuracy, and fails where a bar fails.

    python3 benches/clients/phi.py MODEL.gguf Q8_0.gguf MODEL.gguf --server LLAMA-SERVER --lyceum target/release/lyceum \
        --questions ASDiv/test.jsonl [--items 200] [--out phi.jsonl]

The client is a second writing of the paper's method, from the paper and not from our code, so that
equal accuracy and equal tokens also say that both do the same thing. The server gets what serves it
best: a slot a path, one shared cache, prompts as tokens so that its cache finds them, and `n_cmpl`
where several steps continue one path, if that is faster. The first questions are asked one at a time, in
turn between the engines, and timed; the others, several at once, are for accuracy and tokens. Needs numpy.
Answers are kept in --out, so a second call goes on where the first ended.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import re
import sys
import threading
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
        """Mean log-probability; none where nothing came but the end."""
        return self.sum / self.known if self.known else None


class Peer:
    """One φ search over the peer's server."""

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
                    "s_before": beam["s"], "done": whole, "before": beam["F"]}

        def ahead(candidates, temperature):
            """F and the text that is clustered, for each."""
            def look(candidate):
                if not candidate["done"]:
                    room = limit - len(candidate["tokens"])
                    candidate["piece"] = self.draw(prompt + candidate["tokens"], 1, temperature, room, next(drawn), [])[0]
            list(self.pool.map(look, candidates))
            for candidate in candidates:
                if not candidate["done"] and candidate["piece"].mean is None:
                    candidate["done"] = True  # nothing more comes
                candidate["F"] = candidate["s"] if candidate["done"] else candidate["piece"].mean
                candidate["seen"] = candidate["own"] if candidate["done"] else candidate["piece"].text

        open_, ended = [{"tokens": [], "text": "", "F": 0.0, "s": None, "done": False}], []
        for t in range(1, TMAX + 1):
            # A path that was kept and has ended keeps its place and draws nothing more.
            places = BEAMS - len(ended)
            counts = [BEAMS * ROLLOUTS] if t == 1 else [ROLLOUTS] * len(open_)
            candidates = [candidate for group in self.pool.map(steps, open_, counts) for candidate in group]
            lowest = min((c["s"] for c in candidates if c["s"] is not None), default=0.0)
            for candidate in candidates:
                if candidate["s"] is None:
                    candidate["s"] = lowest if candidate["s_before"] is None else candidate["s_before"]
            s = numpy.array([candidate["s"] for candidate in candidates])
            kept = [i for i in range(len(s)) if s[i] >= s.mean() - s.std() - 1e-12]
            pruned = [i for i in range(len(s)) if i not in kept]
            while len(kept) < places and pruned:
                kept.append(pruned.pop(generator.choice(len(pruned), p=softmax(s[pruned] / REFILL))))
            candidates = [candidates[i] for i in sorted(kept)]
            ahead(candidates, AHEAD)
            values, largest = weigh(candidates, generator)
            chosen = [candidates[i] for i in pick(values, places, generator)]
            ended += [candidate for candidate in chosen if candidate["done"]]
            open_ = [candidate for candidate in chosen if not candidate["done"]]
            if not open_ or (t >= TMIN and largest >= STOP):
                break
        for beam in open_:
            beam["before"] = beam["F"]
        ahead(open_, FINAL)
        beams = ended + open_
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


def peer_server(binary, model, port, slots, threads):
    """The peer with a slot a path and one cache for all."""
    command = [binary, "-m", model, "--port", str(port), "-np", str(slots), "-c", str(slots * 512), "-kvu", "-t", str(threads)]
    return Server(command, "/health")


def report(name, ours, theirs, bar):
    """Prints the comparison of two engines' rows; whether all bars hold."""
    pairs = [(ours[i], theirs[i]) for i in sorted(set(ours) & set(theirs))]
    timed = [(m, t) for m, t in pairs if m["alone"] and t["alone"]]
    holds = True
    if timed:
        ratios = numpy.sort([t["seconds"] / m["seconds"] for m, t in timed])
        reach = 1.96 * math.sqrt(len(ratios)) / 2
        low, high = ratios[max(0, int(len(ratios) / 2 - reach))], ratios[min(len(ratios) - 1, int(len(ratios) / 2 + reach))]
        sums = [sum(row[key] for row in rows) for rows in zip(*timed) for key in ("seconds", "tokens")]
        whole, a_token = sums[2] / sums[0], (sums[2] / sums[3]) / (sums[0] / sums[1])
        holds &= whole >= bar
        print(f"{name}: {len(timed)} questions, one at a time: {sums[0]:.1f} s and {sums[2]:.1f} s, {whole:.2f}x (bar {bar}x: {'holds' if whole >= bar else 'FAILS'}); "
              f"a question {numpy.median(ratios):.2f}x [{low:.2f}, {high:.2f}] in the median; a token {a_token:.2f}x; "
              f"{sums[1] / sums[0]:.0f} and {sums[3] / sums[2]:.0f} tok/s")
    for key, unit, scale in (("right", "% right", 100), ("tokens", "tokens", 1)):
        mine, other = (scale * numpy.array([pair[k][key] for pair in pairs], dtype=float) for k in (0, 1))
        difference = mine - other
        half = 1.96 * difference.std(ddof=1) / math.sqrt(len(pairs))
        within = abs(difference.mean()) <= half
        holds &= within
        print(f"{name}: {len(pairs)} questions: {mine.mean():.1f} and {other.mean():.1f} {unit}, difference {difference.mean():+.1f} ± {half:.1f} "
              f"({'within' if within else 'OUTSIDE'} its 95 % interval)")
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", help="GGUF file that we run")
    parser.add_argument("peers", nargs="+", help="GGUF files for llama-server; the first answers all questions")
    parser.add_argument("--server", required=True)
    parser.add_argument("--lyceum", required=True)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--timed", type=int, default=20, help="the first so many are asked one at a time and timed")
    parser.add_argument("--at-once", type=int, default=4, help="so many of the others are asked at once")
    parser.add_argument("--threads", type=int, default=2, help="of each engine; 1 stands a busy machine, where nothing is to be timed (--timed 0)")
    parser.add_argument("--limit", type=int, default=128, help="tokens of a path")
    parser.add_argument("--out", default="phi.jsonl")
    parser.add_argument("--report", action="store_true", help="ask nothing, compare the answers in --out")
    parser.add_argument("--bar", type=float, default=8.0)
    parser.add_argument("--port", type=int, default=9110)
    a = parser.parse_args()

    items = questions(a.questions, a.items)
    out = pathlib.Path(a.out)
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    names = [re.search(r"([^.-]+)\.gguf$", model)[1] for model in a.peers]
    pool = concurrent.futures.ThreadPoolExecutor(BEAMS * ROLLOUTS * 5 * a.at_once)
    lock = threading.Lock()

    def mine(server, question, seed):
        body = {"model": "m", "messages": [{"role": "user", "content": question}], "strategy": "phi",
                "search": True, "max_tokens": a.limit, "seed": seed}
        answer = server.post("/v1/chat/completions", body)
        return answer["choices"][0]["message"]["content"], answer["search"]["cost"]["decode"]

    def theirs(server, together, question, seed):
        search = Peer(server, pool, together)
        text = search.search(question, seed, a.limit)
        return text, search.decoded

    def answer(name, engine, i, alone):
        start = time.perf_counter()
        text, tokens = engine(items[i][0], i)
        seconds = time.perf_counter() - start
        number = last_number(text)
        right = number is not None and abs(number - items[i][1]) < 1e-6
        row = {"engine": name, "item": i, "alone": alone, "seconds": seconds, "tokens": tokens, "right": right, "text": text}
        with lock, out.open("a") as file:
            file.write(json.dumps(row) + "\n")
            done.append(row)

    def missing(name, first, last):
        have = {row["item"] for row in done if row["engine"] == name}
        return [i for i in range(first, last) if i not in have]

    def run(alone, first, last, peers):
        slots = BEAMS * ROLLOUTS * (1 if alone else a.at_once)
        if not any(missing(name, first, last) for name in ["lyceum"] + names[: len(peers)]):
            return
        ours = lyceum(a.lyceum, a.port, "--name", "m", "--threads", str(a.threads), model=a.model)
        servers = [peer_server(a.server, model, a.port + 1 + k, slots, a.threads) for k, model in enumerate(peers)]
        engines = {"lyceum": lambda question, seed: mine(ours, question, seed)}
        for name, server in zip(names, servers):
            # Several steps of one path: one request for all or one for each, whichever is faster here.
            seconds = {}
            for together in (True, False, True, False):
                start = time.perf_counter()
                text, tokens = theirs(server, together, items[-1][0], 10**6 + len(seconds))
                seconds[together] = (time.perf_counter() - start) / tokens
            together = seconds[True] < seconds[False]
            print(f"{name}: {'n_cmpl' if together else 'single requests'} ({1 / seconds[True]:.0f} and {1 / seconds[False]:.0f} tok/s)", flush=True)
            engines[name] = lambda question, seed, server=server, together=together: theirs(server, together, question, seed)
        mine(ours, items[-1][0], 10**6)
        if alone:
            for i in range(first, last):
                for name, engine in engines.items():
                    if i in missing(name, first, last):
                        answer(name, engine, i, True)
        else:
            with concurrent.futures.ThreadPoolExecutor(a.at_once) as several:
                for name, engine in engines.items():
                    list(several.map(lambda i: answer(name, engine, i, False), missing(name, first, last)))
        for server in [ours] + servers:
            server.close()

    if not a.report:
        run(True, 0, min(a.timed, len(items)), a.peers)
        run(False, min(a.timed, len(items)), len(items), a.peers[:1])
    rows = {name: {row["item"]: row for row in done if row["engine"] == name} for name in ["lyceum"] + names}
    sys.exit(not all([report(name, rows["lyceum"], rows[name], a.bar) for name in names]))


if __name__ == "__main__":
    main()
