"""A fake CLI of SPP. Without spp-ctl, it prints one line and exits with status 0.

(docs/spp-protocol.md, Controllers)
"""

import argparse
import http.client
import json
import sys


def main(version: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-b", required=True)
    if version == "18.08.1":
        parser.add_argument("-a", type=int, default=7777)
    options = parser.parse_args()
    host, _, port = (options.b if version != "18.08.1" else f"{options.b}:{options.a}").partition(":")

    def processes() -> object:
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("GET", "/v1/processes")
        return json.loads(connection.getresponse().read())

    try:
        processes()
    except OSError:
        print(f"Is not spp-ctl running on {host}, right?")
        sys.exit(0)
    print("Welcome to the SPP CLI. Type `help` or `?` to list commands.\n")
    while (line := input("spp > ")) != "bye":
        print(json.dumps(processes()) if line == "status" else f"*** Unknown syntax: {line}")
