"""Where everything that must survive a crash is kept: Valkey or Redis, embedded by default, and a memory store for tests."""
