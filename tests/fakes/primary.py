"""A fake spp_primary of 18.08.1 and later: padded JSON; forwards since 19.08, has flow rules since 19.11.

(docs/spp-protocol.md, Primary commands, Primary status)
"""

from tests.fakes.link import ECHO, Fake, compact, main


class Primary(Fake):
    kind = "primary"

    def __init__(self, options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(options)
        self.ports = [f"phy:{n}" for n in range(options.nics)]
        self.patches: list[dict[str, str]] = []
        self.pipes: list[dict[str, int]] = []
        self.rules: list[str] = []
        self.running = False

    def answer(self, words: list[str]) -> bytes:
        head = words[0]
        if head == "status":
            return compact(**self.status())
        if head == "clear" and self.before("18.08.4"):
            return b'{"status": "cleared"}'
        if head == "exit":
            self.ended = True
            return ECHO if self.before("18.08.4") else compact(result="succeeded", command="exit")
        if head == "launch" and not self.before("18.08.2"):
            return compact(result="succeeded", command="launch")
        if head == "flow" and not self.before("19.11"):
            return self.flow(words)
        if head in ("add", "del") and not self.before("18.08.4"):
            return self.change(words)
        if self.before("19.08") and head != "clear":
            return ECHO
        match words:
            case ["clear"]:
                pass
            case ["forward" | "stop"]:
                self.running = head == "forward"
            case ["patch", "reset"]:
                self.patches.clear()
                return ECHO
            case ["patch", src, dst]:
                good = src in self.ports and dst in self.ports
                self.patches += [{"src": src, "dst": dst}] if good else []
                return compact(
                    result="succeeded" if good else "failed", command="patch", ports={"src": src, "dst": dst}
                )
            case _:
                return ECHO
        return compact(result="succeeded", command=head)

    def change(self, words: list[str]) -> bytes:
        uid = words[1]
        if ":" not in uid:
            self.ended = True  # real ones terminate after replying
        good = (uid in self.ports) == (words[0] == "del")
        if good and uid.startswith("pipe:"):
            self.pipes.append({"id": int(uid[5:]), "rx": int(words[2][5:]), "tx": int(words[3][5:])})
        elif good:
            (self.ports.append if words[0] == "add" else self.ports.remove)(uid)
            self.running = self.running and words[0] == "add"
        return compact(result="succeeded" if good else "failed", command=words[0], port=uid)

    def flow(self, words: list[str]) -> bytes:
        if words[1] == "destroy":
            self.rules.clear()
            return compact(result="success", message="Flow rule destroyed")
        if "pattern" not in words or words[-2:] != ["/", "end"]:
            return compact(result="error", message="Flow command invalid argument")
        if words[1] == "create":
            self.rules.append(" ".join(words))
            number = str(len(self.rules) - 1)
            return compact(result="success", message=f"Flow rule #{number} created", rule_id=number)
        return compact(result="success", message="Flow rule validated")

    def status(self) -> dict[str, object]:
        phy = [
            {"id": n, "eth": f"0a:00:00:00:00:1{n}", "rx": 0, "tx": 0, "tx_drop": 0} for n in range(self.options.nics)
        ]
        if not self.before("19.11"):
            phy = [port | {"nof_queues": {"rx": 1, "tx": 1}, "flow": []} for port in phy]
        found: dict[str, object] = {"master-lcore": 0} if not self.before("19.08") else {}
        if not self.before("18.08.2"):
            found["lcores"] = [0, 1]
        if not self.before("19.08"):
            state = "running" if self.running else "idling"
            found["forwarder"] = {"status": state, "ports": self.ports, "patches": self.patches}
        found |= {"phy_ports": phy, "ring_ports": [{"id": 0, "rx": 0, "rx_drop": 0, "tx": 0, "tx_drop": 0}]}
        return found if self.before("19.11") else found | {"pipes": self.pipes}


if __name__ == "__main__":
    main(Primary)
