"""What can happen in a story: each form of words, and the verb that does it."""

import asyncio
import hashlib
import hmac
from dataclasses import astuple

from chronicles.stage import Stage, each, happens, instant

from licet.accounts import PLATFORM, FreeCodes, Kind, Mode
from licet.admit import admit
from licet.assign import assign, maximum
from licet.enrol import (
    change_account,
    change_product,
    create_product,
    delete_device,
    delete_product,
    import_devices,
    list_no_renewal,
    open_account,
    register,
    reset_device,
)
from licet.explain import Explanation, explain
from licet.mint import credit, define_package
from licet.packages import Allowance
from licet.products import Imported, Knock, Registration, RenewalPolicy
from licet.refusals import Refused
from licet.sweep import Swept, sweep
from licet.units import DayCount, Term
from licet.upgrade import upgrade

FREE = FreeCodes(10, 5, Allowance(Term.parse("P1Y"), 1500, 1, 7))


@happens(r"the operator defines (\S+): (P\w+)( by 30/360)?, (\d+) messages, (\d+) OTA, (\d+) days?")
async def _(on: Stage, name: str, term: str, thirty: str, messages: str, upgrades: str, storage: str) -> None:
    day_count = DayCount.THIRTY_360 if thirty else DayCount.CALENDAR
    allowance = Allowance(Term.parse(term, day_count), int(messages), int(upgrades), int(storage))
    package = await define_package(on.books, name=name, allowance=allowance, by=PLATFORM, now=on.now)
    on.package_ids[name] = package.id


@happens(r"(\w+) opens an account as an (enterprise|individual)")
async def _(on: Stage, name: str, kind: str) -> None:
    on.look_at(account=name)
    opened = await open_account(
        on.books,
        name=name,
        kind=Kind(kind),
        time_zone="Europe/Berlin",
        mode=Mode.CHARGE,
        data_center="fra1",
        free=FREE,
        by=PLATFORM,
        now=on.now,
    )
    on.account_ids[name] = opened.id


@happens(r"(\w+) becomes an (enterprise|individual)")
async def _(on: Stage, name: str, kind: str) -> None:
    on.look_at(account=name)
    await change_account(on.books, on.account_ids[name], kind=Kind(kind), free=FREE, by=PLATFORM, now=on.now)


@happens(r"(\w+) is credited (\d+) codes? of (\S+?)(?: for (\w+))?, order (\S+?)(?:, use by (.+))?")
async def _(on: Stage, account: str, quantity: str, package: str, product: str, order: str, use_by: str) -> None:
    on.look_at(account=account, product=product or "")
    await credit(
        on.books,
        account_id=on.account_ids[account],
        product_key=on.product_keys[product] if product else None,
        package_id=on.package_ids[package],
        quantity=int(quantity),
        order_reference=order,
        use_by=instant(use_by) if use_by else None,
        by=PLATFORM,
        now=on.now,
    )


@happens(r"(\w+) creates (\w+)")
async def _(on: Stage, account: str, name: str) -> None:
    account_id = on.account_ids[account]
    product, secret = await create_product(on.books, account_id=account_id, name=name, by=PLATFORM, now=on.now)
    on.product_keys[name], on.product_secrets[name] = product.product_key, secret
    on.look_at(account=account, product=name)


@happens(r"(\w+) (assigns|could assign) (?:(\d+) )?codes? of (\S+) to (\w+)")
async def _(on: Stage, account: str, does: str, quantity: str, package: str, product: str) -> None:
    on.look_at(account=account, product=product)
    ask = {"product_key": on.product_keys[product], "package_id": on.package_ids[package], "now": on.now}
    if does == "assigns":
        await assign(on.books, quantity=int(quantity), by=on.alice(account), **ask)  # type: ignore[arg-type]
    else:
        on.most = await maximum(on.books, by=on.alice(account), **ask)  # type: ignore[arg-type]


@happens(r"(\w+) imports (.+?) into (\w+)( as its virtual device)?")
async def _(on: Stage, account: str, names: str, product: str, virtual: str) -> None:
    on.look_at(account=account, product=product)
    lines = [Imported(name, virtual=bool(virtual)) for name in each(names)]
    made = await import_devices(on.books, on.product_keys[product], lines, by=on.alice(account), now=on.now)
    on.secrets |= dict(made)
    on.of_product |= dict.fromkeys(each(names), product)


@happens(r"(\w+) registers with the secret of (\w+)( and a wrong signature)?")
async def _(on: Stage, device: str, product: str, wrong: str) -> None:
    nonce, key = f"{device}{on.now:%Y%m%d%H%M%S}", on.product_keys[product]
    secret = on.product_secrets[product] + ("x" if wrong else "")
    signature = hmac.new(secret.encode(), f"{key}/{device}/{nonce}".encode(), hashlib.sha256).hexdigest()
    on.secrets[device] = await register(on.books, Registration(key, device, nonce, signature), now=on.now)
    on.of_product[device] = product
    on.look_at(device=device)


