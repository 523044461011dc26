"""What the program tells about itself: instruments that the logic calls, never lines inside it."""
