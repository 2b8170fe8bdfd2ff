"""spp.py and spp_vf.py of 16.07 to 18.05: TCP server, prompt, management port (spp-facts 2.3, 3.2, 3.3, 3.10, 6.4)."""

import argparse
import cmd
import json
import socket
import sys
import threading

from tests.fakes.link import VERSIONS


class Spp(cmd.Cmd):
    prompt = "spp > "
    intro = "Welcome to the spp.   Type help or ? to list commands.\n"

    def __init__(self, version: str, vf: bool, options: argparse.Namespace) -> None:
        super().__init__()
        self.version, self.vf = version, vf
        self.primary: socket.socket | None = None
        self.where = None
        self.secondaries: dict[int, socket.socket] = {}
        self.said: list[str] | None = None
        threading.Thread(target=self.accept, args=(options.pri, self.take_primary), daemon=True).start()
        threading.Thread(target=self.accept, args=(options.sec, self.take), daemon=True).start()
        if options.manage:
            threading.Thread(target=self.manage, args=(options.manage,), daemon=True).start()

    def since(self, version: str) -> bool:
        return VERSIONS.index(self.version) >= VERSIONS.index(version)

    def accept(self, port: int, take) -> None:  # type: ignore[no-untyped-def]
        server = socket.socket()
        server.bind(("", port))  # no address reuse
        server.listen(1)
        while True:
            sock, where = server.accept()
            take(sock, where)

    def take_primary(self, sock: socket.socket, where: object) -> None:
        self.primary, self.where = sock, where  # type: ignore[assignment]

    def take(self, sock: socket.socket, _: object) -> None:
        sock.sendall(b"_get_client_id")
        said = sock.recv(1024)
        if self.vf:
            number = int(json.loads(said)["client_id"])
        else:
            number = int(said.split(b"\0")[0])
            if not 0 <= number <= 16:
                raise SystemExit  # the accept loop ends for good
            if number in self.secondaries:
                number = next(n for n in range(17) if n not in self.secondaries)
                sock.sendall(f"_set_client_id {number}".encode())
                sock.recv(1024)
        self.secondaries[number] = sock

    def manage(self, port: int) -> None:
        server = socket.create_server(("", port))
        while True:
            sock, _ = server.accept()
            line = sock.recv(1024).decode().strip()
            if line == "status":
                ids = [str(n) for n in self.secondaries]
                text = json.dumps({"primary": "1" if self.primary else "0", "secondary": ids})
            else:
                self.said = []
                self.onecmd(line)
                text, self.said = "\n".join(self.said), None
                if not text:
                    continue  # left waiting for ever
            sock.sendall(f"OK\n{text}".encode())
            sock.close()

    def tell(self, text: str) -> None:
        if self.said is not None:
            self.said.append(text)
        else:
            print(text, flush=True)

    def ask(self, sock: socket.socket, command: str) -> str | None:
        try:
            sock.sendall(command.encode())
            return sock.recv(1024).decode() or None
        except OSError:
            return None

    def do_status(self, _: str) -> None:
        self.tell("Soft Patch Panel Status :")
        self.tell(f"primary: {int(self.primary is not None)}")
        self.tell(f"secondary count: {len(self.secondaries)}")
        for number in self.secondaries:
            self.tell(f"Connected secondary id: {number}")

    def do_pri(self, line: str) -> None:
        if line.startswith(";") != self.since("18.05"):
            self.tell("Invalid command")
        elif self.primary is None:
            self.tell("recv:-:primary not connected")
        elif (said := self.ask(self.primary, line.lstrip(";").strip())) is None:
            self.tell(f"closing:{self.where}")
            self.primary = None
        else:
            self.tell(f"recv:{self.where}:{{{said}}}")

    def do_sec(self, line: str) -> None:
        number, _, command = line.partition(";")
        sock = self.secondaries.get(int(number))
        if sock is None:
            self.tell(f"secondary id {number} not exist")
        elif (said := self.ask(sock, command)) is None:
            self.tell(f"closing:{sock.fileno()}")
            del self.secondaries[int(number)]
        elif self.vf:
            self.tell(json.dumps(json.loads(said), indent=4, sort_keys=True))
        else:
            self.tell(f"recv:{sock.fileno()}:{{{said}}}")

    def do_bye(self, _: str) -> bool:
        return True

    def emptyline(self) -> bool:
        return False


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
