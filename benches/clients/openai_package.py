"""The `openai` package, as it is, against `lyceum serve`: every check is a promise of OpenAI's API.

    python3 benches/clients/openai_package.py target/release/lyceum [--model smollm2-135m] [--port 9200]

Needs `pip install openai`.
"""

import argparse
import asyncio
import json
import math
import sys
import traceback

import openai
import pydantic
from served import lyceum

parser = argparse.ArgumentParser()
parser.add_argument("lyceum")
parser.add_argument("--model", default="smollm2-135m")
parser.add_argument("--port", type=int, default=9200)
a = parser.parse_args()
TOKEN = "a-token-for-the-test"
server = lyceum(a.lyceum, a.port, "--name", "m", model=a.model, token=TOKEN)
BASE = f"{server.address}/v1"
client = openai.OpenAI(base_url=BASE, api_key=TOKEN, max_retries=0, timeout=300)
ASK = [{"role": "user", "content": "Name the capital of France in one sentence."}]
CHAT = {"model": "m", "messages": ASK, "max_tokens": 32, "temperature": 0}
checks = []


def check(function):
    checks.append(function)
    return function


def raises(kind, call, **has):
    try:
        call()
    except kind as error:
        for name, value in has.items():
            assert getattr(error, name) == value, f"{name} is {getattr(error, name)!r}, not {value!r}: {error}"
        assert error.body["message"], "an error says something"
        return
    raise AssertionError(f"no {kind.__name__}")


@check
def models():
    ids = [model.id for model in client.models.list()]
    assert ids[0] == "m" and "m:phi" in ids and "m:self-consistency-8" in ids, ids
    assert client.models.retrieve("m:phi").id == "m:phi"
    raises(openai.NotFoundError, lambda: client.models.retrieve("nobody"), code="model_not_found")


@check
def chat():
    answers = [client.chat.completions.create(**CHAT) for _ in range(2)]
    text = answers[0].choices[0].message.content
    assert "Paris" in text and answers[1].choices[0].message.content == text, text
    usage = answers[0].usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens and usage.completion_tokens > 2
    assert answers[0].choices[0].finish_reason == "stop" and answers[0].choices[0].message.role == "assistant"
    short = client.chat.completions.create(**CHAT | {"max_tokens": 2}).choices[0]
    assert short.finish_reason == "length" and text.startswith(short.message.content)
    newer = {**CHAT, "max_completion_tokens": 2}
    del newer["max_tokens"]
    assert client.chat.completions.create(**newer).choices[0].message.content == short.message.content


@check
def turns():
    messages = [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": [{"type": "text", "text": "My dog is called Bello."}]},
        {"role": "assistant", "content": "That is a nice name."},
        {"role": "user", "content": "What is my dog called?"},
    ]
    text = client.chat.completions.create(**CHAT | {"messages": messages}).choices[0].message.content
    assert "Bello" in text, text


@check
def streaming():
    whole = client.chat.completions.create(**CHAT).choices[0].message.content
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole and sum(map(bool, pieces)) > 3, pieces
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 3 and not chunks[-1].choices
    with client.chat.completions.stream(**CHAT) as stream:
        assert stream.get_final_completion().choices[0].message.content == whole


@check
def log_probabilities():
    choice = client.chat.completions.create(**CHAT, logprobs=True, top_logprobs=3).choices[0]
    content = choice.logprobs.content
    assert "".join(token.token for token in content) == choice.message.content
    for token in content:
        top = [other.logprob for other in token.top_logprobs]
        assert len(top) == 3 and top == sorted(top, reverse=True) and abs(top[0] - token.logprob) < 1e-6
        assert sum(map(math.exp, top)) <= 1.0001 and bytes(token.bytes).decode() == token.token
    streamed = client.chat.completions.create(**CHAT, logprobs=True, top_logprobs=3, stream=True)
    tokens = [t for c in streamed for x in c.choices if x.logprobs for t in x.logprobs.content or []]
    assert [t.token for t in tokens] == [t.token for t in content]


