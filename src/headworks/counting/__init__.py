"""Counting: how many tokens a request will take, before it is made, and how near that comes to what is billed.

`count_request` counts part by part and says of each whether it is exact. Pictures are measured from the first bytes of
their files and counted by the rules that their providers document; `calibration` holds counts against bills. Pure. May
import `catalogue`.
"""

from headworks.counting.calibration import Calibration, Sample, calibrate
from headworks.counting.image_rules import Area, Crops, Patches, Rule, Tiles, image_tokens, rule_of
from headworks.counting.images import Size, image_size, size_of_base64
from headworks.counting.requests import Part, RequestCount, count_request, measure_media
from headworks.counting.tools import tools_tokens

__all__ = [
    "Area",
    "Calibration",
    "Crops",
    "Part",
    "Patches",
    "RequestCount",
    "Rule",
    "Sample",
    "Size",
    "Tiles",
    "calibrate",
    "count_request",
    "image_size",
    "image_tokens",
    "measure_media",
    "rule_of",
    "size_of_base64",
    "tools_tokens",
]
