"""OTA upgrades as integrations report them: reserved before the start, then completed or failed; and campaigns."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, model_validator

from licet import ota
from licet.firmware import Campaign, Upgrade, UpgradeState
from licet.postgres import campaigns
from licet.postgres import ota as upgrades
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.api.firmware import url_of
from licet.web.fields import Asked, At, DeviceKey, Id, IdInPath, ProductKey, Switch, Told
from licet.web.once import once
from licet.web.paging import Page, Paged, page, place_of
from licet.web.session import Managing, ManagingOnce, Reading

router = APIRouter(tags=["ota"])

MOST_BYTES = 2**40
MOST_DEVICES = 10_000

Bytes = Annotated[int, Field(strict=True, ge=0, le=MOST_BYTES)]


class UpgradeAsked(Asked):
    """``bytes``: how large it will be; ``firmware_id``: what licet keeps of it, if it does."""

    product_key: ProductKey
    device_key: DeviceKey
    bytes: Bytes
    firmware_id: Id | None = None


class EndAsked(Asked):
    """``bytes``: what was transferred; a completed upgrade is charged by it."""

    state: Literal[UpgradeState.COMPLETED, UpgradeState.FAILED]
    bytes: Bytes | None = None

    @model_validator(mode="after")
    def what_is_charged_is_said(self) -> "EndAsked":
        if self.state is UpgradeState.COMPLETED and self.bytes is None:
            raise ValueError("a completed upgrade says how many bytes it came to")
        return self


class UpgradeTold(Told):
    """Covered + excess = attempts while they are held or charged; ``allowance``: attempts of a device in that month.

    ``sent``: the bytes that licet itself has sent of it.
    """

    id: str
    product_key: str
    device_key: str
    campaign_id: str | None
    firmware_id: str | None
    state: UpgradeState
    bytes: int
    sent: int
    attempts: int
    covered: int
    excess: int
    allowance: int
    began_at: At
    reserved_at: At | None
    ended_at: At | None


class UpgradesAsked(Paged):
    account_id: Id | None = None
    product_key: ProductKey | None = None
    device_key: DeviceKey | None = None
    campaign_id: Id | None = None
    state: UpgradeState | None = None


class CampaignAsked(Asked):
    """Either ``device_keys`` or ``all``."""

    product_key: ProductKey
    firmware_id: Id
    device_keys: Annotated[list[DeviceKey] | None, Field(min_length=1, max_length=MOST_DEVICES)] = None
    all: Switch = False

    @model_validator(mode="after")
    def says_for_whom(self) -> "CampaignAsked":
        if (self.device_keys is not None) == self.all:
            raise ValueError("a campaign is for these device_keys, or for all")
        return self


class ProgressTold(Told):
    """How many of its upgrades are in each state."""

    offered: int
    reserved: int
    completed: int
    failed: int
    withdrawn: int


class CampaignTold(Told):
    id: str
    product_key: str
    firmware_id: str
    started_at: At
    started_by: str
    stopped_at: At | None
    progress: ProgressTold


class CampaignsAsked(Paged):
    account_id: Id | None = None
    product_key: ProductKey | None = None


@router.post("/v1/ota", status_code=201, response_model=UpgradeTold)
async def reserve_upgrade(asked: UpgradeAsked, ask: ManagingOnce) -> Response:
    """Reserve an upgrade before it starts. Where the account blocks, all its attempts must be covered."""

    async def work(books: Books) -> UpgradeTold:
        reserved = await ota.reserve(
            books,
            asked.product_key,
            asked.device_key,
            bytes=asked.bytes,
            firmware_id=asked.firmware_id,
            by=ask.by,
            now=ask.now,
        )
        return _told(reserved)

    return await once(ask, work)


@router.get("/v1/ota")
async def list_upgrades(asked: Annotated[UpgradesAsked, Query()], ask: Reading) -> Page[UpgradeTold]:
    """Upgrades, the latest first."""
    found = await upgrades.page(
        ask.books,
        ask.account(asked.account_id),
        product_key=asked.product_key,
        device_key=asked.device_key,
        campaign_id=asked.campaign_id,
        state=asked.state,
        after=place_of(ask, asked),
        limit=asked.limit + 1,
        now=ask.now,
    )
    return page(ask, asked, found, lambda each: (each.began_at, each.id), _told)


@router.post("/v1/ota/campaigns", status_code=201, response_model=CampaignTold)
async def start_campaign(asked: CampaignAsked, ask: ManagingOnce) -> Response:
    """Offer a firmware to devices of a product. Each is charged when it has fetched it."""

    async def work(books: Books) -> CampaignTold:
        started = await ota.start_campaign(
            books,
            asked.product_key,
            firmware_id=asked.firmware_id,
            device_keys=asked.device_keys,
            url=url_of(ask.door, asked.firmware_id),
            by=ask.by,
            now=ask.now,
        )
        return _campaign(started)

    return await once(ask, work)


@router.get("/v1/ota/campaigns")
async def list_campaigns(asked: Annotated[CampaignsAsked, Query()], ask: Reading) -> Page[CampaignTold]:
    """Campaigns and how far they have come, the latest first."""
    found = await campaigns.page(
        ask.books,
        ask.account(asked.account_id),
        product_key=asked.product_key,
        after=place_of(ask, asked),
        limit=asked.limit + 1,
    )
    return page(ask, asked, found, lambda each: (each.started_at, each.id), _campaign)


@router.get("/v1/ota/campaigns/{campaign_id}")
async def get_campaign(campaign_id: IdInPath, ask: Reading) -> CampaignTold:
    """One campaign, and how far it has come."""
    found = await campaigns.get(ask.books, campaign_id)
    if found is None or not ask.by.sees(found.account_id):
        raise Refused(Reason.NOT_FOUND, thing="campaign")
    return _campaign(found)


@router.post("/v1/ota/campaigns/{campaign_id}/stop", status_code=200, response_model=CampaignTold)
async def stop_campaign(campaign_id: IdInPath, ask: ManagingOnce) -> Response:
    """Withdraw what is only offered. What a device has begun to fetch goes on."""

    async def work(books: Books) -> CampaignTold:
        return _campaign(await ota.stop_campaign(books, campaign_id, by=ask.by, now=ask.now))

    return await once(ask, work, status=200)


@router.get("/v1/ota/{upgrade_id}")
async def get_upgrade(upgrade_id: IdInPath, ask: Reading) -> UpgradeTold:
    """One upgrade."""
    found = await upgrades.get(ask.books, upgrade_id, now=ask.now)
    if found is None or not ask.by.sees(found.account_id):
        raise Refused(Reason.NOT_FOUND, thing="upgrade")
    return _told(found)


@router.patch("/v1/ota/{upgrade_id}")
async def end_upgrade(upgrade_id: IdInPath, asked: EndAsked, ask: Managing) -> UpgradeTold:
    """An upgrade has completed, and is charged; or failed, and costs nothing. Saying it again changes nothing."""
    if asked.state is UpgradeState.COMPLETED and asked.bytes is not None:
        return _told(await ota.complete(ask.books, upgrade_id, bytes=asked.bytes, by=ask.by, now=ask.now))
    return _told(await ota.fail(ask.books, upgrade_id, bytes=asked.bytes, by=ask.by, now=ask.now))


def _told(upgrade: Upgrade) -> UpgradeTold:
    return UpgradeTold(
        id=upgrade.id,
        product_key=upgrade.product_key,
        device_key=upgrade.device_key,
        campaign_id=upgrade.campaign_id,
        firmware_id=upgrade.firmware_id,
        state=upgrade.state,
        bytes=upgrade.bytes,
        sent=upgrade.sent,
        attempts=upgrade.attempts,
        covered=upgrade.drawn.covered,
        excess=upgrade.drawn.excess,
        allowance=upgrade.allowance,
        began_at=upgrade.began_at,
        reserved_at=upgrade.reserved_at,
        ended_at=upgrade.ended_at,
    )


def _campaign(campaign: Campaign) -> CampaignTold:
    return CampaignTold(
        id=campaign.id,
        product_key=campaign.product_key,
        firmware_id=campaign.firmware_id,
        started_at=campaign.started_at,
        started_by=campaign.started_by,
        stopped_at=campaign.stopped_at,
        progress=ProgressTold(**{state.value: count for state, count in campaign.progress.items()}),
    )
