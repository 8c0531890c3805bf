"""What somebody does with products and devices: see acts.py."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.model import rules
from tests.simulation.model.world import World
from tests.simulation.stage import Stage

from licet.enrol import (
    change_product,
    delete_device,
    import_devices,
    list_no_renewal,
    register,
    reset_device,
    reset_product_secret,
)
from licet.products import Imported, Registration, RenewalPolicy


@dataclass(frozen=True)
class Import:
    """``lines``: (DK, secret or None, virtual)."""

    product: str
    lines: tuple[tuple[str, str | None, bool], ...]
    by: str | None

    def __str__(self) -> str:
        names = (
            key + (f" with secret {secret}" if secret else "") + (" as virtual" if virtual else "")
            for key, secret, virtual in self.lines
        )
        return f"{self.by or 'the operator'} imports {', '.join(names)} for {self.product}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        lines = [Imported(key, secret, virtual) for key, secret, virtual in self.lines]
        by = stage.by(self.by)
        return tuple(await import_devices(stage.books, stage.product(self.product), lines, by=by, now=now))

    def expect(self, world: World, _now: datetime) -> object:
        return rules.import_devices(world, self.product, self.lines, self.by)


@dataclass(frozen=True)
class Register:
    product: str
    key: str
    nonce: str
    right: bool = True

    def __str__(self) -> str:
        return (
            f"{self.product}/{self.key} registers, {self.nonce}{'' if self.right else ', signed with another secret'}"
        )

    async def do(self, stage: Stage, world: World, now: datetime) -> object:
        secret = stage.real(world.held.get((self.product, None), "unknown")) if self.right else "wrong"
        key = stage.product(self.product)
        asked = f"{key}/{self.key}/{self.nonce}".encode()
        signature = hmac.new(secret.encode(), asked, hashlib.sha256).hexdigest()
        return await register(stage.books, Registration(key, self.key, self.nonce, signature), now=now)

    def expect(self, world: World, now: datetime) -> object:
        secret = world.held.get((self.product, None), "unknown") if self.right else "wrong"
        return rules.register(world, self.product, self.key, self.nonce, secret, now)


@dataclass(frozen=True)
class ResetDevice:
    product: str
    key: str
    by: str | None

    def __str__(self) -> str:
        return f"{self.by or 'the operator'} resets {self.product}/{self.key}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        return await reset_device(stage.books, stage.product(self.product), self.key, by=stage.by(self.by), now=now)

    def expect(self, world: World, _now: datetime) -> object:
        return rules.reset_device(world, self.product, self.key, self.by)


@dataclass(frozen=True)
class ResetProduct:
    product: str

    def __str__(self) -> str:
        return f"the secret of {self.product} is reset"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        return await reset_product_secret(stage.books, stage.product(self.product), by=stage.by(None), now=now)

    def expect(self, world: World, _now: datetime) -> object:
        product = world.product(self.product)
        product.secret = world.new_secret()
        return product.secret


@dataclass(frozen=True)
class DeleteDevice:
    product: str
    key: str
    by: str | None

    def __str__(self) -> str:
        return f"{self.by or 'the operator'} deletes {self.product}/{self.key}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        await delete_device(stage.books, stage.product(self.product), self.key, by=stage.by(self.by), now=now)
        return None

    def expect(self, world: World, _now: datetime) -> object:
        rules.delete_device(world, self.product, self.key, self.by)
        return None


@dataclass(frozen=True)
class ListNoRenewal:
    product: str
    keys: tuple[str, ...]
    renews: bool
    by: str | None

    def __str__(self) -> str:
        does = "renew again" if self.renews else "must not renew"
        return f"{self.by or 'the operator'} says of {self.product} that {', '.join(self.keys)} {does}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        by = stage.by(self.by)
        key = stage.product(self.product)
        return await list_no_renewal(stage.books, key, self.keys, renews=self.renews, by=by, now=now)

    def expect(self, world: World, _now: datetime) -> object:
        return rules.list_no_renewal(world, self.product, self.keys, renews=self.renews, by=self.by)


@dataclass(frozen=True)
class Settings:
    """None leaves a setting as it is."""

    product: str
    renews: bool | None
    on_connect: bool | None
    dynamic: bool | None
    by: str | None

    def __str__(self) -> str:
        said = [
            f"{word} {'on' if value else 'off'}"
            for word, value in (("renewal", self.renews), ("dynamic authentication", self.dynamic))
            if value is not None
        ]
        if self.on_connect is not None:
            said.append(f"renewal {'when a device connects' if self.on_connect else 'on schedule'}")
        return f"{self.by or 'the operator'} sets {self.product}: {', '.join(said) or 'nothing'}"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        policies = {None: None, True: RenewalPolicy.ON_CONNECT, False: RenewalPolicy.ON_SCHEDULE}
        product = await change_product(
            stage.books,
            stage.product(self.product),
            auto_renewal=self.renews,
            renewal_policy=policies[self.on_connect],
            dynamic_authentication=self.dynamic,
            by=stage.by(self.by),
            now=now,
        )
        on_connect = product.renewal_policy is RenewalPolicy.ON_CONNECT
        return (product.auto_renewal, on_connect, product.dynamic_authentication)

    def expect(self, world: World, _now: datetime) -> object:
        product = world.product(self.product, self.by)
        product.renews = product.renews if self.renews is None else self.renews
        product.on_connect = product.on_connect if self.on_connect is None else self.on_connect
        product.dynamic = product.dynamic if self.dynamic is None else self.dynamic
        return (product.renews, product.on_connect, product.dynamic)
