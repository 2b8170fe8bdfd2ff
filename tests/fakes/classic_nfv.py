"""A fake spp_nfv or spp_vm of 16.07 to 18.05: plain text, echoes, ports by number.

(docs/spp-protocol.md, Classic commands)
"""

from tests.fakes.link import ECHO, SILENCE, Fake, main


class ClassicNfv(Fake):
    default = "17.08"

    def __init__(self, options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(options)
        self.ports = {n: ("phy", n) for n in range(options.nics)}
        self.out: dict[int, int] = {}
        self.running = False

    def answer(self, words: list[str]) -> bytes:
        match words:
            case ["_get_client_id"]:
                return str(self.id).encode()
            case ["status"]:
                return self.status().encode()
            case ["exit"]:
                self.ended = True
                return SILENCE
            case ["forward" | "stop"]:
                self.running = words == ["forward"]
            case ["add", kind, number] if number.isdecimal() and not self.options.lie:
                if kind in ("ring", "vhost") or (kind in ("pcap", "nullpmd") and not self.before("18.02")):
                    self.ports[next(n for n in range(33) if n not in self.ports)] = (kind, int(number))
            case ["del", kind, number] if number.isdecimal():
                self.running = False
                gone = [n for n, port in self.ports.items() if port == (kind, int(number))]
                for n in gone:
                    del self.ports[n]
                self.out = {a: b for a, b in self.out.items() if a not in gone and b not in gone}
            case ["patch", "reset"]:
                self.out.clear()
            case ["patch", src, dst]:
                a, b = self.number(src), self.number(dst)
                if a in self.ports and b in self.ports:
                    self.out[a] = b
        return ECHO

    def number(self, text: str) -> int:
        if text.isdecimal():
            return int(text)
        kind, _, number = text.partition(":")
        known = {port: n for n, port in self.ports.items()} if not self.before("18.02") else {}
        return known.get((kind, int(number or -1)), -1)

    def status(self) -> str:
        if not self.before("18.05"):
            uid = {n: f"{kind}:{number}" for n, (kind, number) in self.ports.items()}
            pairs = ",".join(f"{uid[n]}-{uid[self.out[n]] if n in self.out else 'null'}" for n in self.ports)
            return f"status: {'running' if self.running else 'idling'}\nports: '{pairs}'"
        state = "Running" if self.running else "Idling"
        old = self.before("17.11")
        lines = [f"Client ID {self.id} {state}", str(self.id) if old else f"clinet_id:{self.id}"]
        for n, (kind, number) in self.ports.items():
            name = "PHY" if kind == "phy" else f"{kind.upper()}({number})"
            out = self.out.get(n)
            lines.append(
                f"port id: {n},on,{name},outport: {-99 if out is None else out}"
                if old
                else f"port_id:{n},on,{name},outport:{'none' if out is None else out}"
            )
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(ClassicNfv)
