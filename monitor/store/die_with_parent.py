"""Run in place of the server by a fresh interpreter: arranges that it ends with the daemon, then becomes the server.

Done here and not between fork and exec of the daemon, where Python code is not safe while other threads run.

    python die_with_parent.py PARENT_PID LOCK_FD PROGRAM [ARGUMENT...]
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGTERM when the daemon dies, write the server's process id into the lock file, become the server."""
    parent, lock, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the daemon ended before its server started")
    os.umask(0o077)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    os.execv(command[0], command)  # noqa: S606 - no shell on purpose


if __name__ == "__main__":
    main()
