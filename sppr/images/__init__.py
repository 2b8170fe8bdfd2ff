"""Create, inspect, change and remove disk images: base images, templates over them, and instances over templates.

It knows folders and images, and builds the base image from Debian packages. It must not know plans, sessions, or how a
VM is started.
"""
