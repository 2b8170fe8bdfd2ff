"""Service chains: from conf.yml to patches, to their state, to their proof."""
