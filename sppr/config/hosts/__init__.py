"""A lab over several hosts in conf.yml: hosts and links, the placement of parts, the conf.yml of each host."""
