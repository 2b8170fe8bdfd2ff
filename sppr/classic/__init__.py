"""The keeper of spp.py, the controller of SPP up to 18.05: its prompt is the user's, the launcher asks beside them."""
