"""The live views of a running lab: what the controller shows of it on its web page and in ``/metrics``, and what ``sppr
top`` shows. Between the lab, which knows parts and chains, and the controller, which does not know the lab.
"""
