"""THE list of fuzz targets: each is a pure function of some bytes, which fails where a promise is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fuzz import answers, backend, browser, documents, framings, issuer, messages, redaction, requests

if TYPE_CHECKING:
    from collections.abc import Callable

    Target = Callable[[bytes], None]

TARGETS: Final[dict[str, Target]] = {
    target.__name__.removeprefix("fuzz_"): target
    for target in (
        framings.fuzz_ndjson,
        framings.fuzz_frames,
        framings.fuzz_upgrade,
        framings.fuzz_detect,
        messages.fuzz_envelope,
        messages.fuzz_params,
        messages.fuzz_thread_id,
        messages.fuzz_client,
        browser.fuzz_loopback,
        browser.fuzz_callback,
        browser.fuzz_pasted,
        issuer.fuzz_claims,
        issuer.fuzz_last_refresh,
        issuer.fuzz_device_start,
        issuer.fuzz_device_polling,
        issuer.fuzz_refresh,
        issuer.fuzz_token_answer,
        documents.fuzz_record,
        documents.fuzz_toml,
        documents.fuzz_host_pattern,
        documents.fuzz_config,
        documents.fuzz_limits,
        documents.fuzz_requirements,
        documents.fuzz_bundle,
        backend.fuzz_payload,
        requests.fuzz_request,
        answers.fuzz_answer,
        redaction.fuzz_redaction,
    )
}
