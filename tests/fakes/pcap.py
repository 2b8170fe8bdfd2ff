"""spp_pcap: status, start, stop, exit (spp-facts 3.8)."""

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
                if self.running == (words == ["start"]):
                    return results("error occur")
                self.running = words == ["start"]
            case ["exit"]:
                self.ended = True
            case _:
                return results("Invalid value (command)")
        return results()

    def info(self) -> dict[str, object]:
        name = "/tmp/spp_pcap.20200102030405.phy0.1.1.pcap.lz4" if self.running else ""
        cores = [{"core": 3, "role": "receive", "rx_port": [{"port": "phy:0"}]}]
        writer = {"core": 4, "role": "write", "filename": name}
        state = "running" if self.running else "idle"
        return {"client-id": self.id, "status": state, "master-lcore": 2, "core": [*cores, writer]}


if __name__ == "__main__":
    main(Pcap)
