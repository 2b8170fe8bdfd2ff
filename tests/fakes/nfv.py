"""A fake spp_nfv of 18.08.1 and later: digits as id in 18.08.1, echoes up to 18.08.3, then JSON.

(docs/spp-protocol.md, Client id, Nfv commands, Unchecked arguments)

``do_add`` and ``do_del`` reply success for an unknown port type, and write beside the table of ports. ``del`` leaves a
patch to the deleted port, whose end becomes ``udf``.
"""

import os
import socket
import threading

from tests.fakes.link import ECHO, Fake, compact, main


class Nfv(Fake):
    def __init__(self, options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(options)
        self.ports = [f"phy:{n}" for n in range(options.nics)]
        self.patches: list[dict[str, str]] = []
        self.running = False
        self.sockets: list[socket.socket] = []

    def answer(self, words: list[str]) -> bytes:
        if words == ["_get_client_id"]:
            if self.before("18.08.2"):
                return str(self.id).encode()
            return compact(results=[{"result": "success"}], client_id=self.id, process_type="nfv")
        if words == ["status"]:
            lcores = {} if self.before("18.08.2") else {"lcores": [1, 2]}
            lcores |= {} if self.before("18.08.3") else {"master-lcore": 1}  # type: ignore[dict-item]
            state = "running" if self.running else "idling"
            return compact(**{"client-id": self.id}, status=state, **lcores, ports=self.ports, patches=self.patches)
        reply = self.change(words)
        self.ended = words == ["exit"]
        return ECHO if self.before("18.08.4") and reply != ECHO else reply

    def listen(self, uid: str) -> bool:
        """Create sockN for vhost:N. If it exists, fail and remove it (docs/spp-protocol.md, Stale sockets)."""
        folder = os.environ.get("FAKE_SOCK_DIR")
        if not folder or not uid.startswith("vhost:"):
            return True
        path = f"{folder}/sock{uid[6:]}"
        if os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108
            return False
        server = socket.socket(socket.AF_UNIX)
        self.sockets.append(server)
        server.bind(path)
        server.listen()
        threading.Thread(target=lambda: self.sockets.append(server.accept()[0]), daemon=True).start()
        return True

    def kinds(self) -> tuple[str, ...]:
        """The port types that this release can add and delete."""
        kinds = ("ring", "vhost", "pcap", "nullpmd")
        return kinds if self.before("19.11") else (*kinds, "memif")

    def change(self, words: list[str]) -> bytes:
        if self.options.lie and words[0] in ("add", "patch"):
            return compact(result="succeeded", command=words[0], port=words[1])
        match words:
            case ["forward" | "stop" | "exit"]:
                self.running = words[0] == "forward"
                return compact(result="succeeded", command=words[0])
            case ["add" | "del", uid] if uid.partition(":")[0] not in self.kinds():
                self.ports[0] = "udf"
                self.patches = [{end: "udf" if p[end] == "phy:0" else p[end] for end in p} for p in self.patches]
                return compact(result="succeeded", command=words[0], port=uid)
            case ["add" | "del", uid]:
                good = (uid in self.ports) == (words[0] == "del")
                good = good and (words[0] == "del" or self.listen(uid))
                if good:
                    (self.ports.append if words[0] == "add" else self.ports.remove)(uid)
                    self.running = self.running and words[0] == "add"
                    if words[0] == "del":
                        left = [p for p in self.patches if p["src"] != uid]
                        self.patches = [p | {"dst": "udf"} if p["dst"] == uid else p for p in left]
                return compact(result="succeeded" if good else "failed", command=words[0], port=uid)
            case ["patch", "reset"]:
                self.patches.clear()
            case ["patch", src, dst]:
                good = src in self.ports and dst in self.ports
                self.patches += [{"src": src, "dst": dst}] if good else []
                ends = {"src": src, "dst": dst}
                return compact(result="succeeded" if good else "failed", command="patch", ports=ends)
        return ECHO


if __name__ == "__main__":
    main(Nfv)
