"""Who is let in, and who gives way, when there is more to do than can be done."""
