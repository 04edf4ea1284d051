"""Addresses of remote directories."""

import subprocess
import sys
from pathlib import Path

import pytest

from multiboard import urls

SECRETS = ("AKIDEXAMPLE", "hidden", "more")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIDEXAMPLE:hidden@bucket/runs",
        "s3://AKIDEXAMPLE:hid/hidden@bucket/runs",
        "s3://AKIDEXAMPLE:/hidden@bucket/runs",
        "s3://AKIDEXAMPLE:12/hidden?more@bucket/runs",
        "s3://AKIDEXAMPLE:hidden@more@bucket/runs",
        "s3://AKIDEXAMPLE:hidden?more#more@bucket/runs",
        "s3://AKIDEXAMPLE:hidden::more@bucket/runs",
        "s3://AKIDEXAMPLE:hidden://more@bucket/runs",
        "s3://AKIDEXAMPLE:hidden/runs",
        "https://hidden@host/runs",
        "https://host:8080/runs?X-Amz-Signature=hidden&user=more",
        "https://host/runs#token=hidden",
        "sftp://AKIDEXAMPLE:hidden@[::1]:22/runs",
        "zip://a.zip::simplecache::s3://AKIDEXAMPLE:hidden@bucket/runs",
    ],
)
def test_no_credential_of_a_url_is_shown(url):
    assert urls.is_url(url)
    assert not any(secret in urls.shown(url) for secret in SECRETS)
    assert "***" in urls.shown(url)
    assert "hidden" in " ".join(urls.secrets(url))


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/runs/first",
        "s3://bucket/run@2/lr=1:3",
        "abfs://container@account.dfs.core.windows.net/runs",
        "sftp://anna@host:22/runs",
        "sftp://host:22/run@2",
        "s3://bucket:9000/runs",
        "sftp://[::1]:22/runs",
        "http://127.0.0.1:9000/runs",
        "simplecache::gs://bucket",
        "memory://",
    ],
)
def test_a_url_without_credentials_is_shown_whole(url):
    assert urls.is_url(url)
    assert urls.shown(url) == url
    assert urls.secrets(url) == []


@pytest.mark.parametrize(
    "path", ["runs/first", "C://runs", "/runs/a::b", "runs/a://b", "", "://a", Path("runs"), b"s3://a", None, 3]
)
def test_a_path_of_this_computer_is_no_url(path):
    assert not urls.is_url(path)


def test_a_path_like_object_whose_text_is_a_url_is_one():
    class Address:
        def __fspath__(self):
            return "s3://bucket/runs"

    assert urls.is_url(Address())


@pytest.mark.parametrize(
    ("url", "name", "joined"),
    [
        ("s3://bucket", "a/b", "s3://bucket/a/b"),
        ("s3://bucket/", "/a", "s3://bucket/a"),
        ("s3://bucket/what?", "a", "s3://bucket/what?/a"),
        ("memory://", "a", "memory://a"),
        ("https://host/runs?sig=1", "a", "https://host/runs/a?sig=1"),
        ("s3://bucket", "", "s3://bucket"),
        ("s3://bucket", ".", "s3://bucket"),
    ],
)
def test_a_name_is_joined_to_the_path_of_a_url(url, name, joined):
    assert urls.join(url, name) == joined


def test_urls_are_told_without_fsspec():
    program = "import sys; from multiboard.urls import is_url; assert is_url('s3://b'); assert 'fsspec' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
