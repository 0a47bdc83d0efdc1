from __future__ import annotations

import pytest
from apprise import Apprise
from apprise.result import AppriseResult, AppriseResultStatus

from monitor.notify.apprise_sender import _public, _secrets, verdict
from monitor.notify.redaction import redacted
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


@pytest.mark.parametrize(
    ("url", "said", "wanted"),
    [
        (
            "slack://TPLANTED1/BPLANTED2/CPLANTED3CPLANTED3CPLAN",
            "Max retries exceeded with url: https://hooks.slack.com/services/TPLANTED1/BPLANTED2/CPLANTED3CPLANTED3CPLAN",
            "Max retries exceeded with url: https://hooks.slack.com/services/***/***/***",
        ),
        (
            "tgram://123456789:PLANTEDplantedPLANTEDplantedPLANT12/98765",
            "no answer of /bot123456789:PLANTEDplantedPLANTEDplantedPLANT12/sendMessage",
            "no answer of /bot***:***/sendMessage",
        ),
        ("json://hooks.example.com/PLANTED", "hooks.example.com/PLANTED: no", "hooks.example.com/***: no"),
    ],
)
def test_a_token_in_a_hosts_place_is_a_secret_and_a_webhooks_host_is_not(url: str, said: str, wanted: str):
    service = Apprise.instantiate(url)
    secrets = _secrets(url, service)
    assert redacted([said], secrets) == [wanted]
    assert "PLANTED" not in _public(url, service, secrets)
