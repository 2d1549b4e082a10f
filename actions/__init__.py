"""Rasa actions by topic: read the message, call one verb, word the answer."""
