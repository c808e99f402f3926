"""What every other package uses: errors, messages, text, names, addresses, threads. It imports none of the others."""
