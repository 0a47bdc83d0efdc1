"""What must survive a crash: in Valkey or Redis, embedded by default, or in memory for tests."""
