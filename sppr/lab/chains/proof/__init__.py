"""Prove with packets that a chain delivers all frames, through each hop, and to its own end only.

This package must not change the plan of a lab, and must restore every patch and port that it replaces.
"""
