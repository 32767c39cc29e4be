"""What the engine decides with: no venue, no source, no HTTP."""
