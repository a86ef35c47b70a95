"""Layer families, one file each. Importing this package fills the registry."""
