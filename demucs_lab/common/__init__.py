"""What every room may use: where files live, tables as text, memory."""
