"""A fake qemu-system-x86_64 on PATH. Its console has a prompt at once, and it accepts every powerdown.

VM 7 also ignores ``quit``, SIGTERM and SIGHUP. Queries (-version, -accel help) go to the real one.
"""

import contextlib
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

words = " ".join(sys.argv)
qmp = re.search(r"id=qmp,path=([^,]+)", words)
log = re.search(r"logfile=([^,]+)", words)
if not qmp or not log:
    os.execv("/usr/bin/qemu-system-x86_64", ["qemu-system-x86_64", *sys.argv[1:]])  # noqa: S606
stubborn = "guest=vm-r7" in words
if stubborn:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
Path(log[1]).write_text("vm login: \n")
server = socket.socket(socket.AF_UNIX)
server.bind(qmp[1])
server.listen()
while True:
    client, _ = server.accept()
    with contextlib.suppress(OSError), client:
        client.sendall(json.dumps({"QMP": {"version": {}, "capabilities": []}}).encode() + b"\n")
        # One command at a time, at most this long, without an end of line.
        while asked := client.recv(4096):
            question = json.loads(asked)
            client.sendall(json.dumps({"return": {}, "id": question.get("id")}).encode() + b"\n")
            if question.get("execute") == "quit" and not stubborn:
                os._exit(0)
