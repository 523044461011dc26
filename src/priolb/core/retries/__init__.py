"""What follows a try that failed, or that takes long."""
