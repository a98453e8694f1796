"""The door for people: pages, one file a room. A page and its htmx update share a partial."""
