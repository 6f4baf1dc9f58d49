"""Cross-origin requests: what browsers ask before a page may speak to the file service.

Source:
    https://learn.microsoft.com/rest/api/storageservices/preflight-file-request
"""

from collections.abc import Sequence

from batchai_recipes.service.files.answer import Answer
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.service_properties import CorsRule


def preflight_answer(call: Call, rules: Sequence[CorsRule]) -> Answer:
    """Answer a browser that asks whether a page may send a request; nobody has to sign for that.

    Args:
        call: The question.
        rules: The rules of the account.

    Raises:
        FileServiceError: The page may not, or the question lacks a header.
    """
    origin, method = call.header("origin"), call.header("access-control-request-method").upper()
    asked = call.headers.get("access-control-request-headers", "")
    headers = tuple(name.strip() for name in asked.split(",") if name.strip())
    for rule in rules:
        if rule.admits(origin, method, headers):
            return Answer(
                200,
                (
                    *_origin_headers(rule, origin),
                    ("Access-Control-Allow-Methods", method),
                    *((("Access-Control-Allow-Headers", ",".join(headers)),) if headers else ()),
                    ("Access-Control-Max-Age", rule.max_age),
                ),
            )
    raise FileServiceError(
        ErrorCode.CORS_PREFLIGHT_FAILURE,
        "No cross-origin rule of the account admits the request; set one with Set File Service "
        "Properties.",
        details={"MessageDetails": f"Origin {origin}, method {method}, headers {asked}"},
    )


def cors_headers(call: Call, rules: Sequence[CorsRule]) -> dict[str, str]:
    """Return the headers that let a page read an answer; none where no rule admits it.

    Args:
        call: The request.
        rules: The rules of the account.
    """
    origin = call.headers["origin"]
    for rule in rules:
        if rule.admits(origin, call.verb):
            exposed = ",".join(rule.exposed)
            return {
                **dict(_origin_headers(rule, origin)),
                **({"Access-Control-Expose-Headers": exposed} if exposed else {}),
            }
    return {"Vary": "Origin"} if rules else {}


def _origin_headers(rule: CorsRule, origin: str) -> tuple[tuple[str, str], ...]:
    if "*" in rule.origins:
        return (("Access-Control-Allow-Origin", "*"),)
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )
