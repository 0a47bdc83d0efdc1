"""Who is told of an alert, when, and why: from a transition in the store to entries in the outbox."""
