"""Which proxy a request goes through: by each variable, and around it by each shape of NO_PROXY."""

from __future__ import annotations

import pytest

from accountd.errors import UnusableProxy
from accountd.web.proxies import choose_proxy

URL = "https://issuer.test/oauth/token"


@pytest.mark.parametrize(
    ("environ", "chosen"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:3128"}, "http://a:3128"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}, "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "all_proxy": "http://b:2"}, "http://a:1"),
        ({"https_proxy": "http://a:1", "ALL_PROXY": "http://b:2"}, "http://a:1"),
        ({"HTTPS_PROXY": "", "https_proxy": "http://a:1"}, None),
        ({"https_proxy": " ", "ALL_PROXY": "http://a:1"}, "http://a:1"),
        ({"http_proxy": "http://a:1"}, None),
        ({"https_proxy": "http://a:1", "ALL_PROXY": "nonsense", "http_proxy": "gopher://x"}, "http://a:1"),
        ({"https_proxy": "http://a:1\r"}, "http://a:1"),
        ({"https_proxy": " HTTP://A:1/ "}, "http://a:1"),
        ({"https_proxy": "a"}, "http://a:80"),
        ({"https_proxy": "https://a"}, "https://a:443"),
        ({"https_proxy": "socks5://a"}, "socks5://a:1080"),
        ({"https_proxy": "socks5h://[::1]:9"}, "socks5h://[::1]:9"),
        ({"https_proxy": "ada:s3cret@a:1"}, "http://a:1"),
        ({"https_proxy": "gopher://x", "NO_PROXY": "*"}, None),
    ],
)
def test_the_variable_of_the_scheme_goes_before_that_for_all(environ: dict[str, str], chosen: str | None) -> None:
    """What decides nothing is not even read; and what is shown has no password."""
    proxy = choose_proxy(URL, environ)
    assert (proxy and proxy.url) == chosen
    assert "s3cret" not in f"{proxy} {proxy!r}"


def test_user_and_password_may_have_any_character() -> None:
    """Those that would end them too early are written in hexadecimal digits."""
    proxy = choose_proxy(URL, {"https_proxy": "http://us%40er:pa%3Ass%2F@a:1"})
    assert proxy is not None
    assert (proxy.user, proxy.password.reveal(), proxy.variable) == ("us@er", "pa:ss/", "https_proxy")


@pytest.mark.parametrize(
    "value",
    [
        "nonsense://p",
        "socks4://p",
        "http:/p",
        "https:p:1",
        "http://p:0",
        '"http://p:1"',
        "http://",
        "http://p:port",
        "http://[",
        "http://p:99999",
        "http://p[::1]",
        "http://p q:1",
        "http://p\n:1",
        "http://p..q:1",
        "http://ada:1@s3cret/2@p:1",
        "http://ada:1/s3cret@p:1",
        "http://ada:1?s3cret@p:1",
        "http://ada:1#s3cret@p:1",
    ],
)
def test_what_is_no_proxy_is_refused_by_its_variable(value: str) -> None:
    """It is not passed over, which might lead to where the proxy forbids to go; nor repeated, with its password."""
    with pytest.raises(UnusableProxy, match=r"^HTTPS_PROXY (is not|has) [^3]*$"):
        choose_proxy(URL, {"HTTPS_PROXY": value, "ALL_PROXY": "http://good:1"})


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_covered"),
    [
        ("issuer.test", "issuer.test", True),
        ("issuer.test", "a.b.issuer.test", True),
        (".issuer.test", "issuer.test", True),
        (".issuer.test", "a.issuer.test", True),
        ("b.issuer.test", "issuer.test", False),
        ("suer.test", "issuer.test", False),
        ("test", "issuer.test", True),
        ("ISSUER.Test", "issuer.TEST", True),
        ("issuer.test.", "issuer.test", True),
        ("issuer.test", "issuer.test.", True),
        ("*", "issuer.test", True),
        ("*", "10.1.2.3", True),
        (" other ,, issuer.test ,", "issuer.test", True),
        ("other issuer.test", "issuer.test", True),
        ("issuer.test\r", "issuer.test", True),
        ("[::1],10.0.0.0/99,::/x,/8,[,],:,.,issuer.test", "issuer.test", True),
        ("[::1],fe80::/10,10.0.0.0/8,.", "issuer.test", False),
        ("issuer.test:443", "issuer.test", True),
        ("issuer.test:8443", "issuer.test", False),
        ("issuer.test:8443", "issuer.test:8443", True),
        ("http://issuer.test", "issuer.test", False),
        ("*.issuer.test", "issuer.test", False),
        ('"issuer.test"', "issuer.test", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("11.0.0.0/8,0::/0", "10.1.2.3", False),
        ("2.3", "10.1.2.3", False),
        ("2001:db8::1", "[2001:DB8:0::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("[2001:db8::1]:443", "[2001:db8::1]", True),
        ("[2001:db8::1]:80", "[2001:db8::1]", False),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::]/32", "[2001:db8::1]", True),
        ("[2001:db8::/32]", "[2001:db8::1]", True),
        ("fe80::/10,10.0.0.0/8", "[2001:db8::1]", False),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_of_every_shape(variable: str, no_proxy: str, host: str, is_covered: bool) -> None:
    """Names with what is below them, addresses and networks of both families, ports; the rest is passed over."""
    proxy = choose_proxy(f"https://{host}/", {"https_proxy": "http://p:1", variable: no_proxy})
    assert (proxy is None) is is_covered
