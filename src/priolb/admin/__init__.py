"""The routes that show and change things: a view of what others know, with no socket here."""
