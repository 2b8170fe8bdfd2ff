"""Resume VMs from a saved state instead of booting them."""
