"""The property desk itself: pure rules, and the verbs that apply them."""
