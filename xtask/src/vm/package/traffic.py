"""Packets of the scenario: traffic.py WHAT FROM TO PORT, or receive TO PORT."""

import signal
import socket
import sys
import time

what, arguments = sys.argv[1], sys.argv[2:]
ended = False


def end(*_):
    global ended
    ended = True


signal.signal(signal.SIGTERM, end)

if what == "receive":
    # Who has sent how many different ones.
    came = {}
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    receiver.bind((arguments[0], int(arguments[1])))
    receiver.settimeout(0.2)
    while not ended:
        try:
            message, (source, _) = receiver.recvfrom(64)
            came.setdefault(source, set()).add(message)
        except TimeoutError:
            pass
    for source, messages in sorted(came.items()):
        print(source, len(messages))
    sys.exit()

source, target, port = arguments[0], arguments[1], int(arguments[2])
if what == "send":
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((source, 0))
    sent = 0
    while not ended:
        sender.sendto(b"%d" % sent, (target, port))
        sent += 1
        time.sleep(0.01)
    print(sent)
else:
    try:
        stream = socket.create_connection((target, port), timeout=4, source_address=(source, 0))
        stream.sendall(b"PING\r\n")
        answer = stream.recv(64)
    except OSError as error:
        sys.exit(str(error))
    if answer != b"+PONG\r\n":
        sys.exit(repr(answer))
    while what == "hold" and not ended:
        time.sleep(0.1)
