"""
Where a policy is found, and what the one in the current folder may say.
"""

import os
from fractions import Fraction
from pathlib import Path

import pytest

from solvent._amounts import nanodollars
from solvent._limits import Scope
from solvent.errors import SettingsError
from solvent.policy import LimitsInForce, LoopRule, Policy
from solvent.policy._fallback import Fallback
from solvent.policy._find import PolicyFiles, policy_in_force, told_files
from solvent.prices import UserPrice


class Places:
    """
    A user's own policy and one in the current folder, each as a test writes it.
    """

    def __init__(self, root: Path) -> None:
        self.own = root / "config" / "solvent" / "solvent.yaml"
        self.own.parent.mkdir(parents=True)
        self.folder = root / "project"
        self.folder.mkdir()
        self.here = self.folder / "solvent.yaml"

    def __call__(self, own=None, here=None, **how):
        for path, text in ((self.own, own), (self.here, here)):
            if text is not None:
                path.write_text(text)
        return policy_in_force(**{"environ": {}, "folder": self.folder, **how})

    def refused(self, own, here):
        with pytest.raises(SettingsError) as refused:
            self(own, here)
        return str(refused.value).replace(str(self.folder), "PROJECT").replace(str(self.own), "OWN")


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Places(tmp_path)


def test_without_any_file_the_policy_is_empty_but_for_prices_of_flags(places):
    price = {"m": UserPrice(input=1, output=2)}
    assert places() == Policy()
    assert places(prices=price) == Policy(prices=price)


def test_a_named_file_is_the_only_one_and_an_options_name_wins(places, tmp_path):
    (tmp_path / "a.yaml").write_text("wait: 1s")
    (tmp_path / "b.yaml").write_text("wait: 2s")
    env = {"SOLVENT_POLICY": str(tmp_path / "b.yaml")}
    a = places("wait: 3s", "wait: 4s", given=tmp_path / "a.yaml", environ=env)
    b = places(environ=env)
    assert (a.wait_seconds, a.files) == (1, (str(tmp_path / "a.yaml"),))
    assert (b.wait_seconds, b.files) == (2, (str(tmp_path / "b.yaml"),))
    assert places().wait_seconds == 4


def test_a_variable_that_is_empty_goes_without_any(places):
    assert places("wait: 3s", "not a policy", environ={"SOLVENT_POLICY": ""}) == Policy()
    assert PolicyFiles.of(environ={"SOLVENT_POLICY": ""}).places == ()


def test_a_named_file_that_is_not_there_is_an_error(places):
    with pytest.raises(SettingsError) as refused:
        places(given=Path("absent.yaml"), environ={"SOLVENT_POLICY": "other.yaml"})
    assert str(refused.value) == (
        "absent.yaml: expected a policy file that can be read, got an error: No such file or directory\n"
        "To go on: name one that can be read."
    )


def test_a_file_that_the_variable_names_and_that_is_not_there_is_told_with_the_variable(places):
    with pytest.raises(SettingsError) as refused:
        places(environ={"SOLVENT_POLICY": "absent.yaml"})
    assert str(refused.value) == (
        "SOLVENT_POLICY=absent.yaml: expected a policy file that can be read, got an error: No such file or directory\n"
        "To go on: name one that can be read, or unset SOLVENT_POLICY."
    )


def test_the_current_folder_is_the_processes(places, monkeypatch):
    monkeypatch.chdir(places.folder)
    policy = places(here="wait: 4s", folder=None)
    assert (policy.wait_seconds, policy.files) == (4, (str(places.here),))


