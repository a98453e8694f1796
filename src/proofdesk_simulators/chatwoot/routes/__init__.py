"""The HTTP routes: each handler takes a `Call` and returns what is sent as JSON."""
