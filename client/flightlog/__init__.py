"""flightlog: a flight recorder for executions."""
