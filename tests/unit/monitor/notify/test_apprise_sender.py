from __future__ import annotations

import pytest
from apprise.result import AppriseResult, AppriseResultStatus

from monitor.notify.apprise_sender import verdict
from monitor.notify.sender import Verdict


@pytest.mark.parametrize(
    ("status", "said", "wanted"),
    [
        (AppriseResultStatus.SUCCESS, [], Verdict.DELIVERED),
        (AppriseResultStatus.NOMATCH, [], Verdict.FATAL),
        (AppriseResultStatus.PARTIAL, [], Verdict.TRANSIENT),
        (AppriseResultStatus.TIMEOUT, [], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, [], Verdict.TRANSIENT),
        (
            AppriseResultStatus.FAILURE,
            ["Failed to send JSON POST notification: Page not found., error=404."],
            Verdict.FATAL,
        ),
        (AppriseResultStatus.FAILURE, ["Failed to send Slack notification: error=401."], Verdict.FATAL),
        (AppriseResultStatus.FAILURE, ["Failed to send JSON POST notification: error=429."], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, ["Failed to send JSON POST notification: error=408."], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, ["Failed to send JSON POST notification: error=503."], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, ["error=404.", "error=503."], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, ["Socket Exception: (535, b'5.7.8 credentials invalid')"], Verdict.FATAL),
        (AppriseResultStatus.FAILURE, ["Socket Exception: {'b@x.com': (550, b'no such user')}"], Verdict.FATAL),
        (AppriseResultStatus.FAILURE, ["SMTP recipient b@x.com was refused: 550 b'no such user'"], Verdict.FATAL),
        (AppriseResultStatus.FAILURE, ["Socket Exception: (451, b'4.7.1 greylisted')"], Verdict.TRANSIENT),
        (AppriseResultStatus.FAILURE, ["Socket Exception: [Errno 111] Connection refused"], Verdict.TRANSIENT),
        (
            AppriseResultStatus.FAILURE,
            ["Socket Exception: HTTPSConnectionPool(host='x', port=587): timed out"],
            Verdict.TRANSIENT,
        ),
    ],
)
def test_what_apprise_says_decides_whether_to_try_again(status, said, wanted):
    assert verdict(AppriseResult(status), said) is wanted
