"""Understanding: pure parsers of Chinese messages, and the thin Rasa components around the trained ones."""
