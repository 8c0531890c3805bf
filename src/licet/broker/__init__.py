"""The room in whose wall the devices' wire ends: NATS, which speaks MQTT to devices and asks licet about every knock.

Start with ``gate`` (who is let in), then ``registration`` (how a device comes by its secret), ``presence`` (who is in),
``kick`` (who is put out) and ``relay`` (what the outside is told). ``door`` runs them all.
"""
