"""``config``: what SPP's prompt lets one set (spp-facts 6.2); it feeds the completion of ``pri; launch``. Pure."""

from sppr.controller.errors import BadValue

DEFAULTS = {
    "max_secondary": ("16", "greatest id that completion offers"),
    "prompt": ("spp > ", "the prompt"),
    "sec_mem": ("-m 512", "memory of a secondary that is launched"),
    "sec_m_lcore": ("2", "its master lcore"),
    "sec_wait_launch": ("0.5", "seconds between launches"),
    "sec_vhost_cli": ("", "not empty: --vhost-client"),
    "sec_nfv_nof_lcores": ("1", "lcores of an nfv beside the master"),
    "sec_vf_nof_lcores": ("3", "lcores of a vf beside the master"),
    "sec_mirror_nof_lcores": ("2", "lcores of a mirror beside the master"),
    "sec_pcap_nof_lcores": ("2", "lcores of a pcap beside the master"),
    "sec_pcap_port": ("phy:0", "port that a pcap captures"),
    "topo_size": ("60%", "width of what topo draws"),
}
_NUMBERS = ("max_secondary", "sec_m_lcore", "sec_wait_launch")


class Settings:
    def __init__(self) -> None:
        self.values = {key: value for key, (value, _) in DEFAULTS.items()}

    def command(self, args: tuple[str, ...]) -> list[str]:
        """``config [KEY [VALUE]]``; a KEY may be the beginning of several."""
        key, *value = args or ("",)
        if not value:
            found = [k for k in DEFAULTS if k.startswith(key)]
            if not found:
                raise BadValue(f"{key}: no such key", hint=f"one of {', '.join(DEFAULTS)}")
            return [f'- {k}: "{self.values[k]}"\t# {DEFAULTS[k][1]}' for k in found]
        if key not in DEFAULTS:
            raise BadValue(f"{key}: no such key", hint=f"one of {', '.join(DEFAULTS)}")
        text = " ".join(value)
        if text in ('""', "''"):
            text = ""
        number = text.replace(".", "", 1) if key == "sec_wait_launch" else text
        if (key in _NUMBERS or key.endswith("_nof_lcores")) and not (number.isdecimal() and len(text) < 6):
            raise BadValue(f"{text!r} is not a number", hint=f"config {key} {DEFAULTS[key][0]}")
        self.values[key] = text + (" " if key == "prompt" and text else "")
        return [f'Set {key}: "{self.values[key]}"']

    def launch(self, kind: str, client_id: str, free: list[int], sec_address: str) -> str:
        """A whole ``launch`` but for its first words, with lcores nobody uses."""
        v = self.values
        workers = free[: int(v[f"sec_{kind}_nof_lcores"])]
        lcores = ",".join([v["sec_m_lcore"], *map(str, workers)])
        option = "-n" if kind == "nfv" else "--client-id"
        port = f" -c {v['sec_pcap_port']}" if kind == "pcap" else ""
        vhost = " --vhost-client" if v["sec_vhost_cli"] and kind != "pcap" else ""
        return " ".join(f"-l {lcores} {v['sec_mem']} -- {option} {client_id} -s {sec_address}{port}{vhost}".split())
