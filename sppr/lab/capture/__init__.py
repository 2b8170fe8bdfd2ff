"""Captures of a lab: which sides of which ports, and the program that writes them into a file."""
