"""Hooks of schemathesis: whatever the seed, it does not revoke the key that it calls with."""

import os

import schemathesis

OWN_KEY = os.environ["AIRWRITE_OWN_KEY"]


@schemathesis.hook
def before_call(context, case, kwargs):
    own = case.method.upper() == "DELETE" and (case.path_parameters or {}).get("id") == OWN_KEY
    if own:
        case.path_parameters["id"] = "key_" + "0" * 16
