"""A seed makes a story: a fleet, what becomes of it over some years, and everything that goes wrong by the way.

The model goes along, so that the story knows what is interesting: the very instant at which a span ends, who has
lapsed, what may still be assigned.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.simulation.acts import (
    Assign,
    BecomeEnterprise,
    CreateProduct,
    Credit,
    DeleteProduct,
    Explain,
    Knocks,
    OpenAccount,
    Sweep,
    Upgrade,
)
from tests.simulation.acts_devices import (
    DeleteDevice,
    Import,
    ListNoRenewal,
    Register,
    ResetDevice,
    ResetProduct,
    Settings,
)
from tests.simulation.fates import Fate, Kind
from tests.simulation.model.terms import CATALOGUE
from tests.simulation.model.world import No, Product, World
from tests.simulation.play import Act, Moment, goes_by
from tests.simulation.stories_usage import woven

INSTANT = timedelta(microseconds=1)
SHORT = ("day", "30 days", "month", "30/360 month")
LONG = ("year", "year too", "30/360 year")


def story(seed: int) -> list[Moment]:
    """The same seed tells the same story, always."""
    return woven(_Teller(random.Random(seed)).tell(), seed)


@dataclass
class _Teller:
    dice: random.Random
    world: World = field(default_factory=World)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    ahead: datetime | None = None  # the clock of somebody who was ahead of the others
    told: list[Moment] = field(default_factory=list)
    furthest: datetime = datetime(1, 1, 1, tzinfo=UTC)
    orders: int = 0
    names: int = 0

    def tell(self) -> list[Moment]:
        dice = self.dice
        self.at = datetime(2026 + dice.randrange(4), dice.randint(1, 12), dice.randint(1, 28), tzinfo=UTC)
        self.at += timedelta(microseconds=dice.randrange(10**11))
        self.years = dice.choice((0.2, 1, 1, 2, 3, 5))
        self.favourites = [*dice.sample(SHORT, 2), dice.choice(LONG)]
        self.sweeps = dice.choice((0.1, 0.1, 1, 2))  # how often, beside everything else
        self.faults = dice.choice((0.0, 0.05, 0.2))
        self.skew = dice.choice((0.0, 0.0, 0.05, 0.15))
        self.at_once = dice.choice((0.05, 0.15, 0.3))
        self._open()
        moments = dice.randint(50, 110)
        for _ in range(moments):
            self._pass_time(timedelta(days=365.25) * self.years / moments)
            self._moment()
        return self.told

    def _open(self) -> None:
        self._do(OpenAccount("acme", self.dice.choice(("enterprise", "individual"))))
        if self.dice.random() < 0.3:
            self._do(OpenAccount("globex", "individual"))
        for name in ("thermostat", "meter", "lock")[: self.dice.randint(1, 3)]:
            self._do(CreateProduct(name, self.dice.choice(list(self.world.accounts))))
            product = self.world.products[name]
            self._do(Settings(name, None, self.dice.random() < 0.2, self.dice.random() < 0.8, None))
            self._do(self._import(product))
            self.at += INSTANT  # no two purchases at one instant
            self._do(self._credit(product))
            self._do(Knocks(tuple((name, key, True) for key in product.devices)))

    # Time.

    def _pass_time(self, mean: timedelta) -> None:
        dice = self.dice
        if self.ahead is not None and dice.random() < 0.5:  # everybody else is still where they were
            self.at, self.ahead = self.ahead, None
        how = dice.random()
        ends = [product.due[0][0] for product in self.world.products.values() if product.due and not product.deleted]
        ends = [end for end in ends if end > self.at]
        if how < self.skew:
            back = dice.choice(
                (
                    INSTANT,
                    timedelta(seconds=dice.uniform(0, 300)),
                    timedelta(days=dice.uniform(0, dice.choice((3, 60, 400)))),
                )
            )
            self.at -= back
        elif how < 1.5 * self.skew:
            self.ahead = self.at
            self.at += timedelta(days=dice.uniform(1, 400))
        elif how < 0.25:
            self.at += timedelta(seconds=dice.expovariate(1 / 3000))
        elif how < 0.55 and ends:
            self.at = dice.choice(ends) + dice.choice((-INSTANT, timedelta(), timedelta(), INSTANT))
            return
        else:
            self.at += mean * dice.expovariate(0.6)
        self.at += timedelta(microseconds=dice.randrange(1, 1000))  # no two purchases at one instant

    # What happens.

    def _moment(self) -> None:
        dice = self.dice
        if dice.random() < self.at_once:
            acts = self._at_once()
            orders = [act for act in acts if isinstance(act, Credit)]
            self._do(*(act for act in acts if act not in orders or act == orders[0]))  # no two purchases at one instant
        else:
            self._do(self._act())

    def _do(self, *acts: Act) -> None:
        befalls = [self._fate(act) for act in acts]
        self.furthest = max(self.furthest, self.at)
        self.told.append(Moment(self.at, tuple(zip(acts, befalls, strict=True))))
        self.world.advance(self.at)
        for act in acts:
            try:
                goes_by(self.world, act, act.expect(self.world, self.at))
            except No:
                continue
        if any(befalls) and self.dice.random() < 0.6:  # who heard nothing asks again
            self.at += timedelta(seconds=self.dice.uniform(1e-3, 100))
            again = tuple((act, None) for act, fate in zip(acts, befalls, strict=True) if fate)
            self.told.append(Moment(self.at, again[:1]))

    def _fate(self, act: Act) -> Fate | None:
        if self.dice.random() >= self.faults:
            return None
        if isinstance(act, OpenAccount | CreateProduct):  # who asks for these again gets another one
            return Fate(Kind.KILLED, 1)
        kind = self.dice.choice(list(Kind))
        return Fate(kind, 1 if kind is Kind.UNHEARD else self.dice.randint(1, 14))

    def _act(self) -> Act:
        dice = self.dice
        wanting = [product for product in self.world.products.values() if product.wants_codes()]
        if wanting and dice.random() < 0.3:  # codes come when it is too late
            return dice.choice((self._assign, self._credit))(dice.choice(wanting))
        if self.at < self.furthest and dice.random() < 0.4:
            product = self._product()
            return Knocks(tuple((product.name, key, True) for key in product.devices)) if product.devices else Sweep()
        choices: dict[Callable[[], Act], float] = {
            self._knocks: 30,
            self._credit: 8,
            self._assign: 7,
            self._sweep: 6 * self.sweeps,
            lambda: self._import(self._product()): 6,
            self._register: 5,
            self._settings: 6,
            self._list: 5,
            self._upgrade: 3,
            self._delete: 3,
            self._reset: 3,
            self._again: 4,
            self._explain: 6,
            self._rare: 1,
        }
        (choice,) = dice.choices(list(choices), list(choices.values()))
        return choice()

    def _at_once(self) -> list[Act]:
        """Two to four things in one instant, over as many connections."""
        dice = self.dice
        many = self._knocks(most=8)
        keys = list(many.batch)
        match dice.randrange(8):
            case 0:
                return [many, many]
            case 1:
                return [Knocks(tuple(dice.sample(keys, len(keys)))), many, Knocks((keys[0],)), Knocks(many.batch[::-1])]
            case 2:
                return [self._sweep(), many, self._sweep()]
            case 3:
                credit = self._credit()
                return [credit, credit, many]
            case 4:
                return [self._assign(), self._assign(), many]
            case 5:
                imported = self._import(self._product())
                return [imported, imported, self._register()]
            case 6:
                return [many, dice.choice((self._delete, self._settings, self._list, self._upgrade, self._reset))()]
            case _:
                return [self._act() for _ in range(dice.randint(2, 4))]

    # Who and what.

    def _product(self) -> Product:
        living = [product for product in self.world.products.values() if not product.deleted]
        return self.dice.choice(living or list(self.world.products.values()))

    def _by(self, product: Product) -> str | None:
        """The owner or the operator; now and then somebody of another account."""
        others = [name for name in self.world.accounts if name != product.account]
        if others and self.dice.random() < 0.05:
            return others[0]
        return self.dice.choice((None, product.account))

    def _key(self, product: Product) -> str:
        if product.devices and self.dice.random() < 0.95:
            return self.dice.choice(list(product.devices))
        return "stranger1"

    def _package(self, product: Product | None) -> str:
        """Mostly one that fits."""
        if product is not None and product.allowance is not None and self.dice.random() < 0.93:
            return self.dice.choice([name for name, each in CATALOGUE.items() if each == product.allowance])
        return self.dice.choice(self.favourites)

    def _knocks(self, most: int = 4) -> Knocks:
        batch = []
        for _ in range(self.dice.choice((1, 1, self.dice.randint(2, most)))):
            product = self._product()
            batch.append((product.name, self._key(product), self.dice.random() < 0.97))
        if self.dice.random() < 0.1:
            batch.append(batch[0])
        if self.dice.random() < 0.25:
            batch += [(product.name, key, True) for key in product.devices]
        return Knocks(tuple(batch))

    def _credit(self, product: Product | None = None) -> Credit:
        dice = self.dice
        self.orders += 1
        product = product or self._product()
        account = product.account if dice.random() < 0.98 else dice.choice(list(self.world.accounts))
        to = product.name if dice.random() < 0.6 else None
        use_by = None
        if dice.random() < 0.3:
            use_by = self.at + dice.choice((timedelta(hours=1), timedelta(days=dice.uniform(1, 100))))
            ends = sorted(end for end, _ in product.due if end > self.at)
            if ends and dice.random() < 0.6:  # lost at the very instant at which it is wanted, or between two
                use_by = dice.choice(ends[:4]) + dice.choice((timedelta(), INSTANT))
        quantity = dice.choice((1, 2, 3, 5, 8, 20, 30))
        return Credit(account, to, self._package(product), quantity, f"order {self.orders}", use_by)

    def _assign(self, product: Product | None = None) -> Act:
        product = product or self._product()
        offered = {lot.package for lot in self.world.lots.values() if lot.account == product.account}
        fits = [name for name in sorted(offered) if product.allowance in (None, CATALOGUE[name])]
        package = self.dice.choice(fits) if fits and self.dice.random() < 0.95 else self._package(None)
        maximum = self.world.unassigned(product.account, self.at, package)
        if not maximum and self.dice.random() < 0.8:
            return self._credit(product)
        quantity = self.dice.choice((1, max(1, maximum), max(1, maximum // 2), maximum + 1))
        return Assign(product.name, package, quantity, self._by(product))

    def _sweep(self) -> Sweep:
        return Sweep()

    def _import(self, product: Product) -> Import:
        dice = self.dice
        lines: list[tuple[str, str | None, bool]] = []
        for _ in range(dice.choice((1, 2, dice.randint(1, 8)))):
            if product.devices and dice.random() < 0.3:
                device = dice.choice(list(product.devices.values()))
                again = dice.choice((None, None, device.secret if device.origin == "supplied" else None, "another1"))
                lines.append((device.key, again, device.virtual if dice.random() < 0.9 else not device.virtual))
            else:
                self.names += 1
                # Neither in the order of their keys nor of their entry.
                key = f"{dice.choice('abcXYZ')}{dice.randrange(100):02}n{self.names}"
                lines.append((key, dice.choice((None, f"supplied{self.names}")), dice.random() < 0.05))
        if dice.random() < 0.05:
            lines.append(lines[0])
        return Import(product.name, tuple(lines), self._by(product))

    def _register(self) -> Register:
        product = self._product()
        self.names += 1
        key = self._key(product) if self.dice.random() < 0.6 else f"r{self.dice.randrange(100):02}n{self.names}"
        device = product.devices.get(key)
        nonce = f"nonce{self.names:04}"
        if device is not None and device.nonces and self.dice.random() < 0.5:
            nonce = min(device.nonces)
        return Register(product.name, key, nonce, self.dice.random() < 0.95)

    def _settings(self) -> Settings:
        product, dice = self._product(), self.dice
        renews = dice.choice((None, True, True, not product.renews))
        on_connect = dice.choice((None, None, False, not product.on_connect))
        return Settings(product.name, renews, on_connect, dice.choice((None, None, True, False)), self._by(product))

    def _list(self) -> ListNoRenewal:
        product = self._product()
        keys = tuple(self._key(product) for _ in range(self.dice.randint(1, 3)))
        return ListNoRenewal(product.name, keys, self.dice.random() < 0.4, self._by(product))

    def _upgrade(self) -> Upgrade:
        product = self._product()
        ups = [name for name, each in CATALOGUE.items() if product.allowance is None or each.covers(product.allowance)]
        package = self.dice.choice(ups if self.dice.random() < 0.7 else list(CATALOGUE))
        return Upgrade(product.name, package, self.dice.random() < 0.3, self._by(product))

    def _delete(self) -> Act:
        """A device; and one that is deleted may be back."""
        product = self._product()
        deleted = [device for device in product.devices.values() if device.deleted]
        if deleted and self.dice.random() < 0.5:
            device = self.dice.choice(deleted)
            return Import(product.name, ((device.key, None, self.dice.random() < 0.2),), None)
        return DeleteDevice(product.name, self._key(product), self._by(product))

    def _reset(self) -> Act:
        product = self._product()
        if self.dice.random() < 0.2:
            return ResetProduct(product.name)
        return ResetDevice(product.name, self._key(product), self._by(product))

    def _again(self) -> Act:
        """Something that was asked before is asked again: an answer was lost, or somebody presses the button twice."""
        acts = [act for moment in self.told[-30:] for act, _ in moment.acts]
        return self.dice.choice([act for act in acts if not isinstance(act, OpenAccount | CreateProduct)] or [Sweep()])

    def _explain(self) -> Explain:
        return Explain((product := self._product()).name, self._key(product))

    def _rare(self) -> Act:
        living = [product for product in self.world.products.values() if not product.deleted]
        if len(living) > 1 and self.dice.random() < 0.5:
            return DeleteProduct(self.dice.choice(living).name)
        return BecomeEnterprise(self.dice.choice(list(self.world.accounts)))
