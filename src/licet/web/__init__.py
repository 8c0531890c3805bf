"""The web door: ``/v1`` for programs, the console for people. Start with ``app``.

``session`` says who asks, ``once`` answers a repeated request as the first time, ``problem`` says no, ``security``
guards the way in; ``api/`` and ``console/`` have one file per noun.
"""
