"""What somebody does: for real, with licet's own verb; in the model; and in the trade's words.

``do`` returns what licet answered in the model's terms; ``expect`` changes the model and returns what it must be.
"""

from dataclasses import dataclass
from datetime import datetime

from tests.simulation.model import rules
from tests.simulation.model.terms import ZONES
from tests.simulation.model.world import No, World
from tests.simulation.stage import FREE_CODES, Stage

from licet.accounts import PLATFORM, Kind, Mode
from licet.activations import Answer
from licet.admit import admit
from licet.assign import assign
from licet.enrol import change_account, create_product, delete_product, open_account
from licet.explain import explain
from licet.mint import credit
from licet.products import Knock
from licet.refusals import Refused
from licet.sweep import sweep
from licet.upgrade import upgrade


@dataclass(frozen=True)
class OpenAccount:
    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name} becomes an account, {self.kind}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        account = await open_account(
            stage.books, name=self.name, kind=Kind(self.kind), time_zone=ZONES[self.name], mode=Mode.CHARGE,
            data_center="local", free=FREE_CODES, by=PLATFORM, now=now,
        )  # fmt: skip
        stage.accounts[self.name] = account.id
        return None

    def expect(self, world: World, now: datetime) -> object:
        rules.open_account(world, self.name, self.kind, now)
        return None


@dataclass(frozen=True)
class BecomeEnterprise:
    name: str

    def __str__(self) -> str:
        return f"{self.name} becomes an enterprise"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        account = stage.account(self.name)
        await change_account(stage.books, account, kind=Kind.ENTERPRISE, free=FREE_CODES, by=PLATFORM, now=now)
        return None

    def expect(self, world: World, now: datetime) -> object:
        rules.become_enterprise(world, self.name, now)
        return None


@dataclass(frozen=True)
class CreateProduct:
    name: str
    account: str

    def __str__(self) -> str:
        return f"{self.account} creates the product {self.name}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        account = stage.account(self.account)
        product, secret = await create_product(stage.books, account_id=account, name=self.name, by=PLATFORM, now=now)
        stage.products[self.name] = product.product_key
        return secret

    def expect(self, world: World, _now: datetime) -> object:
        return rules.create_product(world, self.name, self.account)


@dataclass(frozen=True)
class DeleteProduct:
    name: str

    def __str__(self) -> str:
        return f"{self.name} is deleted"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        await delete_product(stage.books, stage.product(self.name), by=PLATFORM, now=now)
        return None

    def expect(self, world: World, _now: datetime) -> object:
        rules.delete_product(world, self.name)
        return None


@dataclass(frozen=True)
class Credit:
    account: str
    to: str | None
    package: str
    quantity: int
    order: str
    use_by: datetime | None = None

    def __str__(self) -> str:
        by = f", to be used by {self.use_by}" if self.use_by else ""
        to = f" for {self.to}" if self.to else ""
        return f'{self.account} is credited {self.quantity} codes, package "{self.package}"{to}, {self.order}{by}'

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        lot = await credit(
            stage.books,
            account_id=stage.account(self.account),
            product_key=stage.product(self.to) if self.to else None,
            package_id=await stage.package(self.package),
            quantity=self.quantity,
            order_reference=self.order,
            use_by=self.use_by,
            by=PLATFORM,
            now=now,
        )
        return lot.assigned

    def expect(self, world: World, now: datetime) -> object:
        return rules.credit(
            world, self.account, self.to, self.package, self.quantity, self.order, self.use_by, now
        )  # fmt: skip


@dataclass(frozen=True)
class Assign:
    product: str
    package: str
    quantity: int
    by: str | None

    def __str__(self) -> str:
        return f'{self.by or "the operator"} assigns {self.quantity} codes, package "{self.package}", to {self.product}'

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        assigned = await assign(
            stage.books,
            product_key=stage.product(self.product),
            package_id=await stage.package(self.package),
            quantity=self.quantity,
            by=stage.by(self.by),
            now=now,
        )
        return assigned.quantity

    def expect(self, world: World, now: datetime) -> object:
        """How many; what that leaves is among the counters, which are compared when nobody else is at it."""
        rules.assign(world, self.product, self.package, self.quantity, self.by, now)
        return self.quantity


@dataclass(frozen=True)
class Upgrade:
    product: str
    package: str
    force: bool
    by: str | None

    def __str__(self) -> str:
        forced = ", by force" if self.force else ""
        return f'{self.by or "the operator"} upgrades {self.product} to "{self.package}"{forced}'

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        product = await upgrade(
            stage.books,
            stage.product(self.product),
            package_id=await stage.package(self.package),
            force=self.force,
            by=stage.by(self.by),
            now=now,
        )
        return product.package.name if product.package else None

    def expect(self, world: World, now: datetime) -> object:
        return rules.upgrade(world, self.product, self.package, force=self.force, by=self.by, at=now)


@dataclass(frozen=True)
class Sweep:
    def __str__(self) -> str:
        return "the sweep runs"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        await sweep(stage.books, now=now)
        return None

    def expect(self, _world: World, _now: datetime) -> object:
        return None


@dataclass(frozen=True)
class Knocks:
    """``batch``: (product, DK, whether with the secret that it was told last)."""

    batch: tuple[tuple[str, str, bool], ...]

    def __str__(self) -> str:
        who = (f"{product}/{key}{'' if right else ' (wrong secret)'}" for product, key, right in self.batch)
        return " and ".join(who) + (" connects" if len(self.batch) == 1 else " connect")

    async def do(self, stage: Stage, world: World, now: datetime) -> object:
        batch = [Knock(stage.product(product), key, stage.real(secret)) for product, key, secret in self._shown(world)]
        return tuple(_answer(answer) for answer in await admit(stage.books, batch, now=now))

    def expect(self, world: World, now: datetime) -> object:
        return rules.knocks(world, self._shown(world), now)

    def _shown(self, world: World) -> tuple[tuple[str, str, str], ...]:
        return tuple(
            (product, key, world.held.get((product, key), "unknown") if right else "wrong")
            for product, key, right in self.batch
        )


def _answer(answer: Answer) -> tuple[object, ...]:
    return _no(answer.refusal) if answer.refusal is not None else ("in", answer.until)


def _no(refused: Refused) -> tuple[object, ...]:
    facts = (refused.facts["consumed"], refused.facts["unassigned"]) if refused.reason.device_code else ()
    return ("out", refused.reason.code, *facts)


@dataclass(frozen=True)
class Explain:
    """Somebody asks what would happen if a device knocked now."""

    product: str
    key: str

    def __str__(self) -> str:
        return f"somebody asks about {self.product}/{self.key}"

    async def do(self, stage: Stage, world: World, now: datetime) -> object:
        said = await explain(stage.books, stage.product(self.product), self.key, by=PLATFORM, now=now)
        if said.refusal is not None:
            return _no(said.refusal)
        device = world.product(self.product).devices.get(self.key)
        if said.consumes and device is not None and device.active(now):  # its renewal, which nobody wrote down yet
            return ("in", device.spans[-1].end, False)
        return ("in", said.until, said.consumes)

    def expect(self, world: World, now: datetime) -> object:
        product = world.product(self.product)
        device = product.devices.get(self.key)
        if device is None or device.deleted:
            raise No("not_found")
        would = world.clone()
        (answer,) = rules.knocks(would, ((self.product, self.key, device.secret),), now)
        assert isinstance(answer, tuple)
        if answer[0] == "out":
            return answer
        consumes = would.products[self.product].consumed() > product.consumed()
        return ("in", None if consumes else answer[1], consumes)
