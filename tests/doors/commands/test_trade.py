"""The trade as it is typed: from an account to the devices that connect."""

import json
import re
from pathlib import Path

import pytest
from doors.commands.conftest import Sold
from doors.commands.terminal import Terminal

FIGURES = ["--messages-per-day", "1500", "--ota-per-month", "1", "--storage-days", "7"]


def test_from_a_purchase_to_a_first_connect(licet: Terminal, name: str, tmp_path: Path) -> None:
    """Rules A8, A9, A10, B1, C1: opened, credited, assigned, imported, connected."""
    opened = licet("accounts", "open", name, "--time-zone", "Europe/Berlin").facts
    assert (opened["kind"], opened["time zone"], opened["mode"]) == ("enterprise", "Europe/Berlin", "charge")
    package = licet("packages", "define", f"five of {name}", "P5Y", *FIGURES).facts
    assert (package["term"], package["messages per day"]) == ("P5Y", "1500")
    product = licet("products", "create", "Thermostat", "--account", name)
    assert "shown this once" in product.err
    product_key = product.facts["key"]

    credited = licet("credit", name, f"five of {name}", "50", "--order", "PO-7")
    assert credited.facts["quantity"] == "50"
    assert licet("credit", name, f"five of {name}", "50", "--order", "PO-7").facts["id"] == credited.facts["id"]
    assert licet("assign", product_key, f"five of {name}", "--dry-run").facts["maximum"] == "50"
    assigned = licet("assign", product_key, f"five of {name}", "20")
    assert assigned.facts["quantity"] == "20"
    assert "cannot be undone" in assigned.err
    assert licet("assignments", "--product", product_key).rows[0][4] == "20"
    assert [row[1:5] for row in licet("lots", "--account", name).rows] == [
        ["PO-7", "purchase", "50", "20"],
        ["free codes", "free", "10", "0"],
    ]

    (tmp_path / "devices.csv").write_text("device_key,device_secret\nthermo1,s3cret-s3cret\nthermo2,\n")
    imported = licet("devices", "import", product_key, str(tmp_path / "devices.csv")).rows
    assert imported[0] == ["thermo1", "s3cret-s3cret"]
    assert licet.knocks(product_key, *imported[1])["admitted"]
    shown = licet("devices", "show", product_key, "thermo2").facts
    assert (shown["state"], shown["codes consumed"]) == ("active", "1")
    assert shown["expires"].startswith("2031-02-01 08:")
    (activation,) = licet("devices", "activations", product_key, "thermo2").rows
    assert activation[0] == "1"
    assert activation[3] == "first"

    counters = licet("accounts", "show", name).facts
    expected = {"Total": "60", "Available": "59", "Consumed": "1", "unassigned": "40", "near expiry": "0"}
    assert {counter: counters[counter] for counter in expected} == expected
    assert licet("products", "show", product_key).facts["Available"] == "19"


def test_devices_are_found_by_what_they_are(licet: Terminal, sold: Sold) -> None:
    """Rules D6 and C6 by their commands."""
    imported = licet("devices", "import", sold.product_key, "-", "--csv", typed="beta1\nalpha2\nalpha1\n").out
    assert imported.splitlines()[0] == "device_key,device_secret"
    _, *lines = (line.split(",") for line in imported.splitlines())
    assert [key for key, _ in lines] == ["beta1", "alpha2", "alpha1"]
    licet.knocks(sold.product_key, *lines[0])

    def found(*flags: str) -> list[str]:
        of_account = licet("devices", "list", "--account", sold.account, *flags, "--json").json["data"]
        return [each["device_key"] for each in of_account]

    assert found() == ["alpha1", "alpha2", "beta1"]
    assert found("--product", sold.product_key, "--device-key", "alpha") == ["alpha1", "alpha2"]
    assert found("--state", "active") == ["beta1"]
    assert found("--near-expiry") == []
    assert found("--activated-from", "2026-02-01T00:00:00Z") == ["beta1"]
    assert found("--expires-to", "2027-01-01T00:00:00Z") == []


def test_devices_that_do_not_renew_are_listed(licet: Terminal, sold: Sold) -> None:
    """Rule D3: the switch, and the list."""
    licet("devices", "import", sold.product_key, "-", typed="thermo1\nthermo2\n")
    assert licet("no-renewal", "add", sold.product_key, "thermo1", "thermo2").err.count("does not renew") == 2
    assert licet("no-renewal", "remove", sold.product_key, "thermo2").err == "thermo2 renews.\n"
    assert [row[0] for row in licet("no-renewal", "list", sold.product_key).rows] == ["thermo1"]
    switched = licet("products", "change", sold.product_key, "--no-auto-renewal", "--renewal-policy", "on_connect")
    assert (switched.facts["auto renewal"], switched.facts["renewal policy"]) == ("no", "on_connect")
    assert switched.facts["name"] == "Thermostat"


