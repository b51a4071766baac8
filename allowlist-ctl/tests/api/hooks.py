"""What schemathesis is to do besides: keep the daemon changeable, and count what it answered."""

import atexit
import collections
import json
import os
import threading
import urllib.request

import schemathesis

ANSWERS = collections.defaultdict(collections.Counter)
LOCK = threading.Lock()


@schemathesis.hook
def after_call(context, case, response):
    name = case.operation.definition.raw.get("operationId", case.operation.label)
    with LOCK:
        ANSWERS[name][response.status_code] += 1
    # While a change waits to be confirmed no other one can be made.
    if response.status_code == 200 and b'"pending":' in response.content:
        confirm = urllib.request.Request(os.environ["DAEMON"] + "/v1/confirm", method="POST")
        try:
            urllib.request.urlopen(confirm).close()
        except urllib.error.HTTPError:
            # The other worker was first.
            pass


@atexit.register
def tell():
    with open(os.environ["ANSWERS"], "w") as file:
        json.dump(ANSWERS, file)
