"""Secrets in what is written into a run: by the names of values, and by what keys and tokens look like."""

from __future__ import annotations

import re
from typing import Final

from multiboard.facts.command import MASK

_NAMED: Final = re.compile(
    r"key|token(?!i[sz])|passw|passphrase|_pass\b|pwd|secret|credential|auth|cookie|signature|\bsas\b", re.IGNORECASE
)
_HARMLESS: Final = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY"})
_LOGIN: Final = re.compile(r"(?<=://)[^/\s'\"]{1,300}(?=@)")
_KEYS: Final = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[\w-]{16,}"
    r"|hf_[A-Za-z0-9]{20,}|sk-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AIza[\w-]{30,}|pypi-[\w-]{30,}"
    r"|eyJ[\w-]{8,4000}\.[\w-]{8,}\.[\w-]*)"  # JSON Web Token
)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)", re.DOTALL)
_BEARER: Final = re.compile(
    r"((?:\bbearer|\bauthorization['\"]?\s{0,4}[=:]\s{0,4}['\"]?\w{1,20}) )[\w.~+/-]{8,}=*", re.IGNORECASE
)
_QUERY: Final = re.compile(r"([?&][^=&\s]{0,40}(?:sig|token|key|credential|secret)[^=&\s]{0,40}=)[^&\s'\"]+", re.IGNORECASE)
_PASSWORD: Final = re.compile(
    r"((?:passw(?:or)?d|passphrase|pwd|secret|credentials?)[\w-]{0,40}['\"]?\s{0,4}[=:]\s{0,4}['\"]?)(?!\*\*\*)"
    r"(?:(?<=\")[^\"\n]+|(?<=')[^'\n]+|[^\s'\",;]+)",
    re.IGNORECASE,
)
_ASSIGNED: Final = re.compile(
    r"((?:key|token(?!i[sz]|s\b|s_)|auth)[\w-]{0,40}['\"]?\s{0,4}[=:]\s{0,4}['\"]?)"
    r"(?=[\w.~+/=-]{0,60}[A-Za-z])(?=[\w.~+/=-]{0,60}\d)[\w.~+/=-]{12,}",
    re.IGNORECASE,
)
"""What is assigned to a key: 12 characters or more with letters and digits, so that 'key: loss' and 'tokens: 512' stay."""


def is_secret_name(name: str) -> bool:
    """Tell whether a name, e.g. of an environment variable, sounds like that of a secret.

    >>> [is_secret_name(name) for name in ("HF_TOKEN", "TOKENIZERS_PARALLELISM", "PWD", "DB_PASS", "SLURM_JOB_ID")]
    [True, False, False, True, False]
    """
    return name not in _HARMLESS and _NAMED.search(name) is not None


def masked(text: str) -> str:
    """Return a text with '***' for the secrets in it: logins in addresses, keys of known services, what is assigned to passwords.

    >>> masked("s3://me:abc@host/x?sig=abc api_key=0123456789ab password: hunter2 key: loss")
    's3://***@host/x?sig=*** api_key=*** password: *** key: loss'
    """
    text = without_private_keys(text)
    text = _LOGIN.sub(MASK, text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _PASSWORD.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\1{MASK}", text)
    return _KEYS.sub(MASK, text)


def without_private_keys(text: str) -> str:
    """Return a text with '***' for the private keys in it, which are many lines: before it is cut into lines."""
    return _PEM.sub(MASK, text) if "PRIVATE KEY" in text else text
