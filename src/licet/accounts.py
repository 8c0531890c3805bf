"""Who owns products and pays for codes; the people of an account, and what each of them may do (rule A8, §8)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from licet.lots import Codes
from licet.packages import Allowance


class Kind(StrEnum):
    ENTERPRISE = "enterprise"
    INDIVIDUAL = "individual"


class Mode(StrEnum):
    """What happens beyond an allowance: the surplus is charged, or the device is cut off (rule E4)."""

    CHARGE = "charge"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who owns products. Its home is one data centre, and only that one's codes are shown (rule B4)."""

    id: str
    name: str
    kind: Kind
    data_center: str
    time_zone: str
    mode: Mode
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class AccountCodes:
    """An account's counters (rules B1 to B4): what its products have plus what is unassigned."""

    codes: Codes
    unassigned: int
    near_expiry: int


@dataclass(frozen=True, slots=True)
class FreeCodes:
    """How many codes an account is given for development and debugging, and of which package (rule A8)."""

    enterprise: int
    individual: int
    allowance: Allowance

    def for_kind(self, kind: Kind) -> int:
        return self.enterprise if kind is Kind.ENTERPRISE else self.individual


class Scope(StrEnum):
    """One thing a token or a role may do."""

    READ = "read"  # see what the account has
    MANAGE = "manage"  # products, devices, assignments, renewal
    PEOPLE = "people"  # people, tokens, the account itself
    OPERATE = "operate"  # all accounts, packages, crediting
    ADMIT = "admit"  # ask whether a device may connect, for another broker
    INGEST = "ingest"  # report what devices used, for gateways that are not ours


class Role(StrEnum):
    OPERATOR = "operator"
    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"
    BROKER = "broker"
    INGEST = "ingest"


SCOPES: dict[Role, frozenset[Scope]] = {
    Role.OPERATOR: frozenset(Scope),
    Role.OWNER: frozenset({Scope.READ, Scope.MANAGE, Scope.PEOPLE, Scope.INGEST}),
    Role.MEMBER: frozenset({Scope.READ, Scope.MANAGE, Scope.INGEST}),
    Role.VIEWER: frozenset({Scope.READ}),
    Role.BROKER: frozenset({Scope.ADMIT}),
    Role.INGEST: frozenset({Scope.INGEST}),
}

#: Roles of programs alone, and of those that may work for one account or for the whole platform.
OF_PROGRAMS = frozenset({Role.BROKER, Role.INGEST})


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, from where, and what they may do. Without an account: the operator, or the platform itself."""

    id: str
    name: str
    role: Role
    account_id: str | None = None
    address: str | None = None
    scopes: frozenset[Scope] = field(default=frozenset())

    def may(self, scope: Scope) -> bool:
        """Who manages devices may also report what they used."""
        return scope in self.scopes or (scope is Scope.INGEST and Scope.MANAGE in self.scopes)

    def sees(self, account_id: str) -> bool:
        """Another account's things do not exist (§8)."""
        return (self.account_id is None and self.role is Role.OPERATOR) or self.account_id == account_id


#: licet itself: what time, start-up and the command line on the machine do.
PLATFORM = By("licet", "licet", Role.OPERATOR, scopes=frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in to the console: an operator (no account), or one of an account's people."""

    id: str
    account_id: str | None
    email: str
    name: str
    role: Role
    invited_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """What a program signs in with. The token itself is shown once and kept only as its hash."""

    id: str
    account_id: str | None
    name: str
    role: Role
    scopes: frozenset[Scope]
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
