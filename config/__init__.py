"""Interactive configuration scripts."""
