"""Tables, sessions, inbox, outbox, pictures and migrations; no rules of the trade."""
