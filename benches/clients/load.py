"""Many clients at once, and bad ones, against `lyceum serve`.

    python3 benches/clients/load.py target/release/lyceum [--seconds 120] [--clients 64] [--bad 1000]

Every streamed answer must be, to the byte, what the same request gave alone before: no token is lost or
exchanged. Memory, open files and the server's own counters are looked at before, between and after.
Bad requests must get an error in OpenAI's shape with the status that fits; good ones go on meanwhile.
"""

import argparse
import collections
import concurrent.futures
import http.client
import itertools
import json
import re
import socket
import statistics
import sys
import threading
import time

from served import lyceum

parser = argparse.ArgumentParser()
parser.add_argument("lyceum")
parser.add_argument("--model", default="smollm2-135m")
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--clients", type=int, default=64)
parser.add_argument("--bad", type=int, default=1000)
parser.add_argument("--tokens", type=int, default=48)
parser.add_argument("--memory-mb", type=int, default=256, help="what the engine may keep for keys and values")
parser.add_argument("--port", type=int, default=9260)
a = parser.parse_args()
server = lyceum(a.lyceum, a.port, "--name", "m", "--set", f"engine.memory_mb={a.memory_mb}", model=a.model)
loaded = server.memory()
failures = collections.Counter()
lock = threading.Lock()


def fail(why):
    with lock:
        failures[why] += 1


def request(number):
    """One of 48 requests; half of them are drawn, a third share a long beginning."""
    long = "You are a careful clerk. " * 20 if number % 3 == 0 else "You are a clerk."
    return {"model": "m", "max_tokens": a.tokens, "temperature": [0, 0.9][number % 2], "seed": number, "messages": [
        {"role": "system", "content": long}, {"role": "user", "content": f"Tell me something about the number {number}."}]}


def stream(body, stop_after=None):
    """Text, tokens and seconds to the first piece; `stop_after` pieces the connection is cut."""
    connection = http.client.HTTPConnection("127.0.0.1", a.port, timeout=300)
    try:
        begun, first, pieces, usage, done = time.perf_counter(), None, [], None, False
        text = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}})
        connection.request("POST", "/v1/chat/completions", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"status {answer.status}: {answer.read()[:200]!r}")
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                done = True
                continue
            chunk = json.loads(line[6:])
            if "error" in chunk:
                raise OSError(f"in the stream: {chunk['error']}")
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                if choice["delta"].get("content"):
                    first = first or time.perf_counter() - begun
                    pieces.append(choice["delta"]["content"])
            if stop_after is not None and len(pieces) >= stop_after:
                return None
        if not done:
            raise OSError("the stream ended without [DONE]")
        return "".join(pieces), usage["completion_tokens"], first
    finally:
        connection.close()


