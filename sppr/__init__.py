"""A service function chain on a bench: SPP, its VMs and the patch panel between them, from one command."""
