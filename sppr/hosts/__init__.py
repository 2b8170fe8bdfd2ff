"""A lab over several hosts: one conf.yml for each, which Ansible places there and starts with the ordinary commands."""
