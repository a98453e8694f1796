"""HTTP: the ASGI application, its middleware, the JSON API, the pages and the webhooks."""
