"""What a crowd costs the daemon: memory, leftovers and latency, beside another app-server if one is named."""
