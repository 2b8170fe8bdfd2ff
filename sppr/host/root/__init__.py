"""Run commands as root, by sudo and with its password, and run QEMU as an unprivileged user. This package must not
know what a lab runs as root."""
