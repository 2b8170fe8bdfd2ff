"""A fake spp.py or spp_vf.py of 16.07 to 18.05: TCP server, prompt, management port.

(docs/spp-protocol.md, Management port)

It was compared line by line with the controllers of these releases. ``FAKE_PYTHON``: the major version of the Python
that would run upstream's controller. The management port of 18.05 fails in Python 3.
"""

import argparse
import cmd
import json
import os
import re
import socket
import sys
import threading

from tests.fakes.link import VERSIONS

MAX_SECONDARY = 16


class Spp(cmd.Cmd):
    prompt = "spp > "
    intro = "Welcome to the spp.   Type help or ? to list commands.\n"

    def __init__(self, version: str, vf: bool, options: argparse.Namespace) -> None:
        super().__init__()
        self.version, self.vf = version, vf
        self.primary: socket.socket | None = None
        self.where = None
        self.secondaries: dict[int, socket.socket] = {}
        self.result: bytes | None = None
        threading.Thread(target=self.accept, args=(options.pri, self.take_primary), daemon=True).start()
        threading.Thread(target=self.accept, args=(options.sec, self.take), daemon=True).start()
        if options.manage:
            threading.Thread(target=self.manage, args=(options.manage,), daemon=True).start()

    def since(self, version: str) -> bool:
        return VERSIONS.index(self.version) >= VERSIONS.index(version)

    def accept(self, port: int, take) -> None:  # type: ignore[no-untyped-def]
        server = socket.socket()
        if self.since("17.08") and not self.vf:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", port))
        server.listen(1)
        try:
            while take(*server.accept()):
                pass  # the loop ends at the first secondary that it cannot accept
        except (OSError, ValueError) as error:
            print(error, ", Error in acceptthread()!", flush=True)
            server.close()

    def take_primary(self, sock: socket.socket, where: object) -> bool:
        self.primary, self.where = sock, where  # type: ignore[assignment]
        return True

    def take(self, sock: socket.socket, _: object) -> bool:
        sock.sendall(b"_get_client_id")
        reply = sock.recv(1024).decode()
        # As in the real one, a byte after the padding makes the number invalid.
        number = int(json.loads(reply)["client_id"] if self.vf else reply.strip("\0"))
        if not 0 <= number <= MAX_SECONDARY:
            return False
        if self.vf:
            print(f"secondary id {number}", flush=True)
        elif number in self.secondaries:
            number = next(n for n in range(MAX_SECONDARY) if n not in self.secondaries)
            sock.sendall(f"_set_client_id {number}".encode())
            sock.recv(1024)
        self.secondaries[number] = sock
        return True

    def manage(self, port: int) -> None:
        server = socket.create_server(("", port))
        while True:
            sock, where = server.accept()
            line = sock.recv(1024).strip()
            print(f"Thread-1\n{where[0]}\n{line.decode()}", flush=True)
            if self.since("18.05") and os.environ.get("FAKE_PYTHON", "3") == "3":
                print("TypeError: 'in <string>' requires string as left operand, not int", flush=True)
                sock.close()  # cmd.py gets bytes, but needs text
                continue
            self.result = None
            self.onecmd(line.decode())
            if self.result is None:
                continue  # the client waits for ever
            sock.sendall(self.result)
            sock.close()

    def respond(self, word: str, text: str, shown: str = "") -> None:
        print(shown or text, flush=True)
        self.result = f"{word}\n{text}".encode()

    def ask(self, sock: socket.socket, command: str) -> str | None:
        """Return the reply, or None if the process closed its connection."""
        try:
            sock.sendall(command.encode())
            reply = b""
            while piece := sock.recv(1024):
                reply += piece
                if not self.vf or len(piece) < 1024:
                    break
        except OSError:
            return None
        return reply.decode() or None

    def do_status(self, _: str) -> None:
        primary, ids = int(self.primary is not None), list(self.secondaries)
        lines = ["Soft Patch Panel Status :", f"primary: {primary}", f"secondary count: {len(ids)}"]
        lines += [f"Connected secondary id: {number}" for number in ids]
        self.respond("OK", json.dumps({"primary": str(primary), "secondary": list(map(str, ids))}), "\n".join(lines))

    def do_pri(self, line: str) -> None:
        command = line[1:] if self.since("18.05") and not self.vf else line
        if command not in ("status", "exit", "clear"):
            wrong = f"Invalid pri command: '{command}'" if self.since("18.05") else "primary invalid command"
            self.respond("ERROR", wrong)
        elif self.primary is None:
            self.respond("NOTREADY", "primary not started")
        elif (reply := self.ask(self.primary, command)) is None:
            self.primary = None
            self.respond("OK", f"closing:{self.where}")
        else:
            self.respond("OK", f"recv:{self.where}:{{{reply}}}")

    def do_sec(self, line: str) -> None:
        number, cut, command = re.sub(r"\s?;\s?", ";", re.sub(r"\s+", " ", line)).partition(";")
        if not cut:
            return self.respond("ERROR", "error")
        sock = self.secondaries.get(int(number))
        if not self.vf and not self.is_valid(command.split(" ")):
            self.respond("ERROR", "invalid cmd")
        elif sock is None:
            self.respond("NOTREADY", f"secondary id {number} not exist")
        elif (reply := self.ask(sock, command)) is None:
            del self.secondaries[int(number)]
            self.respond("OK", f"closing:<socket fd={sock.fileno()}>")
        elif self.vf:
            shown = json.dumps(json.loads(reply), indent=4, separators=(", ", ": "))  # Python 2 writes a space there
            self.respond("OK", f"recv:{sock.fileno()}:len:{len(reply)}:\n{shown}\n")
        elif not self.since("18.05"):
            self.respond("OK", f"recv:{sock.fileno()}:{{{reply}}}")
        else:
            self.respond("OK", reply, shown_status(reply) if command == "status" else reply)
        return None

    def is_valid(self, words: list[str]) -> bool:
        """Return whether this release forwards the command."""
        match words:
            case ["status" | "exit" | "forward" | "stop"] | ["patch", "reset"]:
                return True
            case ["add" | "del", kind, number]:
                known = ("ring", "vhost", "pcap", "nullpmd") if self.since("18.02") else ("ring", "vhost")
                return kind in known and number.isdecimal()
            case ["patch", *ends] if len(ends) == 2:
                numbers = all(end.isdecimal() for end in ends)
                return numbers or (self.since("18.02") and all(re.match(r"\w+:\d+", end) for end in ends))
        return False

    def do_bye(self, _: str) -> bool:
        return True

    def emptyline(self) -> bool:
        return False


def shown_status(reply: str) -> str:
    """Return the status of a secondary as 18.05 prints it at its prompt. The management port sends the reply itself."""
    status, _, ports = reply.replace("\0", "").replace("'", "").partition("\n")
    pairs = [pair.split("-") for pair in ports.removeprefix("ports: ").split(",") if "-" in pair]
    if not pairs:
        return f'{status}\nports: "no ports"'
    rows = sorted(f"  - '{src}'" if dst == "null" else f"  - '{src} -> {dst}'" for src, dst in pairs)
    return "\n".join((status, "ports:", *rows))


def main(version: str, vf: bool = False) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", dest="pri", type=int, required=True)
    parser.add_argument("-s", dest="sec", type=int, required=True)
    manages = not vf and VERSIONS.index(version) >= VERSIONS.index("17.08")
    if manages:
        parser.add_argument("-m", dest="manage", type=int, default=7777)
        parser.add_argument("-ip", default="")
    options = parser.parse_args()
    options.manage = options.manage if manages else 0
    Spp(version, vf, options).cmdloop()
    sys.exit(0)
