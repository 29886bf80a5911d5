"""Putting an engine together from what the application passes in.

Knows what has to fit together before the first call. Refuses to build what would fail later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from abonent.core.agreements import Agreement, Agreements
from abonent.core.commands import Terrain
from abonent.core.parties import Messenger
from abonent.core.policy import Policy, terms
from abonent.core.residency import Residency
from abonent.core.rules import RULE_SETS, Rules, rules_in_force
from abonent.engine.archive import Archive
from abonent.engine.calls import Calls
from abonent.engine.effects import Alarm, Gateway, Limiter, Performer, Possession, Router
from abonent.engine.importing import Importer
from abonent.engine.inbound import Inbound
from abonent.engine.loop import Loop
from abonent.engine.observing import Observer, Telling
from abonent.engine.reconciling import Reconciler
from abonent.engine.resealing import Resealer
from abonent.engine.retaining import Retainer
from abonent.errors import DoubleRefused, InvalidValue, NoRulesInForce, UnknownOperator
from abonent.ports import Clock, KeyProvider, Storage
from abonent.sealing import Keyring


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present instant."""
        return datetime.now(UTC)


@frozen
class Engine:
    """The parts that a shell drives."""

    archive: Archive
    loop: Loop
    calls: Calls
    inbound: Inbound
    importer: Importer
    reconciler: Reconciler
    resealer: Resealer
    retainer: Retainer


def assemble(
    *,
    messenger: Messenger,
    storage: Storage,
    keys: KeyProvider,
    possession: Possession,
    agreements: Iterable[Agreement],
    gateways: Mapping[str, Gateway],
    router: Router | None,
    limiter: Limiter | None,
    rules: Rules | None,
    policy: Policy,
    clock: Clock,
    alarm: Callable[[Alarm], object] | None,
    observer: Observer | None,
    unsafe_test_doubles: bool,
) -> Engine:
    """Build an engine.

    Raises:
        DoubleRefused: a test double, without `unsafe_test_doubles` (P12).
        PolicyIncomplete: the rule set leaves a figure open that the policy does not give (S31).
        ResidencyUnmet: the rule set given, or in force now, demands a territory for what is kept
            (149-FZ, art. 10.1, part 4.3 ff.), and the store declares another, or none.
        UnknownOperator: an agreement with an operator that has no gateway.
        InvalidValue: operators are to be asked, but there is no router.
        KeyUnavailable, KeyMaterialInvalid: from the key provider.
    """
    if not unsafe_test_doubles:
        for adapter in (storage, keys, possession, router, limiter, clock, *gateways.values()):
            _refuse_double(adapter)
    mine = Agreements(messenger.id, agreements)
    for each in mine:
        if each.operator not in gateways:
            raise UnknownOperator(f"agreement {each.id} is with {each.operator}: no gateway")
    residency = _residency(storage)
    with suppress(NoRulesInForce):  # then nobody may begin, and each claim asks again
        residency.check(rules or rules_in_force(clock.now()))
    terrain = Terrain(
        messenger=messenger, policy=policy, agreements=mine, rules=rules, residency=residency
    )
    for each_rules in [rules] if rules is not None else [r for r in RULE_SETS if r.starts]:
        terms(each_rules, policy)
    if terrain.asks_operator and router is None:
        raise InvalidValue("a router is needed to know which operator to ask")
    archive = Archive(storage, Keyring(keys, messenger.id), terrain)
    performer = Performer(
        messenger=messenger.id, gateways=gateways, possession=possession, alarm=alarm
    )
    loop = Loop(
        archive=archive,
        performer=performer,
        router=router,
        operators=gateways,
        clock=clock,
        telling=Telling(observer),
    )
    inbound = Inbound(loop)
    return Engine(
        archive,
        loop,
        Calls(loop, possession, limiter),
        inbound,
        Importer(loop),
        Reconciler(loop, inbound),
        Resealer(archive, clock, limiter),
        Retainer(loop),
    )


def _residency(storage: Storage) -> Residency:
    """What a store says of where it is. One that processes share keeps what it has somewhere."""
    features = storage.features
    return Residency(keeps=features.durable or features.shared, territory=features.territory)


def _refuse_double(adapter: Any) -> None:
    if getattr(adapter, "test_double", False):
        raise DoubleRefused(f"{type(adapter).__name__} is a test double")
