"""Webhooks as a receiver sees them that did not write them: the `standardwebhooks` library verifies every signature, and a
receiver that fails for a while (errors, then no answer at all, then nobody there) gets everything later."""

import json
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from installation import Installation, free_address
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
CARDS = 12

# How long the receiver answers 500, and then nothing, and then does not listen.
ERRORS_S, HANGS_S, AWAY_S = 6, 6, 4

# How long everything may take once the receiver is well.
LIMIT_S = 90


class Receiver:
    """What came in, and how it is answered now."""

    def __init__(self, address):
        self.host, port = address.split(":")
        self.port = int(port)
        self.behaviour = "errors"
        self.lock = threading.Lock()
        # By webhook-id: the bodies of all attempts, and how often the event was taken.
        self.bodies, self.taken = {}, {}
        self.attempts = {"errors": 0, "hangs": 0, "well": 0}
        self.unverified = []
        self.server = None

    def listen(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.take(dict(self.headers), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((self.host, self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def leave(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, headers, body):
        try:
            event = Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError as error:
            with self.lock:
                self.unverified.append(f"{error}: {headers} {body!r}")
            return 400
        id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        with self.lock:
            behaviour = self.behaviour
            self.attempts[behaviour] += 1
            self.bodies.setdefault(id, set()).add(body)
            if behaviour == "well":
                self.taken[id] = event
        if behaviour == "errors":
            return 500
        if behaviour == "hangs":
            time.sleep(30)
            return 200
        return 204


def told(installation):
    """The ids of all there was to tell, by what the API says of each write and each card."""
    ids = set()
    for card in pages(installation, "/v1/cards"):
        for fact in pages(installation, f"/v1/cards/{card['id']}/timeline"):
            subject = f"{fact['write']}.{fact['write_seq']}" if "write" in fact else f"{card['id']}.{fact['seq']}"
            ids.add(subject)
    for write in pages(installation, "/v1/writes"):
        for fact in pages(installation, f"/v1/writes/{write['id']}/timeline"):
            ids.add(f"{write['id']}.{fact['write_seq']}")
    return ids


def pages(installation, path):
    cursor = ""
    while cursor is not None:
        status, page = installation.request("GET", f"{path}?limit=100{cursor and '&cursor=' + str(cursor)}")
        assert status == 200, page
        yield from page["items"]
        cursor = page["next"]


def all_effective(installation):
    writes = list(pages(installation, "/v1/writes"))
    return len(writes) == CARDS and all(write["state"] == "effective" for write in writes)


def wait_for(what, done, installation):
    end = time.monotonic() + LIMIT_S
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not after {LIMIT_S} s\n{installation.log()}")
        time.sleep(0.2)


def config(address):
    return f"""
[webhooks]
timeout_ms = 2000
retry_first_ms = 300
retry_max_ms = 3000
[[webhook]]
name = "shop"
owner = "default"
url = "http://{address}/hook"
secret = "{SECRET}"
allow_private = true
"""


def forgeries_are_noticed():
    """The library in use refuses what was not signed so."""
    webhook, body = Webhook(SECRET), '{"type":"write.effective"}'
    now = datetime.now(timezone.utc)
    headers = {"webhook-id": "a.1", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = webhook.sign("a.1", now, body)
    webhook.verify(body, headers)
    for changed in (
        (body + " ", headers),
        (body, {**headers, "webhook-id": "a.2"}),
        (body, {**headers, "webhook-timestamp": str(int(now.timestamp()) + 1)}),
    ):
        try:
            webhook.verify(*changed)
        except WebhookVerificationError:
            continue
        raise SystemExit(f"verified: {changed}")


def main():
    forgeries_are_noticed()
    address = free_address()
    receiver = Receiver(address)
    receiver.listen()
    with Installation(cards=CARDS, more_config=config(address)) as installation:
        for imei, target in zip(installation.imeis(), installation.targets()):
            body = {"device": {"imei": imei}, "subscription": target}
            status, view = installation.request("POST", "/v1/writes", body)
            assert status == 202, view
        time.sleep(ERRORS_S)
        receiver.behaviour = "hangs"
        time.sleep(HANGS_S)
        receiver.leave()
        time.sleep(AWAY_S)
        wait_for("every write is effective", lambda: all_effective(installation), installation)
        assert not receiver.taken, "nothing was taken yet"
        failed = dict(receiver.attempts)
        receiver.behaviour = "well"
        receiver.listen()
        wait_for("every event arrives", lambda: told(installation) <= set(receiver.taken), installation)
        expected = told(installation)
    assert not receiver.unverified, receiver.unverified
    assert failed["errors"] > 0 and failed["hangs"] > 0, failed
    assert set(receiver.taken) == expected, set(receiver.taken) ^ expected
    for id, bodies in receiver.bodies.items():
        assert len(bodies) == 1, f"{id} has stood for several events: {bodies}"
    events = {body for bodies in receiver.bodies.values() for body in bodies}
    assert len(events) == len(receiver.bodies), "an event came under several ids"
    kinds = [event["type"] for event in receiver.taken.values()]
    for kind in ("binding.created", "write.accepted", "write.effective", "card.subscription_changed"):
        assert kinds.count(kind) == CARDS, f"{kind}: {kinds.count(kind)}"
    print(f"webhooks: {len(expected)} events, attempts {receiver.attempts}, every signature verified")


main()
