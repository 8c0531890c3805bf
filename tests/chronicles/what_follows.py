"""What can follow in a story: each form of words, and what it says about the books."""

from chronicles.stage import Stage, follows, instant

from licet.postgres import accounts, devices, products


@follows(r"(total|available|consumed|unassigned|near expiry) (\d+)")
async def _(on: Stage, counter: str, number: str) -> None:
    of_account = await accounts.codes(on.books, on.account_ids[on.account], now=on.now)
    if counter in ("unassigned", "near expiry"):
        assert getattr(of_account, counter.replace(" ", "_")) == int(number)
    elif on.product:
        product = await products.get(on.books, on.product_keys[on.product], now=on.now)
        assert product is not None
        assert getattr(product.codes, counter) == int(number)
    else:
        assert getattr(of_account.codes, counter) == int(number)


@follows(r"(activated|admitted) until (.+)")
async def _(on: Stage, how: str, until: str) -> None:
    assert on.answers
    for answer, cost in on.answers:
        assert answer.admitted, answer.refusal
        assert (answer.until, cost) == (instant(until), how == "activated")


@follows(r"admitted for good")
async def _(on: Stage) -> None:
    assert [(answer.admitted, answer.until, cost) for answer, cost in on.answers] == [(True, None, False)]


@follows(r"(\d+) (activated|admitted|refused)(?: (\w+))?")
async def _(on: Stage, number: str, how: str, code: str) -> None:
    if how == "refused":
        fitting = [answer for answer, _ in on.answers if answer.refusal and answer.refusal.reason.code == code]
    else:
        fitting = [answer for answer, cost in on.answers if answer.admitted and cost == (how == "activated")]
    assert len(fitting) == int(number)


@follows(r"refused (\w+)")
async def _(on: Stage, code: str) -> None:
    assert on.refused is not None
    assert on.refused.reason.code == code
    on.said, on.refused = str(on.refused), None


@follows(r"(\d+) (renewed|lapsed|notices?|released)")
async def _(on: Stage, number: str, what: str) -> None:
    assert on.swept is not None
    assert getattr(on.swept, "notices" if what == "notice" else what) == int(number)


@follows(r"active until (.+)|inactive")
async def _(on: Stage, until: str) -> None:
    device = await devices.get(on.books, on.product_keys[on.product], on.device, now=on.now)
    assert device is not None
    assert device.state.value == ("active" if until else "inactive")
    assert not until or device.expires_at == instant(until)


@follows(r"code (\d+)(?:, (first|renewal|reactivation))?")
async def _(on: Stage, number: str, reason: str) -> None:
    last = (await on.spans(on.device))[-1]
    assert last.number == int(number)
    assert not reason or last.reason.name.lower() == reason


@follows(r"(\d+) codes? in all")
async def _(on: Stage, number: str) -> None:
    assert len(await on.spans(on.device)) == int(number)


@follows(r"lapsed: (\w+)")
async def _(on: Stage, reason: str) -> None:
    assert [span.lapse for span in await on.spans(on.device)][-1:] == [reason]


@follows(r"at home in (\w+)")
async def _(on: Stage, data_center: str) -> None:
    account = await accounts.get(on.books, on.account_ids[on.account])
    assert account is not None
    assert account.data_center == data_center


@follows(r"at most (\d+)")
async def _(on: Stage, number: str) -> None:
    assert on.most == int(number)


@follows(r'"(.+)"')
async def _(on: Stage, sentence: str) -> None:
    assert on.said == sentence, f"licet said: {on.said}"
