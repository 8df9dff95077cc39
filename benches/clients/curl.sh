#!/bin/sh
# curl against `lyceum serve`: benches/clients/curl.sh target/release/lyceum [PORT]
set -eu
lyceum=$1 port=${2:-9240}
at=http://127.0.0.1:$port
"$lyceum" serve --port "$port" --name m --quiet > /dev/null 2>&1 &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
for _ in $(seq 300); do curl -sf $at/healthz > /dev/null && break; sleep 0.1; done
failed=0

# check NAME WANTED COMMAND…: the output holds a line that matches WANTED.
check() {
    name=$1 wanted=$2
    shift 2
    if output=$("$@" 2>&1) && printf '%s\n' "$output" | grep -qE -- "$wanted"; then
        echo "ok     $name"
    else
        echo "FAILED $name: $output"
        failed=1
    fi
}
post() {
    path=$1 body=$2
    shift 2
    curl -sS -w '\nstatus %{http_code} %{content_type}\n' -H 'Content-Type: application/json' -d "$body" "$@" "$at$path"
}
ask='"messages": [{"role": "user", "content": "Name the capital of France."}], "max_tokens": 24, "temperature": 0'

check health 'ok' curl -sS $at/healthz
check models '"id":"m"' curl -sS $at/v1/models
check page '<title>' curl -sS $at/
check chat 'Paris.*"finish_reason":"stop"' post /v1/chat/completions "{\"model\": \"m\", $ask}"
check stream '^data: \[DONE\]' post /v1/chat/completions "{\"model\": \"m\", $ask, \"stream\": true}" -N
check "stream's type" 'status 200 text/event-stream' post /v1/chat/completions "{\"model\": \"m\", $ask, \"stream\": true}" -N
check completion '"text_offset"' post /v1/completions '{"model": "m", "prompt": "One, two,", "max_tokens": 4, "logprobs": 1, "echo": true}'
check json '"content":"\{' post /v1/chat/completions "{\"model\": \"m\", $ask, \"response_format\": {\"type\": \"json_object\"}}"
check strategy '"search":\{' post /v1/chat/completions "{\"model\": \"m:self-consistency-2\", $ask, \"search\": true}"
check tokens '"count":' post /tokenize '{"model": "m", "prompt": "One, two"}'
check metrics '^lyceum.* [0-9]' curl -sS $at/metrics
check "unknown model" 'status 404' post /v1/chat/completions "{\"model\": \"nobody\", $ask}"
check "wrong JSON" 'status 400' post /v1/chat/completions '{"model": '
check "negative n" 'status 400' post /v1/chat/completions "{\"model\": \"m\", $ask, \"n\": -1}"
check "no JSON" 'status 415' curl -sS -w '\nstatus %{http_code}\n' -d 'model=m' $at/v1/chat/completions
check "no such path" 'status 404' curl -sS -w '\nstatus %{http_code}\n' $at/v2
check "wrong method" 'status 405' curl -sS -w '\nstatus %{http_code}\n' $at/v1/chat/completions
kill $server
wait $server && echo "ok     ends with status 0" || { echo "FAILED ends with status $?"; failed=1; }
trap - EXIT
exit $failed
