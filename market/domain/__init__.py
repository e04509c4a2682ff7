"""The trading vocabulary: pure values and the arithmetic on them. Nothing here talks to anything."""
