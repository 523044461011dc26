"""Who waits: lanes and the orders of their tickets, and which of them is next."""
