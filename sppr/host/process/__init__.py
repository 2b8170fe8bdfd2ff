"""Find processes, the files and sockets that they use, and stop them. This package must not know which processes
belong to a lab."""
