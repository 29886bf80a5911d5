"""Whatever is done to a signed request on its way: what is handed on is what was signed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.parts import ANSWER, MINUTE, NOTICE, PATH, START, Desk, Post, post

POSTS = [post(NOTICE), post(ANSWER)]
DESK = Desk()
OTHERS = b'{}[]":,0 n\\x\xff\n'

Mutation = Callable[[Post], Post]


def changed_bytes(data: bytes, at: int, cut: int, put: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + put + data[at + cut :]


def in_body(change: tuple[int, int, bytes]) -> Mutation:
    return lambda request: request.but(body=changed_bytes(request.body, *change))


def in_header(name: str) -> Callable[[tuple[int, int, bytes]], Mutation]:
    def mutation(change: tuple[int, int, bytes]) -> Mutation:
        def apply(request: Post) -> Post:
            values = [value for each, value in request.lines if each == name]
            if len(values) != 1:
                return request
            value = changed_bytes(values[0].encode("latin-1"), *change).decode("latin-1")
            return request.with_header(name, value)

        return apply

    return mutation


def without(name: str) -> Mutation:
    return lambda request: request.with_header(name, None)


def of_another(name: str) -> Mutation:
    """Take a header from another good request."""

    def apply(request: Post) -> Post:
        other = POSTS[1] if request.body == POSTS[0].body else POSTS[0]
        return request.with_header(name, other.header(name))

    return apply


def twice(name: str) -> Mutation:
    def apply(request: Post) -> Post:
        extra = tuple(each for each in request.lines if each[0] == name)
        return request.but(lines=(*request.lines, *extra))

    return apply


HEADERS = ("content-type", "content-digest", "signature-input", "signature")
CHANGES = st.tuples(st.integers(0, 500), st.integers(0, 4), st.binary(max_size=4))
PICKS = st.tuples(
    st.integers(0, 500), st.just(1), st.sampled_from([bytes([each]) for each in OTHERS])
)
NAMES = st.sampled_from(HEADERS)
HARMFUL = st.one_of(
    (CHANGES | PICKS).map(in_body),
    NAMES.flatmap(lambda name: (CHANGES | PICKS).map(in_header(name))),
    NAMES.map(without),
    NAMES.map(of_another),
    NAMES.map(twice),
    st.sampled_from(["GET", "PUT", "post", "POST "]).map(
        lambda method: lambda request: request.but(method=method)
    ),
    st.tuples(st.integers(0, 40), st.integers(0, 2), st.binary(max_size=2)).map(
        lambda change: (
            lambda request: request.but(
                url=changed_bytes(request.url.encode("latin-1"), *change).decode("latin-1")
            )
        )
    ),
)
NEUTRAL: list[Mutation] = [
    lambda request: request.but(lines=tuple(reversed(request.lines))),
    lambda request: request.but(lines=(*request.lines, ("x-other", "1"))),
    lambda request: request.but(lines=tuple((name.upper(), each) for name, each in request.lines)),
    lambda request: request.but(lines=tuple((name, f" {each}\t") for name, each in request.lines)),
    lambda request: request.but(url=PATH),
    lambda request: request.but(url="http://localhost:1" + PATH),
    lambda request: request.but(
        lines=tuple((each.encode(), value.encode()) for each, value in request.lines)
    ),
]


def taken_of(request: Post) -> list[Any]:
    DESK.receiver.taken.clear()
    DESK.clock.set(START + MINUTE)
    reply = DESK.reply(request)
    assert (reply.status == 204) == bool(DESK.receiver.taken)
    assert reply.status in (204, 400, 401, 403, 404, 405, 413, 415, 422, 431)
    return [item for item, _, _ in DESK.receiver.taken]


def check(mutant: Post) -> None:
    """Whatever passes says what was signed."""
    taken = taken_of(mutant)
    if taken:
        assert mutant.body in [each.body for each in POSTS]
        assert taken == [NOTICE if mutant.body == POSTS[0].body else ANSWER]
        assert "POST" == mutant.method
        assert mutant.url.endswith(PATH)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Tens of thousands of refusals are not for the log."""
    log = logging.getLogger("abonent")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@settings(max_examples=4000, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(POSTS), st.lists(HARMFUL, min_size=1, max_size=3))
def test_only_what_was_signed_is_handed_on(request_, mutations):
    """P13: of thousands of changed requests, those that pass say what was signed."""
    mutant = request_
    for each in mutations:
        mutant = each(mutant)
    check(mutant)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64))
def test_twenty_thousand_more(seed):
    """The same, fifty at a time: bytes cut, put in, taken from elsewhere in the request."""
    chance = random.Random(seed)
    for _ in range(50):
        mutant = chance.choice(POSTS)
        for _ in range(chance.randint(1, 3)):
            put = bytes(chance.choices(_LETTERS, k=chance.randint(0, 3)))
            change = (chance.randint(0, 400), chance.randint(0, 3), put)
            name = chance.choice(("body", *HEADERS))
            mutation = in_body(change) if name == "body" else in_header(name)(change)
            mutant = mutation(mutant)
        check(mutant)


_LETTERS = b"".join(each.body + repr(each.lines).encode() for each in POSTS) + OTHERS


@settings(max_examples=300)
@given(st.sampled_from(POSTS), st.lists(st.sampled_from(NEUTRAL[:-1]), max_size=4), st.booleans())
def test_what_does_not_matter_is_no_obstacle(request_, mutations, as_bytes):
    """Order, spelling and strange hosts of a proxy do not turn a good request away."""
    mutant = request_
    for each in mutations:
        mutant = each(mutant)
    if as_bytes:
        mutant = NEUTRAL[-1](mutant)
    assert 1 == len(taken_of(mutant))


def test_every_byte_of_the_body_counts():
    """One bit in any byte, one byte less or more anywhere: refused."""
    for request_ in POSTS:
        for at in range(len(request_.body)):
            for mutant in (
                changed_bytes(request_.body, at, 1, bytes([request_.body[at] ^ 1])),
                changed_bytes(request_.body, at, 1, b""),
                changed_bytes(request_.body, at, 0, b" "),
            ):
                assert [] == taken_of(request_.but(body=mutant))


def test_every_character_of_the_signature_counts():
    """One bit of any letter of signature, digest or what is signed: refused, or the same bytes."""
    for request_ in POSTS:
        for name in HEADERS:
            value = request_.header(name)
            for at in range(len(value)):
                changed = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
                taken = taken_of(request_.with_header(name, changed))
                assert [] == taken or item_of(request_) == taken[0]
                if taken:
                    # The last letters of base64 have bits to spare.
                    assert ("signature", True) == (name, at >= len(value) - 4)


def item_of(request_: Post) -> Any:
    return NOTICE if request_ is POSTS[0] else ANSWER
