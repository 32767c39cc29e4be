"""What `config` does with each file, with and without questions."""
