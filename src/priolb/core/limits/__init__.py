"""What one caller may ask for."""
