"""Our own doubles, routers and key sources on a stage, for the contracts and for the faults."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from abonent import EnvironmentKeys, FileKeys, NumberingPlan, Operator, SubscriberNumber
from abonent.core.states import EffectKind
from abonent.ports import Keys, Unrouted
from abonent.simulation import Reply, SimulatedOperator, SimulatedRouter, SimulatedSender
from abonent.testing import Heard, Route, Stage


def once(all_that_came: Iterable[Heard]) -> list[Heard]:
    """What counts: what comes again under one id does not."""
    return list({(each.kind, each.id): each for each in all_that_came}.values())


def heard_by(operator: SimulatedOperator) -> list[Heard]:
    asked = [
        Heard(kind=EffectKind.ASK_OPERATOR, id=each.id, number=each.number.e164)
        for each in operator.questions
    ]
    recorded = [
        Heard(kind=EffectKind.RECORD, id=each.id, number=each.number.e164, code=each.code)
        for each in operator.records
    ]
    withdrawn = [
        Heard(kind=EffectKind.WITHDRAW, id=each.id, code=each.code) for each in operator.withdrawals
    ]
    return once([*asked, *recorded, *withdrawn])


def sent_by(sender: SimulatedSender) -> list[Heard]:
    return once(
        Heard(
            kind=EffectKind.SEND_CODE,
            id=each.id,
            number=each.number.e164,
            code=each.code.digits,
        )
        for each in sender.messages
    )


def operator_stage(operator: SimulatedOperator, adapter: Any = None) -> Stage[Any]:
    return Stage(
        adapter=operator if adapter is None else adapter,
        tell=operator.show,
        heard=lambda: heard_by(operator),
    )


def sender_stage(sender: SimulatedSender, adapter: Any = None) -> Stage[Any]:
    return Stage(
        adapter=sender if adapter is None else adapter,
        tell=sender.show,
        heard=lambda: sent_by(sender),
    )


def router_stage(router: SimulatedRouter, routes: Iterable[Route]) -> Stage[Any]:
    for each in routes:
        router.port(each.number, each.operator)
    return Stage(adapter=router, tell=router.show)


# --- sources that are files -------------------------------------------------------------


def plan_of(routes: Iterable[Route]) -> NumberingPlan:
    """A numbering plan, and a file of ported numbers, that say what the routes say."""
    ranges, ported = ["АВС/DEF;От;До;Емкость;Оператор;Регион"], []
    for each in routes:
        given_to = each.left or each.operator
        if given_to is not Unrouted.UNKNOWN_RANGE:
            ranges.append(_range_of_one(each.number, str(given_to)))
        if each.left is not None:
            ported.append(f"{each.number.e164};{each.operator}")
    operators = [Operator(id="mts", names=("mts",)), Operator(id="beeline", names=("beeline",))]
    return NumberingPlan.read(ranges, operators=operators, ported=ported)


def _range_of_one(number: SubscriberNumber, operator: str) -> str:
    code, rest = number.e164[2:5], number.e164[5:]
    return f"{code};{rest};{rest};1;{operator};Москва"


def written(keys: Keys) -> str:
    """Keys as `FileKeys` keeps them."""
    encoded = {each: base64.b64encode(root).decode() for each, root in keys.roots.items()}
    return json.dumps({"current": keys.current, "keys": encoded})


_FILE = frozenset({Reply.UNAVAILABLE, Reply.MALFORMED})


def file_stage(path: Path, keys: Keys, adapter: Any = None) -> Stage[Any]:
    def tell(reply: Reply) -> None:
        path.unlink(missing_ok=True)
        if reply is not Reply.UNAVAILABLE:
            _write(path, written(keys)[:-3])

    _write(path, written(keys))
    return Stage(adapter=FileKeys(path) if adapter is None else adapter, tell=tell, shows=_FILE)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def environment_stage(environment: Any, keys: Keys) -> Stage[Any]:
    name = "ABONENT_KEYS"

    def tell(reply: Reply) -> None:
        environment.delenv(name, raising=False)
        if reply is not Reply.UNAVAILABLE:
            environment.setenv(name, written(keys)[:-3])

    environment.setenv(name, written(keys))
    return Stage(adapter=EnvironmentKeys(name), tell=tell, shows=_FILE)
