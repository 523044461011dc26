"""Towards clients: who may connect, what they ask for, whether it is let in, and what they are answered."""
