"""How a job of each toolkit becomes processes on nodes."""
