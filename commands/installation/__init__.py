"""Setting up a checkout and running its services under PM2."""
