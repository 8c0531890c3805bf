"""Every reason licet says no, in order of precedence: when several hold, the first is the one that is said.

Each has one sentence and one next step, written here and nowhere else; the API, the console and the command line show
the same words. Sentences are filled with the facts that the refusal carries. What is malformed is not a refusal: a door
answers it itself, all fields at once (422). Anything that is neither is a fault.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class _No:
    code: str
    sentence: str
    next_step: str
    status: int
    device_code: int | None = None
    transient: bool = False


class Reason(Enum):
    """A reason to say no. ``code`` is stable: programs may rely on it. ``device_code`` is the field's own number."""

    # Nobody is asked further.
    TOO_MANY_TRIES = _No(
        "too_many_tries", "Too many tries.", "Wait {seconds} seconds and try again.", 429, transient=True
    )
    BUSY = _No("busy", "licet has more to do than it can.", "Try again shortly.", 503, transient=True)
    BOOKS_AWAY = _No("books_away", "The books cannot be reached.", "Try again shortly.", 503, transient=True)
    BROKER_AWAY = _No(
        "broker_away", "The devices' broker cannot be reached.", "Try again shortly.", 503, transient=True
    )

    # Who asks?
    NOT_SIGNED_IN = _No(
        "not_signed_in", "This needs a valid token or session.", "Sign in, or send a bearer token.", 401
    )
    WRONG_PASSWORD = _No("wrong_password", "E-mail or password is wrong.", "Try again, or ask for a sign-in link.", 401)
    LINK_SPENT = _No("link_spent", "This sign-in link was used already or has expired.", "Ask for a new one.", 401)
    CROSS_SITE = _No(
        "cross_site", "This request came from another site.", "Open the console itself and try again.", 403
    )
    NOT_PERMITTED = _No("not_permitted", "{who} may not do this.", "It needs the scope {scope}.", 403)
    NOT_FOUND = _No("not_found", "There is no such {thing}.", "Check the name.", 404)
    KEY_REUSED = _No(
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request.",
        "Send a new key for a new request.",
        409,
    )

    # A device knocks.
    MALFORMED_KNOCK = _No(
        "malformed_knock",
        "A device signs in with the user name PK/DK.",
        "PK is 11 letters and digits, DK 4 to 32.",
        400,
    )
    CLIENT_ID_MISMATCH = _No(
        "client_id_mismatch", "The MQTT client id is not the device's own.", "Use the client id PK-DK.", 403
    )
    NOT_AUTHORIZED = _No(
        "not_authorized",
        "Product key, device key and secret do not belong together.",
        "Check all three.",
        401,
    )
    DYNAMIC_AUTHENTICATION_OFF = _No(
        "dynamic_authentication_off",
        "Devices of this product do not register themselves.",
        "Import the device, or switch dynamic authentication on.",
        403,
    )
    NONCE_USED = _No("nonce_used", "This registration was sent before.", "Register with a new nonce.", 409)
    ALREADY_REGISTERED = _No(
        "already_registered", "This device has its secret already.", "Reset the device to issue a new one.", 409
    )
    ALLOWANCE_USED_UP = _No(
        "allowance_used_up",
        "{device_key} has used up today's allowance, and its account blocks what goes beyond.",
        "It may connect again at {until}; a larger package or another mode of the account avoids this.",
        403,
    )
    OTA_USED_UP = _No(
        "ota_used_up",
        "This upgrade costs {attempts} of the month's attempts; {device_key} has {left} left, and its account blocks "
        "what goes beyond.",
        "Wait for the next month, or take a larger package or another mode of the account.",
        403,
    )
    DEVICE_INACTIVE = _No(
        "device_inactive", "{device_key} is not active.", "Let it connect first: that activates it.", 403
    )
    RENEWAL_OFF = _No(
        "renewal_off",
        "{device_key} has expired and does not renew.",
        "Switch renewal on for the product and the device; then let it connect again.",
        403,
    )
    NO_CODE_AVAILABLE = _No(
        "no_code_available",
        "{product} has no code left: {consumed} of {total} consumed.",
        "Assign more; {unassigned} unassigned codes have the same package.",
        403,
        device_code=61016,
    )

    # A person or a program changes something.
    NAME_TAKEN = _No("name_taken", "There is a {thing} named {name} already.", "Choose another name.", 409)
    ORDER_CREDITED = _No(
        "order_already_credited",
        "Order {order_reference} was credited already, and not for the same codes.",
        "Check the order reference.",
        409,
    )
    ALLOWANCE_DIFFERS = _No(
        "allowance_differs",
        "{product} has the package “{current}”; these codes have “{offered}”.",
        "Choose codes with the same allowance, or upgrade the product first.",
        409,
    )
    TOO_FEW_UNASSIGNED = _No(
        "too_few_unassigned",
        "{quantity} codes asked for, {maximum} unassigned.",
        "Assign at most {maximum}, or credit a purchase.",
        409,
    )
    REFERENCE_USED = _No(
        "reference_used",
        "{reference} was used already, and not for the same.",
        "Check the reference.",
        409,
    )
    MORE_THAN_OWED = _No(
        "more_than_owed",
        "{quantity} to be paid, {owed} owed.",
        "Pay at most {owed}.",
        409,
    )
    NOT_AN_UPGRADE = _No(
        "not_an_upgrade",
        "“{offered}” allows less than “{current}” on some figure.",
        "Choose a package that allows at least as much; an operator may force it.",
        409,
    )
    KEEPS_TOO_SHORT = _No(
        "keeps_too_short",
        "{product} is granted {granted} days of storage; {keep_days} would be less.",
        "Keep its messages for at least {granted} days, or as granted.",
        409,
    )
    NO_PACKAGE_YET = _No("no_package_yet", "{product} has no package to upgrade.", "Assign codes to it first.", 409)
    STAYS_AN_ENTERPRISE = _No(
        "stays_an_enterprise", "{account} is an enterprise account, and stays one.", "Leave its kind as it is.", 409
    )
    SECRET_DIFFERS = _No(
        "secret_differs", "{device_key} was imported already, with another secret.", "Reset the device first.", 409
    )
    VIRTUAL_DEVICE_EXISTS = _No(
        "virtual_device_exists", "{product} has its one virtual device already.", "Delete that one first.", 409
    )
    OTA_ENDED = _No(
        "ota_ended",
        "This upgrade is not under way: it is {state}.",
        "Begin another one, if the device still needs it.",
        409,
    )
    FIRMWARE_IN_USE = _No(
        "firmware_in_use",
        "{name} is offered to devices, or being fetched.",
        "Stop its campaigns, and wait until the transfers have ended.",
        409,
    )
    LAST_OWNER = _No("last_owner", "This is the last owner of the account.", "Make somebody else an owner first.", 409)

    @property
    def code(self) -> str:
        return self.value.code

    @property
    def status(self) -> int:
        """The HTTP status that says it."""
        return self.value.status

    @property
    def device_code(self) -> int | None:
        """The number that devices of this trade know it by, where there is one."""
        return self.value.device_code

    @property
    def transient(self) -> bool:
        """Whether asking again, unchanged, may well be answered otherwise."""
        return self.value.transient


class Refused(Exception):
    """licet says no: for one reason, with the facts that it rests on."""

    def __init__(self, reason: Reason, **facts: object) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.facts = facts

    @property
    def sentence(self) -> str:
        return self.reason.value.sentence.format(**self.facts)

    @property
    def next_step(self) -> str:
        return self.reason.value.next_step.format(**self.facts)

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}"
