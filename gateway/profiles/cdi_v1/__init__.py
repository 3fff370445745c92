"""CDI's messages, version 1, as far as they are public, and the bank API around them.

A member of CDI puts the official shapes here and in `schemas/cdi`, and nowhere else.
"""

from gateway.profiles.cdi_v1.codec import CdiV1 as CdiV1
from gateway.profiles.cdi_v1.parsing import ConsentRequest as ConsentRequest
