"""A paper exchange that speaks the venues' own REST protocols."""
