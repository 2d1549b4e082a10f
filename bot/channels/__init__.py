"""One module a channel; base.py says what all of them are to the gateway."""
