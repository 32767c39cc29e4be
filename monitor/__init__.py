"""Status over HTTP, read from files only."""