def test_the_users_own_file_is_shown_with_its_folder_and_the_other_one_by_its_name(places, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    policy = places("budgets: {run:*: {usd: 5}}", "wait: 1s\nbudgets: {run:*: {usd: 3}}")
    assert [limit.source for _, limit in policy.budgets] == ["~/config/solvent/solvent.yaml:1", "solvent.yaml:2"]
    assert policy.files == (str(places.own), str(places.here))
    assert told_files(policy) == "~/config/solvent/solvent.yaml, tightened by ~/project/solvent.yaml"


def test_one_file_in_both_places_is_the_users_own(places):
    policy = places("ledger: memory://", folder=places.own.parent)
    assert (policy.ledger, policy.files) == ("memory://", (str(places.own),))


def test_limits_of_both_files_hold_and_neither_widens_the_other(places):
    policy = places(
        "budgets: {run:*: {usd: 5, calls: 10}}\ncall: {usd: 0.50, tokens: 8k}",
        "budgets: {run:*: {usd: 9, calls: 3}}\ncall: {usd: 0.25, tokens: 9k, output_tokens: 1k}",
    )
    scope = Scope.parse("run:a")
    assert {limit.meter: limit.amount for _, limit in LimitsInForce(policy).of(scope)} == {
        "usd": nanodollars(5),
        "calls": 3,
    }
    assert {limit.meter: (limit.amount, Path(limit.source).parent.name) for limit in policy.call} == {
        "usd": (nanodollars("0.25"), ""),
        "tokens": (8_000, "solvent"),
        "output_tokens": (1_000, ""),
    }


def test_a_limit_of_a_single_call_that_only_tells_hides_none_that_refuses(places):
    policy = places("call: {usd: 0.50}", "call: {usd: {limit: 0.25, on_exceed: warn}}")
    assert [(limit.amount, limit.on_exceed) for limit in policy.call] == [
        (nanodollars("0.50"), "block"),
        (nanodollars("0.25"), "warn"),
    ]


def test_each_file_has_its_own_time_zone(places):
    policy = places(
        "time_zone: Europe/Berlin\nbudgets: {run:*: {usd: 1/day}}",
        "time_zone: Asia/Tokyo\nbudgets: {run:*: {usd: 1/day}}",
    )
    assert [limit.time_zone for _, limit in policy.budgets] == ["Europe/Berlin", "Asia/Tokyo"]
    assert [limit.time_zone for _, limit in places(here="budgets: {run:*: {usd: 1/day}}").budgets] == [
        "Europe/Berlin",
        "UTC",
    ]


def test_how_calls_are_made_to_fit_the_folder_may_say(places):
    own = "wait: 9s\nshrink: {output_tokens_min: 99, explicit: true}\ntighten: [prefix, count]"
    policy = places(own, "wait: 1m\nshrink: {output_tokens_min: 7}\ntighten: [count]")
    assert (policy.wait_seconds, policy.shrink_tokens_min, policy.shrink_explicit) == (60, 7, True)
    assert policy.tighten == ("count",)
    assert places(here="shrink: off").shrink_tokens_min == 0
    assert places(here="wait: 1s").shrink_tokens_min == 99


def test_what_the_user_opened_the_folder_may_close(places):
    own = "unpriced: {price_as: gpt-4o}\nstore_down: {open: $1}"
    assert (places(own).price_as, places(own).open_nanodollars) == ("gpt-4o", nanodollars(1))
    policy = places(own, "unpriced: refuse\nstore_down: refuse")
    assert (policy.price_as, policy.open_nanodollars) == (None, 0)


def test_the_folder_adds_steps_for_models_that_have_none(places):
    own = "fallback: [{from: a, to: gpt-4o, at: 50%}]"
    policy = places(own, "fallback: [{from: a, to: gpt-4o, at: 50.0%}, {from: gpt-4o, to: gpt-4o-mini}]")
    assert policy.fallback == (
        Fallback(model="a", to="gpt-4o", at=Fraction(1, 2)),
        Fallback(model="gpt-4o", to="gpt-4o-mini"),
    )


def test_a_rule_about_loops_may_be_as_strict_or_stricter(places):
    here = "loops: {same_call: 3, within: 10m, on_exceed: block}"
    rule = LoopRule(same_call=3, within_seconds=600, on_exceed="block", source="solvent.yaml:1")
    assert places(None, here).loops == rule
    assert places("loops: {same_call: 5}", here).loops == rule
    assert places("loops: {same_call: 5}", "loops: {same_call: 5}").loops.same_call == 5
    assert places("loops: {same_call: 5}", "wait: 1s").loops.same_call == 5


def test_shares_of_both_files_are_told_and_only_where_the_user_says(places):
    own = "alert: {at: [50%, 80%], webhook: https://example.com, secret_env: S}"
    both = places(own, "alert: {at: [90%, 80%]}").alert
    assert (both.at, both.webhook, both.secret_env) == (
        (Fraction(1, 2), Fraction(4, 5), Fraction(9, 10)),
        "https://example.com",
        "S",
    )
    assert places("wait: 1s").alert.webhook is None
    assert places(own, "wait: 1s").alert.webhook == "https://example.com"


HINT = (
    "\nTo go on: a solvent.yaml in the current folder may only tighten your own policy; to have all of it name it, by "
    "`SOLVENT_POLICY=PROJECT/solvent.yaml`, or put this setting into OWN."
)


@pytest.mark.parametrize(
    ("own", "here", "message"),
    [
        (
            None,
            "wait: 1s\nledger: ledger.db",
            ":2: ledger: expected no ledger here, for the books are where you keep them, got one",
        ),
        (
            "ledger: memory://",
            "ledger: memory://",
            ":1: ledger: expected no ledger here, for the books are where you keep them, got one",
        ),
        (
            None,
            "prices:\n  gpt-4o: {input: 0, output: 0}",
            ":1: prices: expected no prices here, for with others a limit holds more or fewer calls, got some",
        ),
        (
            None,
            "unpriced: {price_as: gpt-4o-mini}",
            ":1: unpriced: expected `refuse` or nothing here, got {price_as: gpt-4o-mini}",
        ),
        (None, "store_down: {open: $1}", ":1: store_down: expected `refuse` or nothing here, got {open: $1.00}"),
        (
            None,
            "alert:\n  at: [50%]\n  webhook: https://example.com",
            ":3: alert.webhook: expected no webhook here, for it would learn what you spend, got one",
        ),
        (
            None,
            "tighten: [prefix, count]",
            ":1: tighten: expected some of those that are in force (prefix, tokenizer) and no other here, got count",
        ),
        (
            "tighten: []",
            "tighten: [prefix]",
            ":1: tighten: expected some of those that are in force (none) and no other here, got prefix",
        ),
        (
            "wait: 1s\nloops: {same_call: 5, on_exceed: block}",
            "loops: {same_call: 5}",
            ":1: loops: expected a rule at least as strict as same_call: 5, within: 60s, on_exceed: block (OWN:2), "
            "got same_call: 5, within: 60s, on_exceed: warn",
        ),
        (
            "loops: {same_call: 5}",
            "loops: {same_call: 6}",
            ":1: loops: expected a rule at least as strict as same_call: 5, within: 60s, on_exceed: warn (OWN:1), "
            "got same_call: 6, within: 60s, on_exceed: warn",
        ),
        (
            "loops: {same_call: 5}",
            "loops: {same_call: 5, within: 59s}",
            ":1: loops: expected a rule at least as strict as same_call: 5, within: 60s, on_exceed: warn (OWN:1), "
            "got same_call: 5, within: 59s, on_exceed: warn",
        ),
        (
            "fallback: [{from: gpt-4o, to: gpt-4o-mini, at: 60%}]",
            "fallback:\n- {from: gpt-4o, to: gpt-4.1}",
            ":2: fallback[0]: expected a model that has no step yet; gpt-4o leads to gpt-4o-mini, "
            "got gpt-4o to gpt-4.1",
        ),
    ],
)
def test_what_would_not_only_tighten_is_told_with_its_line_and_how_to_have_it(places, own, here, message):
    assert places.refused(own, here) == f"PROJECT/solvent.yaml{message}{HINT}"


@pytest.mark.parametrize("way", ["--policy", "solvent check"])
def test_the_way_to_have_all_of_a_folders_file_is_one_that_the_command_takes(places, way):
    places.here.write_text("ledger: ledger.db")
    with pytest.raises(SettingsError) as refused:
        PolicyFiles.of(environ={}, folder=places.folder, way=way).read()
    assert f"name it, by `{way} {places.here}` or `SOLVENT_POLICY={places.here}`, or put" in str(refused.value)


@pytest.mark.parametrize("here", ["ledger: x.db", "wait: soon", "- no policy"])
def test_who_only_looks_needs_no_policy_of_the_folder(places, here):
    places("wait: 1s\nledger: sqlite:////books.db")
    places.here.write_text(here)
    policy, wrong = PolicyFiles.of(environ={}, folder=places.folder).read_to_look()
    assert (policy.wait_seconds, policy.ledger, policy.files) == (1, "sqlite:////books.db", (str(places.own),))
    assert str(wrong).startswith(f"{places.here}:1: ")


def test_who_only_looks_is_told_what_is_wrong_with_what_they_name_and_with_their_own(places):
    places.here.write_text("wait: soon")
    with pytest.raises(SettingsError, match="wait: expected a length of time"):
        PolicyFiles.of(places.here, environ={}).read_to_look()
    places.own.write_text("wait: late")
    with pytest.raises(SettingsError, match="got 'late'"):
        PolicyFiles.of(environ={}, folder=places.folder).read_to_look()


def test_steps_of_both_files_may_not_lead_back(places):
    said = places.refused("fallback: [{from: gpt-4o, to: gpt-4o-mini}]", "fallback: [{from: gpt-4o-mini, to: gpt-4o}]")
    assert said == (
        "PROJECT/solvent.yaml:1: fallback[0].to: expected a way to other models, got one from gpt-4o back to gpt-4o"
    )


def test_a_model_that_the_user_prices_may_be_a_folders_step(places):
    own = "prices: {mine: {input: 1, output: 1}}"
    assert len(places(own, "fallback: [{from: gpt-4o, to: mine}]").fallback) == 1
    assert "expected a model that has a price" in places.refused("wait: 1s", "fallback: [{from: gpt-4o, to: mine}]")


@pytest.mark.parametrize("which", ["own", "here"])
@pytest.mark.parametrize("what", ["malformed", "folder", "link", "empty"])
def test_a_file_that_is_there_and_is_no_policy_is_never_passed_over(places, which, what):
    path = getattr(places, which)
    if what == "malformed":
        path.write_text("budgest: {}")
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        path.write_text("")
    with pytest.raises(SettingsError) as refused:
        places()
    assert str(refused.value).startswith(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_what_is_in_a_folder_that_the_user_may_not_enter_is_not_theirs_and_a_closed_file_is_told(places):
    places.own.write_text("wait: 1s")
    places.own.chmod(0)
    with pytest.raises(SettingsError, match="expected a policy file that can be read, got an error: Permission denied"):
        places()
    places.own.parent.chmod(0)
    try:
        assert places() == Policy()
    finally:
        places.own.parent.chmod(0o700)


def test_a_file_where_a_folder_should_be_holds_no_policy(places, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert places() == Policy()


def test_a_folder_that_is_gone_holds_no_policy(places, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert places("wait: 3s", folder=None).wait_seconds == 3
