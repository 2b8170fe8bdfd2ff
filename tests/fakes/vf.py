"""A fake spp_vf: staged until `flush` up to 18.05, `classifier_mac` until 18.08.3.

(docs/spp-protocol.md, Components)
"""

import json

from tests.fakes.link import SILENCE, Fake, main, results

LIMITS = {"forward": (1, 1), "merge": (99, 1), "classifier": (1, 99), "mirror": (1, 2)}


class Vf(Fake):
    kind = "vf"
    cores = (2, 3, 4)

    def __init__(self, options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(options)
        self.parts: dict[str, dict[str, object]] = {}
        self.table: list[dict[str, str]] = []
        self.staged: tuple[str, str] | None = None

    def answer(self, words: list[str]) -> bytes:
        if words == ["_get_client_id"]:
            kind = {} if self.before("18.08.1") else {"process_type": self.kind}
            return results(client_id=self.id, **kind)
        if words == ["status"]:
            return results(info=self.info())
        if words == ["exit"]:
            self.ended = True
            return SILENCE if self.before("18.08.2") else results()
        if words in (["flush"], ["cancel"]) and self.before("18.08.1"):
            if words == ["cancel"] and self.staged:
                self.parts, self.table = (json.loads(text) for text in self.staged)
            self.staged = None
            return results()
        if self.before("18.08.1") and self.staged is None:
            self.staged = json.dumps(self.parts), json.dumps(self.table)
        error = "" if self.options.lie else self.change(words)
        return results(error)

    def bad(self, name: str) -> str:
        return f"Invalid value ({name})" if not self.before("18.08.3") else f"bad value({name})"

    def change(self, words: list[str]) -> str:
        match words:
            case ["component", "start", name, core, kind]:
                return self.start(name, core, kind)
            case ["component", "stop", name]:
                self.parts.pop(name, None)
                return ""
            case ["port", action, uid, way, name, *vlan]:
                return self.port(action, uid, way, name, vlan)
            case ["classifier_table", action, "mac", mac, uid] if self.kind == "vf":
                return self.classify(action, "mac", mac, uid)
            case ["classifier_table", action, "vlan", vid, mac, uid] if self.kind == "vf":
                return self.classify(action, "vlan", f"{vid}/{mac}", uid)
            case ["component" | "port" | "classifier_table", *_]:
                return "Wrong message format" if not self.before("18.08.3") else "bad message format"
        return self.bad("command")

    def start(self, name: str, core: str, kind: str) -> str:
        classifier = "classifier_mac" if self.before("18.08.4") else "classifier"
        known = ("mirror",) if self.kind == "mirror" else ("forward", "merge", classifier)
        if kind not in known:
            return self.bad("component type")
        if int(core) not in self.cores:
            return self.bad("core")
        if name in self.parts:
            return self.bad("component name")
        self.parts[name] = {"core": int(core), "name": name, "type": kind, "rx_port": [], "tx_port": []}
        return ""

    def port(self, action: str, uid: str, way: str, name: str, vlan: list[str]) -> str:
        if name not in self.parts:
            return self.bad("component name")
        ports = self.parts[name][f"{way}_port"]
        assert isinstance(ports, list)
        if action == "del":
            found = [p for p in ports if p["port"] == uid]
            for port in found:
                ports.remove(port)
            return "" if found else "error occur"
        most = LIMITS[str(self.parts[name]["type"]).removesuffix("_mac")][way == "tx"]
        if len(ports) >= most:
            return "error occur"
        operation = {"add_vlantag": "add", "del_vlantag": "del"}.get(vlan[0] if vlan else "", "none")
        number, pcp = (int(vlan[1]), int(vlan[2])) if operation == "add" else (0, 0)
        ports.append({"port": uid, "vlan": {"operation": operation, "id": number, "pcp": pcp}})
        return ""

    def classify(self, action: str, kind: str, value: str, uid: str) -> str:
        entry = {"type": kind, "value": value, "port": uid}
        if (entry in self.table) == (action == "add"):
            return "error occur"
        (self.table.append if action == "add" else self.table.remove)(entry)
        return ""

    def info(self) -> dict[str, object]:
        numbers: list[object] = [0, 1] if self.before("19.11") else ["0", "1"]
        used = {part["core"] for part in self.parts.values()}
        idle = [{"core": core, "type": "unuse"} for core in self.cores if core not in used]
        found: dict[str, object] = {"client-id": self.id, "phy": numbers, "vhost": [], "ring": numbers[:1]}
        found |= {} if self.before("18.08.3") else {"master-lcore": 1}
        found["core"] = [*self.parts.values(), *idle]
        return found | ({"classifier_table": self.table} if self.kind == "vf" else {})


if __name__ == "__main__":
    main(Vf)
