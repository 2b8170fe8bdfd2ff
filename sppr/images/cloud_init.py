"""The NoCloud seed: a little disk that cloud-init finds by its label, and takes a guest's first settings from.

Ours does one thing: it has the serial console log in by itself, so that a template can be filled over it. Images
without cloud-init do not mind it. What an instance is comes by fw_cfg, for any image (guest/root/usr/lib/sppr/).
"""

from pathlib import Path

from sppr.run import run

_AUTOLOGIN = "/etc/systemd/system/serial-getty@ttyS0.service.d/sppr.conf"
_BAUD = "115200,57600,38400,9600"
#: bootcmd: it runs before systemd lets anybody log in. ``--keep-baud`` as Debian's own unit has it.
_USER_DATA = f"""\
#cloud-config
disable_root: false
ssh_deletekeys: false
ssh_genkeytypes: []
package_update: false
bootcmd:
  - mkdir -p {_AUTOLOGIN.rpartition("/")[0]}
  - |
    (echo '[Service]'; echo ExecStart=; echo 'ExecStart=-/sbin/agetty --autologin root --keep-baud {_BAUD} - $TERM') \\
        > {_AUTOLOGIN}
  - systemctl daemon-reload
"""
_FILES = {
    "user-data": _USER_DATA,
    "meta-data": "instance-id: sppr-template\nlocal-hostname: sppr-template\n",
    # No network of cloud-init's: it would be that of the template's one NIC, and stay.
    "network-config": "config: disabled\n",
}


def make(target: Path) -> None:
    """Write the seed: a floppy's FAT, labelled CIDATA."""
    run(["mformat", "-C", "-i", target, "-f", "1440", "-v", "CIDATA", "::"])
    for name, text in _FILES.items():
        source = target.with_name(name)
        source.write_text(text)
        run(["mcopy", "-i", target, source, f"::{name}"])
        source.unlink()
