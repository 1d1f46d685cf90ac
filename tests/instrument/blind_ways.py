"""
The ways to a model that no hook sees, by the library that goes there.
"""

import http.client
import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Say something."}], "max_tokens": 50})
JSON = {"Content-Type": "application/json"}


def by_curl_cffi(url: str) -> Any:
    import curl_cffi

    return curl_cffi.post(url, data=BODY, headers=JSON)


def by_http_client(url: str) -> Any:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("POST", parts.path, BODY, JSON)
    return connection.getresponse().read()


def by_httplib2(url: str) -> Any:
    import httplib2

    return httplib2.Http().request(url, "POST", BODY, JSON)


def by_niquests(url: str) -> Any:
    import niquests

    return niquests.post(url, data=BODY, headers=JSON)


def by_pycurl(url: str) -> Any:
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.POSTFIELDS, BODY)
    curl.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json"])
    curl.setopt(pycurl.WRITEFUNCTION, len)
    return curl.perform()


def by_tornado(url: str) -> Any:
    from tornado.httpclient import HTTPClient

    return HTTPClient().fetch(url, method="POST", body=BODY, headers=JSON)


def by_urllib(url: str) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, BODY.encode(), JSON)).read()


def by_urllib3(url: str) -> Any:
    import urllib3

    return urllib3.PoolManager().request("POST", url, body=BODY, headers=JSON)


# By the name in the table. Those that open no HTTP connection are not among them.
BLIND: dict[str, Callable[[str], Any]] = {
    "curl_cffi": by_curl_cffi,
    "http.client": by_http_client,
    "httplib2": by_httplib2,
    "niquests": by_niquests,
    "pycurl": by_pycurl,
    "tornado": by_tornado,
    "urllib.request": by_urllib,
    "urllib3": by_urllib3,
}
