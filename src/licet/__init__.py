"""licet: may this device connect? Activation codes, from the purchase to the last renewal."""

__version__ = "0.1.0"
