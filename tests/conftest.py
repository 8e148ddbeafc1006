"""What all tests share: examples of Hypothesis have no deadline, since machines that run tests are shared."""

from hypothesis import settings

settings.register_profile("biounet", deadline=None)
settings.load_profile("biounet")