@check
def several_and_seed():
    ask = CHAT | {"temperature": 1.0, "n": 4, "seed": 5, "messages": [{"role": "user", "content": "Make up a word."}]}
    texts = [[choice.message.content for choice in client.chat.completions.create(**ask).choices] for _ in range(2)]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1, texts
    other = client.chat.completions.create(**ask | {"seed": 6}).choices
    assert [choice.message.content for choice in other] != texts[0]
    free = [client.chat.completions.create(**{k: v for k, v in ask.items() if k not in ("seed", "n")}) for _ in range(3)]
    assert len({answer.choices[0].message.content for answer in free}) > 1, "without a seed every call draws anew"
    streamed = {}
    for chunk in client.chat.completions.create(**ask, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] = streamed.get(choice.index, "") + (choice.delta.content or "")
    assert [streamed[i] for i in range(4)] == texts[0]


@check
def stop():
    ask = CHAT | {"messages": [{"role": "user", "content": "Count from one to nine."}], "max_tokens": 60}
    whole = client.chat.completions.create(**ask).choices[0].message.content
    word = whole.split()[-1]
    choice = client.chat.completions.create(**ask, stop=[word, "\u2603"]).choices[0]
    assert choice.finish_reason == "stop" and choice.message.content == whole[: whole.index(word)], (word, choice)
    streamed = client.chat.completions.create(**ask, stop=word, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed if c.choices) == choice.message.content


@check
def json_mode():
    ask = CHAT | {"max_tokens": 300, "messages": [{"role": "user", "content": "Describe a cat as JSON with name and age."}]}
    choice = client.chat.completions.create(**ask, response_format={"type": "json_object"}).choices[0]
    assert choice.finish_reason == "stop" and isinstance(json.loads(choice.message.content), dict), choice


@check
def json_schema():
    class Person(pydantic.BaseModel):
        name: str
        age: int
        likes: list[str] = pydantic.Field(max_length=3)

    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}, "size": {"type": "integer", "minimum": 1, "maximum": 9}},
              "required": ["colour", "size"], "additionalProperties": False}
    ask = CHAT | {"max_tokens": 200, "messages": [{"role": "user", "content": "Give me a thing."}]}
    format = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}
    for seed in range(5):
        answer = client.chat.completions.create(**ask | {"temperature": 1.0, "seed": seed}, response_format=format).choices[0]
        thing = json.loads(answer.message.content)
        assert thing["colour"] in ("red", "green") and 1 <= thing["size"] <= 9 and len(thing) == 2, thing
    ask["messages"] = [{"role": "user", "content": "Who is Anna? She is 30 and likes tea."}]
    person = client.chat.completions.parse(**ask, response_format=Person).choices[0].message.parsed
    assert isinstance(person, Person), person


@check
def completions():
    prompt = "The capital of France is"
    whole = client.completions.create(model="m", prompt=prompt, max_tokens=4, temperature=0, echo=True, logprobs=2)
    choice = whole.choices[0]
    logprobs = choice.logprobs
    assert choice.text.startswith(prompt) and "".join(logprobs.tokens) == choice.text
    assert logprobs.token_logprobs[0] is None and all(x <= 0 for x in logprobs.token_logprobs[1:])
    assert all(len(top) >= 2 for top in logprobs.top_logprobs[1:])
    for offset, token in zip(logprobs.text_offset, logprobs.tokens):
        assert choice.text[offset:].startswith(token)
    many = client.completions.create(model="m", prompt=[prompt, "One, two,"], max_tokens=3, n=2, temperature=0)
    assert len(many.choices) == 4 and [c.index for c in many.choices] == [0, 1, 2, 3]
    assert many.choices[0].text == many.choices[1].text != many.choices[2].text
    ids = server.post("/tokenize", {"prompt": prompt})["tokens"]
    assert client.completions.create(model="m", prompt=ids, max_tokens=3, temperature=0).choices[0].text == many.choices[0].text
    pieces = client.completions.create(model="m", prompt=prompt, max_tokens=3, temperature=0, stream=True)
    assert "".join(c.choices[0].text for c in pieces if c.choices) == many.choices[0].text


