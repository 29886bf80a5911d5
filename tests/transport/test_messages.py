"""Where requests may go, and what they may carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent.errors import InvalidValue
from abonent.transport import Request, Response, check_url


@pytest.mark.parametrize(
    "url",
    [
        "https://operator.example",
        "https://operator.example:8443/camara/kyc-tenure/v0.2",
        "https://10.0.0.1/",
        "http://127.0.0.1",
        "http://127.1.2.3:8080/a",
        "http://[::1]:8080/a",
    ],
)
def test_an_address_with_tls_or_on_this_machine_may_be_called(url):
    """TLS goes anywhere; without it, only a loopback address in figures is called."""
    assert url == check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "operator.example",
        "//operator.example",
        "http://operator.example",
        "http://localhost:8080",
        "http://10.0.0.1",
        "http://127.0.0.1.operator.example",
        "http://0.0.0.0",
        "HTTP://operator.example",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@operator.example",
        "https://operator.example@elsewhere.example",
        "https://operator.example/?number=79161234567",
        "https://operator.example/#a",
        "https://operator.example:0",
        "https://operator.example:99999",
        "https://operator.example:port",
        "https://[::1",
        "https://operator.example/a b",
        "https://operator.example/a\r\nhost: elsewhere",
        "https://оператор.example",
    ],
)
def test_any_other_address_is_refused_and_not_quoted(url):
    """A name without TLS, a user, a query, a fragment or anything odd is refused."""
    with pytest.raises(InvalidValue) as caught:
        check_url(url)
    assert not url or url not in str(caught.value)
    with pytest.raises(InvalidValue):
        Request(url=url)


@given(st.text())
def test_whatever_is_no_address_is_refused(text):
    """Nothing else is raised, whatever the text."""
    try:
        check_url("https://operator.example/" + text)
    except InvalidValue:
        return
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [("a\r\nb", "c"), ("a", "b\r\nc: d"), ("a b", "c"), ("", "c"), ("a", "é"), ("a", "\0")],
)
def test_a_header_is_one_line(name, value):
    """What would be a second header is refused."""
    with pytest.raises(InvalidValue):
        Request(url="https://operator.example", headers={name: value})


@pytest.mark.parametrize("timeout", [0, -1, 300.1, float("inf"), float("nan")])
def test_a_request_has_an_end(timeout):
    """A time is in (0, 300] seconds."""
    with pytest.raises(InvalidValue):
        Request(url="https://operator.example", timeout=timeout)


@pytest.mark.parametrize("method", ["", "GET /", "PO\r\nST"])
def test_a_method_is_a_token(method):
    """A method that would be more than one is refused."""
    with pytest.raises(InvalidValue):
        Request(url="https://operator.example", method=method)


def test_reprs_show_neither_headers_nor_bodies():
    """A token or number in a header or body does not show (I9)."""
    secret = "79161234567"
    request = Request(url="https://operator.example", headers={"a": secret}, body=secret.encode())
    response = Response(status=200, headers={"a": secret}, body=secret.encode())
    assert secret not in f"{request!r}{response!r}"


def test_names_of_headers_are_in_lower_case_and_read_only():
    """`Content-Type` is found as `content-type`, and nobody changes it."""
    headers = Request(url="https://operator.example", headers={"Content-Type": "a"}).headers
    assert {"content-type": "a"} == dict(headers)
    with pytest.raises(TypeError):
        headers["content-type"] = "b"
