"""The rule language and its engine: load, check, compile and evaluate, without I/O."""
