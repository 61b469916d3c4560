"""The API against its own OpenAPI document: schemathesis finds no server error and no undocumented answer."""

import os
import subprocess
import sys
import time

from installation import Installation

SEED = os.environ.get("AIRWRITE_SEED", "20260701")

# What every answer is held against: first that it is documented, then that the rules around it hold.
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "missing_required_header",
        "unsupported_method",
        "allow_header_conformance",
        "ignored_auth",
        "use_after_free",
        "ensure_resource_availability",
    ]
)

# At most this long in all; a run ends long before.
LIMIT_S = 300


def furnish(installation):
    """Something in every state, so that not all there is to find is "not found"."""
    imeis, targets = installation.imeis(), installation.targets()
    writes = []
    for number, (imei, target) in enumerate(zip(imeis[:12], targets)):
        body = {"device": {"imei": imei}, "subscription": target}
        if number % 3 == 0:
            body["bearer"] = "relay"
        status, view = installation.request("POST", "/v1/writes", body)
        assert status == 202, view
        writes.append(view["id"])
    waiting = {"device": {"imei": "490154203237518"}, "subscription": targets[12]}
    status, view = installation.request("POST", "/v1/writes", waiting)
    assert status == 202, view
    installation.request("GET", f"/v1/writes/{writes[0]}/export")
    status, view = installation.request("POST", "/v1/keys", {"name": "spare", "scopes": ["orders:read"]})
    assert status == 201, view
    hook = {"name": "hooks", "url": "https://hooks.invalid/airwrite"}
    status, view = installation.request("POST", "/v1/endpoints", hook)
    assert status == 201, view
    end = time.monotonic() + 30
    while time.monotonic() < end:
        states = {installation.request("GET", f"/v1/writes/{id}")[1]["state"] for id in writes[1:3]}
        if states == {"effective"}:
            return
        time.sleep(0.2)
    raise SystemExit(f"the sample is not written: {states}\n{installation.log()}")


def main():
    with Installation() as installation:
        furnish(installation)
        command = [
            os.path.join(os.path.dirname(sys.executable), "st"),
            "run",
            f"{installation.api}/openapi.json",
            "--header",
            f"Authorization: Bearer {installation.token}",
            "--checks",
            CHECKS,
            "--seed",
            SEED,
            "--max-examples",
            os.environ.get("AIRWRITE_EXAMPLES", "20"),
            # One: the same seed then means the same requests.
            "--workers",
            "1",
            # It never ends: read by a test of its own.
            "--exclude-path",
            "/v1/events",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
        ]
        hooks = os.path.join(os.path.dirname(__file__), "spare_own_key.py")
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": hooks, "AIRWRITE_OWN_KEY": installation.key}
        try:
            done = subprocess.run(
                command, cwd=installation.directory.name, env=environment, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"schemathesis did not end in {LIMIT_S} s")
        if any(process.poll() is not None for process in installation.processes):
            raise SystemExit(f"a process ended:\n{installation.log()}")
        if done.returncode != 0:
            print(installation.log())
        sys.exit(done.returncode)


main()
