"""REST v1, the HTTP interface of the controller: the calls, bodies and status codes of spp-ctl, the OpenAPI document,
and the limits of the server.

It calls the patch panel and its modules. It must not know the prompt or the dialects of the SPP releases.
"""
