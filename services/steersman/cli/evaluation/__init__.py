"""What `steersman evaluate` is made of: its data sets, the classifiers under test, and how results are shown."""
