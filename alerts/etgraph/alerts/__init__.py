"""Rules on what traces say: a workload that got slower fails the build, with the operators to blame."""