def test_a_product_is_upgraded(licet: Terminal, sold: Sold, name: str) -> None:
    """Rule A7."""
    more = ["--messages-per-day", "3000", "--ota-per-month", "2", "--storage-days", "30"]
    licet("packages", "define", f"more of {name}", "P1Y", *more)
    assert licet("products", "upgrade", sold.product_key, f"more of {name}").facts["package"] == f"more of {name}"
    back = licet("products", "upgrade", sold.product_key, sold.package)
    assert (back.status, back.out) == (1, "")
    assert "allows less than" in back.err
    assert licet("products", "upgrade", sold.product_key, sold.package, "--force").status == 0
    assert f"more of {name}" in {row[1] for row in licet("packages", "list").rows}


def test_an_account_is_changed(licet: Terminal, name: str) -> None:
    licet("accounts", "open", name, "--kind", "individual")
    changed = licet("accounts", "change", name, "--kind", "enterprise", "--mode", "block").facts
    assert (changed["name"], changed["kind"], changed["mode"]) == (name, "enterprise", "block")
    assert licet("accounts", "show", name).facts["unassigned"] == "10"
    nothing = licet("accounts", "change", name)
    assert nothing.status == 2
    assert nothing.err == "Say what is to change: --name, --kind, --time-zone, --mode.\n"


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["products", "delete", "{pk}"], "Delete Thermostat ({pk}), forfeit 19 available codes"),
        (["products", "reset-secret", "{pk}"], "Give {pk} another secret?"),
        (["devices", "delete", "{pk}", "thermo1"], "Delete thermo1? Its code does not come back."),
        (["devices", "reset", "{pk}", "thermo1"], "Give thermo1 another secret?"),
    ],
)
def test_what_takes_something_away_asks_first(licet: Terminal, sold: Sold, words: list[str], question: str) -> None:
    """Rule C6, and somebody who thinks again."""
    secret = licet("devices", "import", sold.product_key, "-", typed="thermo1\n").rows[0][1]
    assert licet.knocks(sold.product_key, "thermo1", secret)["admitted"]
    words = [word.format(pk=sold.product_key) for word in words]
    for answer in ("n\n", ""):
        refused = licet(*words, typed=answer)
        assert refused.status == 1
        assert question.format(pk=sold.product_key) in refused.err
        assert licet.knocks(sold.product_key, "thermo1", secret)["admitted"]
    assert licet(*words, typed="y\n").status == 0
    product_secret = words[:2] == ["products", "reset-secret"]
    assert licet.knocks(sold.product_key, "thermo1", secret)["admitted"] is product_secret


def test_a_program_signs_in_with_less(licet: Terminal, sold: Sold, name: str) -> None:
    """§8: Bob's program may look at its own account, and at nothing else."""
    issued = licet("tokens", "issue", "Bob's dashboard", "--role", "viewer", "--account", name)
    token = issued.facts["token"]
    assert [row[1] for row in licet("accounts", "list", token=token).rows] == [name]
    assert licet("products", "list", token=token).rows[0][:5] == [sold.product_key, "Thermostat", "20", "20", "0"]
    refused = licet("products", "create", "Door sensor", token=token)
    assert refused.status == 1
    assert refused.err == "Bob's dashboard may not do this. It needs the scope manage.\n"
    assert licet("tokens", "revoke", issued.facts["id"], "--yes").status == 0
    assert "valid token" in licet("products", "list", token=token).err
    assert token not in licet("tokens", "list", "--account", name).out


def test_people_are_invited_with_a_link(licet: Terminal, sold: Sold, name: str) -> None:
    email = f"alice@{sold.product_key}.example".lower()
    invited = licet("people", "invite", email, "Alice", "--role", "owner", "--account", name)
    assert f"licet people link {invited.facts['id']}" in invited.err
    assert [row[1] for row in licet("people", "list", "--account", name).rows] == [email]
    link = licet("people", "link", invited.facts["id"]).facts["link"]
    assert link.startswith(f"{licet.running['url']}/sign-in/")


def test_what_was_done_and_what_happened_is_told(licet: Terminal, sold: Sold, name: str) -> None:
    changes = licet("audit", "--account", name, "--json").json["data"]
    assert changes[0]["subject"] == sold.product_key
    assert changes[0]["by_name"] == "operator of this machine"
    assert licet("audit", "--account", name, "--subject", sold.product_key, "--limit", "1").err.startswith(
        "There are more"
    )
    events = licet("events", "--product", sold.product_key).rows
    assert {row[2] for row in events} >= {"codes_assigned", "product_created"}
    assert len(licet("events", "--account", name, "--kind", "codes_assigned").rows) == 1


