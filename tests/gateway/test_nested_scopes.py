"""
Processes of a run find its gateway, learn what is in force there, and open scopes below the run's.
"""

import json

import pytest
from worlds import CHAT, OTHER_TOKEN, TOKEN

from solvent._limits import Limit, Scope
from solvent._outer import InForce, from_json
from solvent.policy import Opening


def test_state_tells_whose_gateway_it_is(play):
    async def scene(here):
        got = await here.call(f"/{TOKEN}/solvent/state", method="GET", body=b"")
        assert from_json(got.body, InForce) == here.guard.in_force(Scope.parse("run:one"))
        got = await here.call(f"/{OTHER_TOKEN}/solvent/state", method="GET", body=b"")
        assert json.loads(got.body)["scope"] == "run:two"
        assert here.guard.untouched

    play(scene)


def test_child_scope_has_its_own_way_in_and_its_limits(play):
    async def scene(here):
        limits = [
            {"meter": "usd", "amount": "1000", "source": "--usd"},
            {"meter": "calls", "amount": 3, "window": "day"},
        ]
        body = json.dumps({"name": "inner", "limits": limits, "way_in": True}).encode()
        got = json.loads((await here.call(f"/{TOKEN}/solvent/scopes", body=body)).body)

        assert got["scope"] == "run:one/step:inner"
        assert here.guard.opened == [
            (
                Scope.parse("run:one/step:inner"),
                (Limit(meter="usd", amount=1000, source="--usd"), Limit(meter="calls", amount=3, window="day")),
            )
        ]
        assert (await here.call(CHAT.replace(TOKEN, got["token"]))).status == 200
        assert str(here.guard.admitted[0].scope) == "run:one/step:inner"

        deeper = json.loads((await here.call(f"/{got['token']}/solvent/scopes", body=b'{"name":"x/y"}')).body)
        assert deeper["scope"] == "run:one/step:inner/step:x%2Fy"
        assert deeper["token"] == ""

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"name":1}',
        '{"name":""}',
        '{"name":"a","limits":{}}',
        '{"name":"a","limits":[1]}',
        '{"name":"a","limits":[{"meter":"usd"}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":-1}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":1.5}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":true}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":"-1"}]}',
        '{"name":"a","limits":[{"meter":"none","amount":1}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":1,"window":"never"}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":1,"window":[]}]}',
        '{"name":"a","limits":[{"meter":"usd","amount":1,"other":1}]}',
        '{"name":"a","limits":[' + ",".join(['{"meter":"usd","amount":1}'] * 101) + "]}",
        '{"name":"a","fallback":[{"model":"a","to":"b"},{"model":"b","to":"a"}]}',
        '{"name":"a","fallback":[{"model":"a","to":"b","at":"1/0"}]}',
        '{"name":"a","fallback":[{"model":"a","to":"b","at":"-3"}]}',
        '{"name":"a","fallback":[{"model":"a","to":"b","at":"5/4"}]}',
        '{"name":"a","fallback":[{"model":"a","to":"b","at":"1e-999999999"}]}',
        '{"name":"a","fallback":[{"model":"a","to":"b","at":[]}]}',
        '{"name":"a","wait_seconds":-1}',
        '{"name":"a","wait_seconds":"inf"}',
        '{"name":"a","wait_seconds":"nan"}',
        '{"name":"a","other":1}',
        "[]",
    ],
)
def test_scopes_that_say_nothing_are_refused(play, body):
    async def scene(here):
        got = await here.call(f"/{TOKEN}/solvent/scopes", body=body.encode())
        assert got.status == 400
        assert here.guard.untouched

    play(scene)


def test_a_scope_is_opened_below_what_a_header_names(play):
    async def scene(here):
        headers = ("x-solvent-scope: step:outer",)
        got = await here.call(f"/{TOKEN}/solvent/scopes", body=b'{"name":"inner"}', headers=headers)
        assert json.loads(got.body)["scope"] == "run:one/step:outer/step:inner"

    play(scene)


def test_a_scope_is_closed_by_its_opening_and_from_nowhere_else(play):
    async def scene(here):
        got = json.loads((await here.call(f"/{TOKEN}/solvent/scopes", body=b'{"name":"inner"}')).body)
        path = f"solvent/scopes/{got['opening']}"
        answers = [
            (await here.call(f"/{token}/{path}", method="DELETE", body=b"")).status
            for token in (OTHER_TOKEN, TOKEN, TOKEN)
        ]
        assert answers == [404, 200, 404]
        assert here.guard.closed == [(Scope.parse("run:one/step:inner"), Opening())]

    play(scene)


def test_a_scope_that_is_closed_has_no_way_in_any_more(play):
    async def scene(here):
        body = b'{"name":"inner","way_in":true}'
        first, other = [json.loads((await here.call(f"/{TOKEN}/solvent/scopes", body=body)).body) for _ in range(2)]
        ways = [CHAT.replace(TOKEN, opened["token"]) for opened in (first, other)]
        assert [(await here.call(way)).status for way in ways] == [200, 200]
        await here.call(f"/{TOKEN}/solvent/scopes/{first['opening']}", method="DELETE", body=b"")
        assert [(await here.call(way)).status for way in ways] == [403, 200]
        assert (await here.call(CHAT)).status == 200

    play(scene)


def test_other_addresses_of_solvent_are_none(play):
    async def scene(here):
        for method, path in (("GET", "scopes"), ("POST", "state"), ("GET", "keys"), ("DELETE", "scopes")):
            got = await here.call(f"/{TOKEN}/solvent/{path}", method=method, body=b"")
            assert got.status == 404

    play(scene)
