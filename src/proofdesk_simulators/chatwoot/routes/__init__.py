"""The HTTP routes: each handler takes a `Call` and returns a JSON value."""
