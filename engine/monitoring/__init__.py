"""What is measured: timings, counters, traces and logs, kept in this process and told to Prometheus."""
