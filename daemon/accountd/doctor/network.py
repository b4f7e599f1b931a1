"""The way to the issuer and the backend: proxy, certificates, a real request to each, and the time of day."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trio

from accountd.doctor.findings import fail, ok, warn
from accountd.doctor.route import find_fault
from accountd.errors import RemoteUnreachable, UnusableBundle, UnusableProxy, describe_status
from accountd.system.clock import SKEW, describe_skew
from accountd.web.answer import parse_date
from accountd.web.ca_bundle import NOBODY, NOBODY_REMEDY, STAND_IN, Trust, add_file, find_file
from accountd.web.proxies import choose_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings


async def check_proxy(surroundings: Surroundings) -> Finding:
    """Report which proxy a request to the issuer goes through, without its password."""
    try:
        proxy = choose_proxy((await surroundings.config()).issuer, await surroundings.network_environ())
    except UnusableProxy as error:
        return fail(str(error), error.remedy)
    if proxy is None:
        return ok("requests to the issuer go through no proxy")
    return ok(f"requests to the issuer go through {proxy}", proxy=proxy.url)


async def check_ca(surroundings: Surroundings) -> Finding:
    """Read the certificates of authorities: those that the environment names, and the system's."""
    environ = await surroundings.network_environ()
    return await trio.to_thread.run_sync(_look_at_certificates, environ, abandon_on_cancel=True)


def _look_at_certificates(environ: Mapping[str, str]) -> Finding:
    trust = Trust(environ)
    try:
        trust.open()
        named = find_file(environ)
        if trust.is_empty():
            return fail(NOBODY, NOBODY_REMEDY)
        if named is None:
            return ok("those of the system, or what stands for them")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        add_file(context, named)
    except UnusableBundle as error:
        return fail(error.problem, error.remedy)
    count = context.cert_store_stats()["x509"]
    where = "in place of those" if named.variable == STAND_IN else "besides those"
    return ok(f"{count} of {named.path}, {where} of the system", variable=named.variable)


async def check_issuer(surroundings: Surroundings) -> Finding:
    """Send a request to the issuer."""
    return await _check_endpoint(surroundings, (await surroundings.config()).issuer)


async def check_backend(surroundings: Surroundings) -> Finding:
    """Send a request to the backend."""
    return await _check_endpoint(surroundings, (await surroundings.config()).backend)


async def _check_endpoint(surroundings: Surroundings, url: str) -> Finding:
    """Any answer will do but one that says that the server is broken: whoever asks is not logged in."""
    for name, check in (("network.ca", check_ca), ("network.proxy", check_proxy)):
        if (await check(surroundings)).verdict == "fail":
            return warn("no request can be sent", f"see {name} first", url=url)
    probe = await surroundings.probe(url)
    if isinstance(probe.answer, RemoteUnreachable):
        fault = await find_fault(url, await surroundings.network_environ(), probe.answer)
        return fail(fault.text, fault.remedy, url=url, stage=fault.stage)
    answer = probe.answer
    status = describe_status(answer.status)
    if answer.status == 407:
        return fail(
            f"the proxy wants a password: {status}", "put it into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"
        )
    if answer.status >= 500:
        return warn(f"{url} is in trouble: {status}", "wait, and try again", url=url, status=status)
    return ok(f"{url} answers: {status}", url=url, status=status)


async def check_clock(surroundings: Surroundings) -> Finding:
    """Compare the clock with the issuer's, whose answer says what time it is (RFC 9110 section 6.6.1)."""
    probe = await surroundings.probe((await surroundings.config()).issuer)
    if isinstance(probe.answer, RemoteUnreachable):
        return warn("cannot be compared with that of the issuer, which does not answer", "see network.issuer first")
    moment = parse_date(probe.answer.date)
    if moment is None:
        return ok("the issuer does not say what time it is")
    skew = probe.at - moment
    if (text := describe_skew(skew)) is None:
        return ok(f"within {SKEW:.0f} s of the issuer's", skew=f"{skew:.0f}")
    return warn(text, "set the clock, as with `sudo timedatectl set-ntp true`", skew=f"{skew:.0f}")
