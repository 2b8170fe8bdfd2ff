"""The NoCloud seed: a small disk that cloud-init finds by its label, and that contains the first settings of a guest.

The only setting is an automatic login on the serial console, so that a template can be filled through it. Images
without cloud-init ignore the disk. The identity of an instance comes through fw_cfg, which works for any image
(guest/root/usr/lib/sppr/).
"""

from pathlib import Path

from sppr.run import run

_AUTOLOGIN = "/etc/systemd/system/serial-getty@ttyS0.service.d/sppr.conf"
_BAUD = "115200,57600,38400,9600"
#: bootcmd runs before systemd permits logins. ``--keep-baud`` is as in Debian's unit.
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
    # cloud-init must not configure the network: the settings of the template's one NIC would stay in all instances.
    "network-config": "config: disabled\n",
}


def make(target: Path) -> None:
    """Write the seed: a floppy image with a FAT file system, labelled CIDATA."""
    run(["mformat", "-C", "-i", target, "-f", "1440", "-v", "CIDATA", "::"])
    for name, text in _FILES.items():
        source = target.with_name(name)
        source.write_text(text)
        run(["mcopy", "-i", target, source, f"::{name}"])
        source.unlink()
