"""Settings: one module a section, and the loader that reads them from files and the environment."""
