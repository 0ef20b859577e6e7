"""The Kubernetes API, for the processes that use it: only `client` needs the library, which others do without."""
