"""A fake spp_pcap of 18.08.2 and later: status, start, stop, exit. A second start or stop succeeds, too.

(docs/spp-protocol.md, Components)
"""

from tests.fakes.link import Fake, main, results


class Pcap(Fake):
    kind = "pcap"
    running = False

    def answer(self, words: list[str]) -> bytes:
        match words:
            case ["_get_client_id"]:
                return results(client_id=self.id, process_type="pcap")
            case ["status"]:
                return results(info=self.info())
            case ["start" | "stop"]:
                self.running = words == ["start"] and not self.options.lie
            case ["exit"]:
                self.ended = True
            case _:
                return results("bad value(command)" if self.before("18.08.3") else "Invalid value (command)")
        return results()

    def info(self) -> dict[str, object]:
        name = "/tmp/spp_pcap.20200102030405.phy0.1.1.pcap.lz4" if self.running else ""
        cores = [{"core": 3, "role": "receive", "rx_port": [{"port": "phy:0"}]}]
        writer = {"core": 4, "role": "write", "filename": name}
        state = "running" if self.running else "idle"
        master = {} if self.before("18.08.3") else {"master-lcore": 2}
        return {"client-id": self.id, "status": state, **master, "core": [*cores, writer]}


if __name__ == "__main__":
    main(Pcap)
