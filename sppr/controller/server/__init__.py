"""The server for SPP processes: TCP and unix sockets, permitted connections, handshakes, commands and replies, and the
dialects of the SPP releases.

It must not know REST, the prompt, or the commands of the patch panel.
"""
