"""What licet must answer, rule by rule (domain.md A to D), and what is true afterwards."""

from datetime import datetime

from tests.simulation.model.terms import CATALOGUE, FREE
from tests.simulation.model.usage import next_midnight
from tests.simulation.model.world import Device, Lot, No, Product, Secret, Stock, World

Answer = tuple[object, ...]


def open_account(world: World, name: str, kind: str, at: datetime) -> None:
    """A8: 10 free codes, or 5."""
    world.accounts[name] = kind
    world.lots[name, "free codes"] = Lot(name, FREE, 10 if kind == "enterprise" else 5, None, None, at)


def become_enterprise(world: World, name: str, at: datetime) -> None:
    """A8: five more, once."""
    if name not in world.accounts:
        raise No("not_found")
    if world.accounts[name] == "individual":
        world.accounts[name] = "enterprise"
        world.lots[name, "free codes: now an enterprise"] = Lot(name, FREE, 5, None, None, at)


def create_product(world: World, name: str, account: str) -> Secret:
    if account not in world.accounts:
        raise No("not_found")
    secret = world.new_secret()
    world.products[name] = Product(name, account, secret)
    return secret


def delete_product(world: World, name: str) -> None:
    """C6: its codes are forfeited."""
    world.product(name).deleted = True


def credit(
    world: World, account: str, to: str | None, package: str, quantity: int, order: str, use_by: datetime | None,
    at: datetime,
) -> int:  # fmt: skip
    """A9, A6. Returns how many of the lot's codes are assigned."""
    if account not in world.accounts:
        raise No("not_found")
    product = world.product(to, account) if to is not None else None
    lot = world.lots.get((account, order))
    if lot is not None:
        if (lot.package, lot.quantity, lot.product, lot.use_by) != (package, quantity, to, use_by):
            raise No("order_already_credited")
        return lot.assigned
    if product is not None and product.allowance not in (None, CATALOGUE[package]):
        raise No("allowance_differs")
    lot = world.lots[account, order] = Lot(account, package, quantity, to, use_by, at)
    if product is not None:
        _give(product, lot, quantity, at)
    return lot.assigned


def assign(world: World, name: str, package: str, quantity: int, by: str | None, at: datetime) -> int:
    """A10, A6: all or none, what would be lost soonest first, then the oldest. Returns what is left unassigned."""
    product = world.product(name, by)
    if product.allowance not in (None, CATALOGUE[package]):
        raise No("allowance_differs")
    maximum = world.unassigned(product.account, at, package)
    if quantity > maximum:
        raise No("too_few_unassigned")
    lots = [lot for lot in world.lots.values() if (lot.account, lot.package) == (product.account, package)]
    wanted = quantity
    for lot in sorted(lots, key=lambda lot: (lot.use_by is None, lot.use_by or at, lot.credited)):
        if share := min(wanted, lot.unassigned(at)):
            _give(product, lot, share, at)
            wanted -= share
    return maximum - quantity


def _give(product: Product, lot: Lot, quantity: int, at: datetime) -> None:
    lot.assigned += quantity
    first = 1 + sum(stock.quantity for stock in product.stocks)
    product.stocks.append(Stock(first, quantity, lot.use_by))
    if product.package is None:
        product.package = lot.package
        product.packages.append((at, lot.package))


def upgrade(world: World, name: str, package: str, *, force: bool, by: str | None, at: datetime) -> str:
    """A7: only upward, unless an operator forces it; its messages count from the account's next midnight."""
    if force and by is not None:
        raise No("not_permitted")
    product = world.product(name, by)
    if product.allowance is None:
        raise No("no_package_yet")
    if not force and not CATALOGUE[package].covers(product.allowance):
        raise No("not_an_upgrade")
    if package != product.package:
        product.package = package
        product.packages.append((next_midnight(product.account, at), package))
    return package


