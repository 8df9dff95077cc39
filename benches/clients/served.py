"""A server that a script starts, asks and ends."""

import atexit
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time


class Server:
    """A command with `--port`, answering on this machine; each thread keeps a connection."""

    def __init__(self, command, ready="/healthz", token=None):
        self.port = int(command[command.index("--port") + 1])
        self.token, self.local = token, threading.local()
        environment = os.environ | ({"LYCEUM_TOKEN": token} if token else {})
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        atexit.register(self.process.kill)
        for _ in range(600):
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", ready)[0] == 200:
                    return
            if self.process.poll() is not None:
                sys.exit(f"{command[0]} ended with {self.process.returncode}")
            time.sleep(0.1)
        sys.exit(f"{command[0]} is not ready after a minute")

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None):
        """Status and body of an answer."""
        text = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        kept = getattr(self.local, "connection", None)
        # A kept connection may have been closed meanwhile; then a fresh one is tried, once.
        for connection in ([kept] if kept else []) + [http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)]:
            self.local.connection = connection
            try:
                connection.request(method, path, text, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.local.connection, failure = None, error
        raise failure

    def post(self, path, body):
        """The JSON of an answer that must be one."""
        status, answer = self.ask("POST", path, body)
        if status != 200:
            sys.exit(f"{path}: status {status}: {answer[:500]!r}")
        return json.loads(answer)

    def memory(self):
        """Bytes of memory that the process holds now."""
        with open(f"/proc/{self.process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmRSS"].split()[0]) * 1024

    def handles(self):
        """Open files and connections of the process."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self):
        """Ends it; says with what status."""
        self.process.terminate()
        return self.process.wait(60)


def lyceum(binary, port, *more, model="smollm2-135m", token=None):
    """`lyceum serve`."""
    return Server([binary, "serve", "--port", str(port), "--model", model, *more], token=token)
