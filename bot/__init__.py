"""The front door and the way out: channels, gateway, delivery, jobs and the command line."""
