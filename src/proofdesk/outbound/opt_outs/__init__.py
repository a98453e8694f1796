"""Opt-outs: by words in a message of a contact, and by the unsubscribe link of an e-mail."""
