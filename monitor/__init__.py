"""The program: it wires feeds, state, rules, store and notifications together."""
