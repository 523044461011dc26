"""Who is next, and where to: pure decisions, with `now` and chance passed in."""
