"""The settings of the prompt's ``config`` command, which are those of SPP's prompt.

Most are defaults for the completion of ``pri; launch``. Pure. (docs/spp-protocol.md, Settings)
"""

from sppr.controller.errors import BadValue

DEFAULTS = {
    "max_secondary": ("16", "highest id that completion offers"),
    "prompt": ("spp > ", "the prompt"),
    "sec_mem": ("-m 512", "memory of a launched secondary"),
    "sec_m_lcore": ("2", "master lcore of a launched secondary"),
    "sec_wait_launch": ("0.5", "seconds between launches"),
    "sec_vhost_cli": ("", "if not empty: --vhost-client"),
    "sec_nfv_nof_lcores": ("1", "lcores of an nfv in addition to the master"),
    "sec_vf_nof_lcores": ("3", "lcores of a vf in addition to the master"),
    "sec_mirror_nof_lcores": ("2", "lcores of a mirror in addition to the master"),
    "sec_pcap_nof_lcores": ("2", "lcores of a pcap in addition to the master"),
    "sec_pcap_port": ("phy:0", "port to capture of a pcap"),
    "topo_size": ("60%", "width of the drawings of topo"),
}
_NUMBERS = ("max_secondary", "sec_m_lcore", "sec_wait_launch")


class Settings:
    """The current value of every setting. ``values``: by key."""

    def __init__(self) -> None:
        self.values = {key: value for key, (value, _) in DEFAULTS.items()}

    def command(self, args: tuple[str, ...]) -> list[str]:
        """Carry out ``config [KEY [VALUE]]``, and return the lines to print. Without a value, KEY may be a prefix of
        several keys.

        Raise BadValue for an unknown key or an invalid value.
        """
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
        """Return the options of ``launch`` for a secondary, with lcores that no process uses."""
        v = self.values
        workers = free[: int(v[f"sec_{kind}_nof_lcores"])]
        lcores = ",".join([v["sec_m_lcore"], *map(str, workers)])
        option = "-n" if kind == "nfv" else "--client-id"
        port = f" -c {v['sec_pcap_port']}" if kind == "pcap" else ""
        vhost = " --vhost-client" if v["sec_vhost_cli"] and kind != "pcap" else ""
        return " ".join(f"-l {lcores} {v['sec_mem']} -- {option} {client_id} -s {sec_address}{port}{vhost}".split())
