"""OTA: devices are upgraded, and each upgrade costs attempts of the month's allowance (rules F1 to F3).

An upgrade is reserved at its start, charged when it completes, released when it fails. Integrations report upgrades
that they carry out themselves; a firmware that lies at licet is fetched by the device, and licet counts the bytes.
"""

from licet.ota.campaigns import start_campaign, stop_campaign
from licet.ota.fetch import Fetch, begin_fetch, offer_to, recognise, was_sent
from licet.ota.firmware import delete_firmware, upload_firmware
from licet.ota.upgrades import complete, fail, reserve

__all__ = [
    "Fetch",
    "begin_fetch",
    "complete",
    "delete_firmware",
    "fail",
    "offer_to",
    "recognise",
    "reserve",
    "start_campaign",
    "stop_campaign",
    "upload_firmware",
    "was_sent",
]
