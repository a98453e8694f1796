"""What carries a message out of the house: a folder a channel, each behind the interface in `provider`."""