@check
def embeddings():
    texts = ["The pump is sealed with grease.", "Which grease seals the pump?", "A whale sings in the sea."]
    name = "minilm"
    vectors = [item.embedding for item in client.embeddings.create(model=name, input=texts).data]
    plain = client.embeddings.create(model=name, input=texts[0], encoding_format="float").data[0].embedding
    dot = lambda x, y: sum(p * q for p, q in zip(x, y))
    assert len(vectors[0]) == 384 and abs(dot(vectors[0], vectors[0]) - 1) < 1e-4
    assert dot(vectors[0], vectors[1]) > 0.6 > 0.3 > dot(vectors[0], vectors[2])
    assert max(abs(p - q) for p, q in zip(plain, vectors[0])) < 1e-6


@check
def search():
    ask = CHAT | {"model": "m:self-consistency-4", "max_tokens": 60, "seed": 1,
                  "messages": [{"role": "user", "content": "What is 17 + 25?"}]}
    answer = client.chat.completions.create(**ask, extra_body={"search": True})
    record = answer.model_extra["search"]
    assert record["answer"] == answer.choices[0].message.content and len(record["nodes"]) >= 5 and record["cost"]["decode"] > 4
    same = client.chat.completions.create(**ask | {"model": "m"}, extra_body={"strategy": {"kind": "self-consistency", "n": 4}})
    assert same.choices[0].message.content == answer.choices[0].message.content
    chunks = list(client.chat.completions.create(**ask | {"model": "m:phi"}, stream=True, extra_body={"search": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    kinds = {chunk.model_extra["search_event"]["event"] for chunk in chunks if "search_event" in (chunk.model_extra or {})}
    record = [chunk.model_extra["search"] for chunk in chunks if "search" in (chunk.model_extra or {})]
    assert {"node", "round"} <= kinds and len(record) == 1 and record[0]["answer"] == text, kinds


@check
def errors():
    ask = lambda **change: lambda: client.chat.completions.create(**CHAT | change)
    raises(openai.NotFoundError, ask(model="nobody"), code="model_not_found", param="model")
    raises(openai.BadRequestError, ask(n=-1), param="n", type="invalid_request_error")
    raises(openai.BadRequestError, ask(temperature=-1), param="temperature")
    raises(openai.BadRequestError, ask(messages=[]), param="messages")
    raises(openai.NotFoundError, ask(model="m:phantasy"), param="model")
    raises(openai.BadRequestError, ask(messages=[{"role": "user", "content": "word " * 9000}]), code="context_length_exceeded")
    raises(openai.BadRequestError, ask(response_format={"type": "xml"}))
    raises(openai.BadRequestError, ask(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "thing"}}}))
    stranger = openai.OpenAI(base_url=BASE, api_key="wrong", max_retries=0)
    raises(openai.AuthenticationError, lambda: stranger.models.list())


@check
def many_at_once():
    async def run():
        async with openai.AsyncOpenAI(base_url=BASE, api_key=TOKEN, max_retries=0) as many:
            calls = [many.chat.completions.create(**CHAT | {"seed": i, "temperature": 1.0}) for i in range(16)]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    together = asyncio.run(run())
    alone = [client.chat.completions.create(**CHAT | {"seed": i, "temperature": 1.0}).choices[0].message.content for i in (0, 7, 15)]
    assert alone == [together[i] for i in (0, 7, 15)], "an answer does not depend on its company"


failed = 0
for function in checks:
    try:
        function()
        print("ok    ", function.__name__, flush=True)
    except Exception:  # noqa: BLE001 - every check is run
        failed += 1
        print("FAILED", function.__name__, flush=True)
        traceback.print_exc(limit=3, file=sys.stdout)
status = server.close()
print(f"{len(checks) - failed} of {len(checks)} hold with openai {openai.__version__}; the server ended with status {status}")
sys.exit(bool(failed or status))
