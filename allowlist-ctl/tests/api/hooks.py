"""What schemathesis is to do besides: leave something to confirm, and count what was answered."""

import atexit
import collections
import itertools
import json
import os
import threading
import urllib.error
import urllib.request

import schemathesis

ANSWERS = collections.defaultdict(collections.Counter)
LOCK = threading.Lock()
NUMBERS = itertools.count(1)


def name(case):
    return case.operation.definition.raw["operationId"]


def post(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["DAEMON"] + path, data=data, method="POST")
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError:
        # The other worker was first.
        pass


@schemathesis.hook
def before_call(context, case, kwargs):
    if name(case) == "confirm" and case.method == "POST":
        entry = f"2001:db8::{next(NUMBERS):x}"
        post("/v1/lists/trusted/add?confirm=60", {"entries": [{"entry": entry}]})


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
