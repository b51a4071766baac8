"""What schemathesis is to do besides: leave something to confirm and to remove, and count what was answered."""

import atexit
import collections
import itertools
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request

import schemathesis

ANSWERS = collections.defaultdict(collections.Counter)
LOCK = threading.Lock()
NUMBERS = itertools.count(1)


def name(case):
    return case.operation.definition.raw["operationId"]


def send(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["DAEMON"] + path, data=data, method=method)
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError:
        # It is there already, or cannot be.
        pass


def post(path, body=None):
    send("POST", path, body)


@schemathesis.hook
def before_call(context, case, kwargs):
    if name(case) == "confirm" and case.method == "POST":
        entry = f"2001:db8::{next(NUMBERS):x}"
        post("/v1/lists/trusted/add?confirm=60", {"entries": [{"entry": entry}]})
    # What is to be removed or switched is there first, where its name can be one at all.
    named = urllib.parse.quote(str(case.path_parameters.get("name", "")), safe="")
    if name(case) == "ungroup" and case.method == "DELETE":
        send("PUT", f"/v1/groups/{named}", {})
    if name(case) in ("unprotect", "mode") and case.method in ("DELETE", "PUT"):
        send("PUT", f"/v1/services/{named}", {"ports": [f"dccp/{1000 + next(NUMBERS) % 60000}"]})
    if name(case) in ("watch", "endWatch", "proposal", "tryList"):
        send("PUT", f"/v1/services/{named}", {"ports": [f"dccp/{1000 + next(NUMBERS) % 60000}"]})
    if name(case) == "endWatch":
        post(f"/v1/services/{named}/watch", {"seconds": 60})
    # One policy is on trial at a time.
    if name(case) in ("try", "tryList"):
        send("DELETE", "/v1/trial")
    if name(case) in ("trial", "endTrial"):
        post("/v1/trial?seconds=60", {})


@schemathesis.hook
def after_call(context, case, response):
    with LOCK:
        ANSWERS[name(case)][response.status_code] += 1
    # While a change waits to be confirmed no other one can be made.
    if response.status_code == 200 and b'"pending":' in response.content:
        post("/v1/confirm")


@atexit.register
def tell():
    with open(os.environ["ANSWERS"], "w") as file:
        json.dump(ANSWERS, file)