@happens(r"(.+?) connects?(?: (\d+) times at once)?( with its old secret)?")
async def _(on: Stage, names: str, times: str, wrong: str) -> None:
    knocking = each(names) * int(times or 1)
    on.look_at(device=knocking[0])
    had = {name: len(await on.spans(name)) for name in knocking}
    foretold = await _foretold(on, knocking[0]) if len(knocking) == 1 and not wrong else None
    knocks = [Knock(on.product_keys[on.of_product[name]], name, on.secrets[name]) for name in knocking]
    if times:
        both = [admit(on.books, knocks[at::2], now=on.now) for at in (0, 1)]
        answers = [answer for half in await asyncio.gather(*both) for answer in half]
    else:
        answers = await admit(on.books, knocks, now=on.now)
    cost = {name: len(await on.spans(name)) > had[name] for name in knocking}
    on.answers = [(answer, cost[name]) for name, answer in zip(knocking, answers, strict=True)]
    on.refused = answers[0].refusal
    if foretold is not None:
        assert foretold.admitted == answers[0].admitted, f"licet had foretold: {foretold.sentence}"
        assert str(foretold.refusal) == str(answers[0].refusal)
        assert foretold.consumes == cost[knocking[0]], f"licet had foretold: {foretold.sentence}"


async def _foretold(on: Stage, device: str) -> Explanation | None:
    """What licet explains about a device must be what its next knock then meets."""
    try:
        return await explain(on.books, on.product_keys[on.product], device, by=PLATFORM, now=on.now)
    except Refused:  # it was deleted: nothing is said about it
        return None


@happens(r"(\w+) (deletes|resets) (\w+)")
async def _(on: Stage, account: str, does: str, name: str) -> None:
    if name in on.product_keys:
        on.look_at(account=account)
        await delete_product(on.books, on.product_keys[name], by=on.alice(account), now=on.now)
        return
    on.look_at(account=account, device=name)
    ask = (on.books, on.product_keys[on.product], name)
    if does == "deletes":
        await delete_device(*ask, by=on.alice(account), now=on.now)
    else:
        on.secrets[f"{name}'s"] = await reset_device(*ask, by=on.alice(account), now=on.now)


@happens(r"(\w+) is given its new secret")
async def _(on: Stage, device: str) -> None:
    on.secrets[device] = on.secrets.pop(f"{device}'s")


@happens(r"(\w+|the operator) (upgrades|forces) (\w+) to (\S+)")
async def _(on: Stage, who: str, does: str, product: str, package: str) -> None:
    by = PLATFORM if who == "the operator" else on.alice(who)
    on.look_at(account="" if who == "the operator" else who, product=product)
    key, package_id = on.product_keys[product], on.package_ids[package]
    await upgrade(on.books, key, package_id=package_id, force=does == "forces", by=by, now=on.now)


@happens(r"(\w+) switches renewal of (\w+) (on|off|to on_connect|to on_schedule)")
async def _(on: Stage, account: str, product: str, to: str) -> None:
    on.look_at(account=account, product=product)
    policy = RenewalPolicy(to.removeprefix("to ")) if to.startswith("to ") else None
    await change_product(
        on.books,
        on.product_keys[product],
        auto_renewal=None if policy else to == "on",
        renewal_policy=policy,
        by=on.alice(account),
        now=on.now,
    )


@happens(r"(\w+) lists (.+?) as (not )?renewing")
async def _(on: Stage, account: str, names: str, no: str) -> None:
    on.look_at(account=account, device=each(names)[0])
    key = on.product_keys[on.product]
    await list_no_renewal(on.books, key, each(names), renews=not no, by=on.alice(account), now=on.now)


@happens(r"the sweep runs( twice at once)?")
async def _(on: Stage, twice: str) -> None:
    swept = await asyncio.gather(*(sweep(on.books, now=on.now) for _ in range(2 if twice else 1)))
    on.swept = Swept(*(sum(figures) for figures in zip(*(astuple(once) for once in swept), strict=True)))


@happens(r"licet is asked about (\w+)")
async def _(on: Stage, device: str) -> None:
    on.look_at(device=device)
    key = on.product_keys[on.product]
    explained = await explain(on.books, key, device, by=PLATFORM, now=on.now)
    on.refused = explained.refusal
    on.said = f"{explained.sentence} {explained.next_step}"


@happens(r"(\w+) is looked at")
async def _(on: Stage, name: str) -> None:
    kind = "account" if name in on.account_ids else "product" if name in on.product_keys else "device"
    on.look_at(**{kind: name})