def test_a_list_is_paged_through(licet: Terminal, sold: Sold) -> None:
    keys = [f"dev{number:05}" for number in range(450)]
    imported = licet("devices", "import", sold.product_key, "-", "--json", typed="\n".join(keys)).json
    assert [each["device_key"] for each in imported["data"]] == keys

    def listed(limit: int) -> tuple[list[str], bool]:
        page = licet("devices", "list", "--product", sold.product_key, "--limit", str(limit), "--json").json
        return [each["device_key"] for each in page["data"]], page["next_cursor"] is None

    assert listed(1000) == (keys, True)
    assert listed(450) == (keys, True)
    assert listed(250) == (keys[:250], False)
    assert listed(200) == (keys[:200], False)
    some = licet("devices", "list", "--product", sold.product_key)
    assert len(some.rows) == 200
    assert some.err == "There are more; --limit shows more of them.\n"


def test_json_is_the_api_s_own_answer(licet: Terminal, sold: Sold) -> None:
    for words, path in (
        (["accounts", "list", "--search", "Acme"], "/v1/accounts?search=Acme&limit=200"),
        (["products", "show", sold.product_key], f"/v1/products/{sold.product_key}"),
        (["lots", "--account", sold.account], f"/v1/lots?account_id={sold.account}"),
    ):
        assert licet(*words, "--json").out == licet.api("GET", path) + "\n"
    both = licet("accounts", "show", sold.account, "--json").json
    assert both["codes"] == json.loads(licet.api("GET", f"/v1/accounts/{sold.account}/codes"))
    assert both["account"] == json.loads(licet.api("GET", f"/v1/accounts/{sold.account}"))
    removed = licet("products", "delete", sold.product_key, "--yes", "--json")
    assert (removed.status, removed.out, removed.err) == (0, "", "")


def test_a_name_is_shown_as_it_is_on_one_line(licet: Terminal, sold: Sold) -> None:
    odd = "[bold]Tür[/] & Co [/x] :smile: " + "long " * 30
    licet("products", "create", odd, "--account", sold.account)
    lines = licet("products", "list", "--account", sold.account).out.splitlines()
    assert len(lines) == 3
    assert odd.strip() in lines[2]
    assert not re.search(r"\x1b", "".join(lines))


@pytest.mark.parametrize("by_name", [True, False])
def test_two_of_a_name_are_told_apart(licet: Terminal, name: str, by_name: bool) -> None:
    ids = sorted(licet("accounts", "open", name, "--json").json["id"] for _ in range(2))
    if by_name:
        unclear = licet("accounts", "show", name)
        assert unclear.status == 2
        assert unclear.err == f"2 accounts are named {name}: {', '.join(ids)}. Say which by its id.\n"
    else:
        assert licet("accounts", "show", ids[0]).facts["id"] == ids[0]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["accounts", "show", "Nobody"], 1, "There is no account named Nobody. Check the name."),
        (["credit", "Nobody", "x", "1", "--order", "x"], 1, "There is no account named Nobody."),
        (["products", "upgrade", "aX9kLm2QpR7", "Nothing"], 1, "There is no package named Nothing."),
        (["accounts", "show", "acc_00000000000000000000"], 1, "There is no such account. Check the name."),
        (["products", "show", "Thermostat"], 1, "There is no such product. Check the name."),
        (["products", "show", "aX9kLm2QpR7/no-renewal"], 2, "“aX9kLm2QpR7/no-renewal” is no id and no key."),
        (["products", "delete", "", "--yes"], 2, "“” is no id and no key."),
        (["products", "create", "Thermostat"], 2, "  account_id: An operator says for which account."),
        (["devices", "list", "--expires-to", "soon"], 2, "  expires_to: This is an instant as RFC 3339 writes it"),
        (["accounts", "open", "Acme", "--time-zone", "Mars"], 2, "  time_zone: This is a time zone"),
        (["accounts", "open", "Acme", "--kind", "huge"], 2, "--kind"),
        (["accounts", "open", "Acme", "--key", "two words"], 2, "A key is up to 200"),
        (["credit", "Acme", "x", "0", "--order", "x"], 2, "QUANTITY"),
        (["assign", "aX9kLm2QpR7", "x"], 2, "Say how many codes, or --dry-run"),
        (["assign", "aX9kLm2QpR7", "x", "5", "--dry-run"], 2, "Say how many codes, or --dry-run"),
    ],
)
def test_no_is_said_in_a_sentence(licet: Terminal, words: list[str], status: int, said: str) -> None:
    refused = licet(*words)
    assert (refused.status, refused.out) == (status, "")
    assert said in refused.err
