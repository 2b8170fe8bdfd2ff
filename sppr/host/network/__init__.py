"""Read NICs, manage network namespaces, send and receive frames. This package must not know the chains of a lab."""