def gauge(name):
    """A number from /metrics: the sum over its labels."""
    text = server.ask("GET", "/metrics")[1].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}(\{{| )", line))


def settled():
    """Whether no request runs or waits, within five seconds."""
    for _ in range(50):
        if gauge("lyceum_requests_running") + gauge("lyceum_requests_waiting") == 0:
            return True
        time.sleep(0.1)
    return False


mb = lambda size: f"{size / 1e6:.0f} MB"
right = [server.post("/v1/chat/completions", request(i)) for i in range(48)]
right = [(answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]) for answer in right]
before, handles = server.memory(), server.handles()
print(f"48 answers, one at a time: {mb(before)}, {handles} open files", flush=True)

# Streaming clients.
numbers, firsts, memory = itertools.count(), [], []
answers = tokens = cut = 0
end = time.time() + a.seconds


def client():
    global answers, tokens, cut
    while time.time() < end:
        number = next(numbers)
        try:
            # Every 40th client goes away in the middle.
            result = stream(request(number % 48), 3 if number % 40 == 39 else None)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            fail(f"stream: {type(error).__name__}: {error}"[:200])
            continue
        if result is None:
            with lock:
                cut += 1
        elif result[:2] != right[number % 48]:
            fail("stream: another answer than alone")
        else:
            with lock:
                answers, tokens = answers + 1, tokens + result[1]
                firsts.append(result[2])


threads = [threading.Thread(target=client) for _ in range(a.clients)]
began = time.time()
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    memory.append(server.memory())
    time.sleep(1)
seconds = time.time() - began
half = len(memory) // 2
after = server.memory()
print(f"{a.clients} streaming clients, {seconds:.0f} s: {answers} whole answers equal to those alone, {cut} cut by the client, "
      f"{sum(failures.values())} failures; {tokens / seconds:.0f} tok/s, first token after {statistics.median(firsts):.2f} s (median), "
      f"{max(firsts):.2f} s at most")
print(f"memory: {mb(loaded)} with nothing asked, {mb(before)} before, at most {mb(max(memory[:half]))} in the first half and {mb(max(memory[half:]))} in the second, {mb(after)} after", flush=True)
if max(memory[half:]) > max(memory[:half]) * 1.05:
    fail("memory still grows in the second half")
# Beside keys and values: the buffers of the largest step, connections, text.
if max(memory) > loaded + (a.memory_mb << 20) + (192 << 20):
    fail(f"memory goes {mb(max(memory) - loaded)} beyond what was loaded, {a.memory_mb} MiB are for keys and values")
if not settled():
    fail("a place is still taken after all clients are gone")


# Bad requests.
def raw(data, wait=True):
    """Sends bytes as they are; gives status and body of the answer, if one is waited for."""
    with socket.create_connection(("127.0.0.1", a.port), timeout=60) as connection:
        for piece in data if isinstance(data, list) else [data]:
            if isinstance(piece, float):
                time.sleep(piece)
                continue
            try:
                connection.sendall(piece)
            except OSError:
                break  # refused before all was sent
        if not wait:
            return None
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def post(body, path="/v1/chat/completions", **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields | {k.replace("_", "-"): v for k, v in headers.items()}).items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


good = request(1)
change = lambda **fields: post(good | fields)
BAD = [
    ("wrong JSON", 400, lambda: raw(post(b'{"model": "m", "messages": ['))),
    ("no object", 400, lambda: raw(post(b"[1, 2]"))),
    ("deep JSON", 400, lambda: raw(post(b"[" * 100_000))),
    ("huge body", 413, lambda: raw(post(b'{"model": "' + b"x" * (9 << 20) + b'"}'))),
    ("huge length announced", 413, lambda: raw(post(b"{}", Content_Length=str(1 << 40)))),
    ("unknown model", 404, lambda: raw(change(model="nobody"))),
    ("unknown strategy", 404, lambda: raw(change(model="m:phantasy"))),
    ("no model of a wrong type", 400, lambda: raw(change(model=7))),
    ("negative n", 400, lambda: raw(change(n=-1))),
    ("n of a million", 400, lambda: raw(change(n=1_000_000))),
    ("negative max_tokens", 400, lambda: raw(change(max_tokens=-5))),
    ("huge max_tokens", 400, lambda: raw(change(max_tokens=10**12))),
    ("negative temperature", 400, lambda: raw(change(temperature=-0.1))),
    ("not a number", 400, lambda: raw(post(json.dumps(good).replace("0.9", "NaN").encode()))),
    ("empty messages", 400, lambda: raw(change(messages=[]))),
    ("messages of a wrong type", 400, lambda: raw(change(messages="hello"))),
    ("unknown role", 400, lambda: raw(change(messages=[{"role": "king", "content": "x"}]))),
    ("empty stop", 400, lambda: raw(change(stop=[""]))),
    ("prompt beyond the context", 400, lambda: raw(change(messages=[{"role": "user", "content": "word " * 20_000}]))),
    ("wrong schema", 400, lambda: raw(change(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 3}}}))),
    ("invalid UTF-8", 400, lambda: raw(post(b'{"model": "m", "prompt": "\xff\xfe"}', "/v1/completions"))),
    ("token id beyond the vocabulary", 400, lambda: raw(post({"model": "m", "prompt": [10**7], "max_tokens": 1}, "/v1/completions"))),
    ("form instead of JSON", 415, lambda: raw(post(b"model=m", Content_Type="application/x-www-form-urlencoded"))),
    ("foreign host", 403, lambda: raw(post(good, Host="evil.example"))),
    ("wrong path", 404, lambda: raw(post(good, "/v1/chat"))),
    ("wrong method", 405, lambda: raw(b"DELETE /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")),
    ("cut in the headers", None, lambda: raw(b"POST /v1/chat/completions HTT", wait=False)),
    ("cut in the body", None, lambda: raw(post(good)[:-40], wait=False)),
    ("cut before the answer", None, lambda: raw(change(max_tokens=200), wait=False)),
    ("cut in the answer", None, lambda: stream(good, 2)),
    ("no HTTP", "any", lambda: raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n")),
]
SLOW = [
    ("slow headers", 408, lambda: raw([b"POST /v1/chat/completions HTTP/1.1\r\n"] + [b"X: 1\r\n", 4.0] * 5)),
    ("slow body", 408, lambda: raw([post(good)[:-60]] + [8.0, b" "] * 5)),
]


def judge(case):
    name, wanted, send = case
    try:
        answer = send()
    except (OSError, http.client.HTTPException) as error:
        return fail(f"bad request, {name}: {type(error).__name__}: {error}"[:200]) if wanted != "any" else None
    if wanted is None:
        return None
    status, body = answer
    if wanted == "any":
        return fail(f"bad request, {name}: status {status}") if status < 400 else None
    try:
        error = json.loads(body)["error"]
        typed = error["message"] and error["type"] and {"param", "code"} <= set(error)
    except (ValueError, KeyError, TypeError):
        typed = False
    if status != wanted or not typed:
        fail(f"bad request, {name}: status {status} instead of {wanted}, {body[:120]!r}")


def polite():
    """Good requests while bad ones come."""
    number = 0
    while not over.is_set():
        try:
            result = stream(request(number % 48))
            if result[:2] != right[number % 48]:
                fail("a good request among bad ones got another answer")
        except (OSError, http.client.HTTPException, ValueError) as error:
            fail(f"a good request among bad ones: {error}"[:200])
        number += 1
    return number


over = threading.Event()
cases = SLOW * 10 + [case for case, _ in zip(itertools.cycle(BAD), range(max(0, a.bad - 20)))]
begun, known = time.time(), sum(failures.values())
with concurrent.futures.ThreadPoolExecutor(40) as pool:
    gentle = pool.submit(polite)
    list(pool.map(judge, cases))
    over.set()
if not settled():
    fail("a place is still taken after the bad requests")
time.sleep(1)
print(f"{len(cases)} bad requests of {len(BAD) + len(SLOW)} kinds in {time.time() - begun:.0f} s, {gentle.result()} good ones meanwhile: "
      f"{sum(failures.values()) - known} failures; {mb(server.memory())}, {server.handles()} open files", flush=True)
if server.handles() > handles + 4:
    fail(f"{server.handles()} open files, {handles} before")
if stream(request(1))[:2] != right[1]:
    fail("the last answer differs from the first")
status = server.close()
if status:
    fail(f"the server ended with status {status}")
for why, count in failures.most_common():
    print(f"FAILED {count}x {why}")
print("all holds" if not failures else "FAILED")
sys.exit(bool(failures))
