"""What every part of the package may use: where files live, tables as text, memory."""

VERSION = "0.1.0"
