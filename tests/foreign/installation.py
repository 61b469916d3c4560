"""An installation seen from outside: `airwrite smsc` and `airwrite serve` as processes, in a directory of their own."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# How long a process may take to be ready.
READY_S = 60


def free_address():
    """A loopback address and port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % listener.getsockname()[1]


class Installation:
    """Cards, a simulated operator, the gateway, and an API key that may do everything."""

    def __init__(self, cards=20, more_config=""):
        self.binary = os.environ["AIRWRITE"]
        self.directory = tempfile.TemporaryDirectory(prefix="airwrite-foreign-")
        self.smsc_address = free_address()
        self.api = "http://" + free_address()
        self.processes = []
        self._run("cards", "sample", "--count", str(cards), "--out", "cards.csv", "--subscriptions-out", "targets.csv")
        self._run("keys", "master", "--out", "master.key")
        self.path("airwrite.toml").write_text(self._config(more_config))
        self._run("cards", "import", "cards.csv", "--config", "airwrite.toml")
        key = self._run(
            "keys", "create", "--owner", "default", "--scope", "admin", "--json", "--config", "airwrite.toml"
        )
        key = json.loads(key)
        self.key, self.token = key["id"], key["token"]

    def _config(self, more):
        profile = json.dumps(str(ROOT / "config/profiles/airwrite-applet.toml"))
        return f"""
profiles = [{profile}]
store.directory = "store"
vault.master_key_file = "master.key"
api.listen = "{self.api.removeprefix("http://")}"
log.level = "warn"
timers.back_off_s = 1
[[link]]
name = "smsc"
address = "{self.smsc_address}"
system_id = "airwrite"
password = "secret"
source = {{ digits = "10690", ton = 3, npi = 0 }}
[[route]]
name = "all"
links = ["smsc"]
{more}
"""

    def path(self, name):
        return Path(self.directory.name) / name

    def _run(self, *arguments):
        done = subprocess.run(
            [self.binary, *arguments], cwd=self.directory.name, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"airwrite {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _start(self, *arguments):
        # What they say of themselves belongs into a file: it is shown where a test fails.
        log = self.path(f"{arguments[0]}.log").open("w")
        self.processes.append(
            subprocess.Popen([self.binary, *arguments], cwd=self.directory.name, stdout=log, stderr=log)
        )

    def __enter__(self):
        self._start(
            "smsc", "--listen", self.smsc_address, "--cards", "cards.csv", "--subscribers", "targets.csv", "--quiet"
        )
        self._start("serve", "--config", "airwrite.toml")
        end = time.monotonic() + READY_S
        while not self.is_ready():
            if time.monotonic() > end or any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"airwrite does not start:\n{self.log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.directory.cleanup()

    def is_ready(self):
        try:
            with urllib.request.urlopen(self.api + "/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def log(self):
        return "".join(f"== {name}\n{self.path(name).read_text()[-4000:]}" for name in ("smsc.log", "serve.log"))

    def request(self, method, path, body=None):
        """Status and JSON of an answer."""
        request = urllib.request.Request(self.api + path, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def targets(self):
        """Subscriptions that can be ordered."""
        lines = self.path("targets.csv").read_text().split()[1:]
        return [dict(zip(("imsi", "msisdn"), line.split(","))) for line in lines]

    def imeis(self):
        """The devices that the simulated operator puts the cards of the file into."""
        return [luhn(f"35780502{number:06}") for number in range(1, len(self.targets()) + 1)]


def luhn(digits):
    """The digits with their check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)
