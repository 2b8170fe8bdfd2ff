"""The web page of the patch panel, its live data, and the metrics for Prometheus, beside REST."""