def import_devices(world: World, name: str, lines: tuple[tuple[str, str | None, bool], ...], by: str | None) -> Answer:
    """C3, C5, C7: lines are (DK, secret or none, virtual). A device again changes nothing; a deleted one is back."""
    product = world.product(name, by)
    devices = {key: line for line in lines if (key := line[0])}
    if any(devices[line[0]] != line for line in lines):
        raise No("secret_differs")
    there = {key: device for key, device in product.devices.items() if not device.deleted}
    for key, secret, virtual in devices.values():
        if key in there and (secret not in (None, there[key].secret) or virtual != there[key].virtual):
            raise No("secret_differs")
    virtuals = {key for key, device in there.items() if device.virtual} | {key for key, _, v in lines if v}
    if len(virtuals) > 1:
        raise No("virtual_device_exists")
    for key, secret, virtual in devices.values():
        if key not in there:
            enter(world, product, key, secret, "supplied" if secret else "issued", virtual=virtual)
    return tuple((key, product.devices[key].secret) for key, _, _ in lines)


def enter(
    world: World, product: Product, key: str, secret: str | None, origin: str, *, virtual: bool = False
) -> Device:
    """A new device; or one that was deleted is back, with its spans."""
    device = product.devices.setdefault(key, Device(key, "", ""))
    device.secret, device.origin = secret or world.new_secret(), origin
    device.virtual, device.deleted = virtual, False
    return device


def register(world: World, name: str, key: str, nonce: str, product_secret: str, at: datetime) -> str:
    """C5: once, until it is reset."""
    product = world.products.get(name)
    if product is None or product.deleted or product.secret != product_secret:
        raise No("not_authorized")
    device = product.devices.get(key)
    if device is None or device.deleted:
        if not product.dynamic:
            raise No("dynamic_authentication_off")
        if device is not None and nonce in device.nonces:
            raise No("nonce_used")
        device = enter(world, product, key, None, "registered")
    else:
        unused = device.origin == "issued" and not device.spans and not device.virtual
        if device.origin != "reset" and not unused:
            raise No("already_registered")
        if nonce in device.nonces:
            raise No("nonce_used")
        device.secret, device.origin = world.new_secret(), "registered"
    device.nonces.add(nonce)
    return device.secret


def _there(product: Product, key: str) -> Device:
    device = product.devices.get(key)
    if device is None or device.deleted:
        raise No("not_found")
    return device


def reset_device(world: World, name: str, key: str, by: str | None) -> str:
    """C6: it keeps its code."""
    device = _there(world.product(name, by), key)
    device.secret, device.origin = world.new_secret(), "reset"
    return device.secret


def delete_device(world: World, name: str, key: str, by: str | None) -> None:
    """C6: no code comes back."""
    device = _there(world.product(name, by), key)
    device.deleted, device.listed = True, False


def list_no_renewal(world: World, name: str, keys: tuple[str, ...], *, renews: bool, by: str | None) -> int:
    """D3. Returns how many devices that changed."""
    product = world.product(name, by)
    devices = [_there(product, key) for key in dict.fromkeys(keys)]
    changed = [device for device in devices if device.listed == renews]
    for device in changed:
        device.listed = not renews
    return len(changed)


def knock(world: World, name: str, key: str, secret: str, at: datetime) -> Answer:
    """C1, C2, C5 to C7, D2, D3: admitted until an instant, or why not."""
    product = world.products.get(name)
    device = product.devices.get(key) if product is not None and not product.deleted else None
    if product is None or device is None or device.deleted or device.secret != secret:
        return ("out", "not_authorized")
    if device.virtual:
        return ("in", None)
    if device.active(at):
        return ("in", device.spans[-1].end)
    if device.spans and (device.listed or not product.renews):
        return ("out", "renewal_off")
    number = product.take(at)
    if number is None:
        return ("out", "no_code_available")
    return ("in", product.begin(device, number, at, "knock").end)


def knocks(world: World, batch: tuple[tuple[str, str, str], ...], at: datetime) -> Answer:
    """Many at once: (product, DK, secret). A refusal for want of a code says how things stand."""
    answers = [knock(world, name, key, secret, at) for name, key, secret in batch]
    return tuple(
        (*answer, world.products[name].consumed(), world.unassigned_alike(world.products[name], at))
        if answer[1] == "no_code_available"
        else answer
        for answer, (name, _, _) in zip(answers, batch, strict=True)
    )
