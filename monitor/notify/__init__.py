"""From a transition to a message that arrived: compose, render, queue, send."""
