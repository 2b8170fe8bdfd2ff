"""The SUDO_ASKPASS program: print the password that the running wakeup holds in memory. Standard library only."""

import socket
import sys


def main() -> int:
    """Print the password. Exit with status 1 if no wakeup answers; sudo then reports that no password was provided."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(10)
            asked.connect(sys.argv[1])
            password = b"".join(iter(lambda: asked.recv(4096), b""))
    except OSError:
        return 1
    sys.stdout.buffer.write(password)
    return 0 if password else 1


if __name__ == "__main__":
    sys.exit(main())
