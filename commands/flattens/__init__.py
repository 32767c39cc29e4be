"""What `flatten` waits for and looks at, and how it says what is left."""
