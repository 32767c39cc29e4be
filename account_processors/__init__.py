"""Exchange venues: one small file each over the shared base."""
