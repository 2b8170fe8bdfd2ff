"""The verbs of a lab over several hosts."""
