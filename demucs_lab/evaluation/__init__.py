"""How good the shipped models are, and the ceiling above them."""
