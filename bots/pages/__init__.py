"""What pages show, made of what queries found: sentences, shares of limits, places on a rail. No view, no HTML."""
