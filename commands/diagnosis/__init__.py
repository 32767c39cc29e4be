"""What `doctor` looks at, and the bundle without secrets."""
