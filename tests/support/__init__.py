"""Servers, builders and page objects that tests of several folders share."""
